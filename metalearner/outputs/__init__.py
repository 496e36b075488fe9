"""What may be predicted. Classes and numbers come in here, through the same door as any other output."""

from .classification import Classification
from .metrics import METRICS
from .regression import Regression

OUTPUTS = [Classification(), Regression()]

__all__ = ["METRICS", "OUTPUTS", "Classification", "Regression"]
