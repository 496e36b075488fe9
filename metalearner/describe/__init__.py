"""Stage 3, describe: a prepared data set becomes one vector of named numbers, whatever its modality."""

from .describe import VERSION, describe, explain
from .landmarkers import Landmarkers
from .locality import Locality
from .marginals import Marginals
from .order import Order
from .size import Size

# The cheap ones first: where time runs out, the dear ones are left out.
BUILTIN_PROBES = [Size(), Marginals(), Locality(), Landmarkers(), Order()]

__all__ = ["BUILTIN_PROBES", "VERSION", "describe", "explain"]
