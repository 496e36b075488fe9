"""Stage 5, deployment: the model as a folder anyone can read, and a server in front of it (`deploy.serve`)."""

from .bundle import Bundle
from .package import package

__all__ = ["Bundle", "package"]
