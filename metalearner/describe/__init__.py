"""Stage 3, describe: a prepared data set becomes one vector of named numbers, whatever its modality."""

from .describe import VERSION, describe, explain
from .landmarkers import Landmarkers
from .locality import Locality
from .marginals import Marginals
from .size import Size

BUILTIN_PROBES = [Size(), Marginals(), Locality(), Landmarkers()]

__all__ = ["BUILTIN_PROBES", "VERSION", "describe", "explain"]
