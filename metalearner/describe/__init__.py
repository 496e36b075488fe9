"""Stage 3, describe: a prepared data set becomes one vector of named numbers, whatever its modality."""

from .complexity import Complexity
from .describe import VERSION, describe, explain, sights
from .landmarkers import Landmarkers
from .locality import Locality
from .marginals import Marginals
from .order import Order
from .size import Size
from .spectrum import Spectrum
from .symmetry import Symmetry
from .topology import Topology

# The cheap ones first: where time runs out, the dear ones are left out.
BUILTIN_PROBES = [
    Size(),
    Marginals(),
    Locality(),
    Spectrum(),
    Landmarkers(),
    Complexity(),
    Order(),
    Symmetry(),
    Topology(),
]

__all__ = ["BUILTIN_PROBES", "VERSION", "describe", "explain", "sights"]
