"""The language all stages share: derivations, their numbers, and how to vary them. Torch only in `build` and `cost`.

A Config is a derivation: a production, its numbers, its parts. Numbers are addressed by path, "lr" at the
root, "encoder.0:width" below it, so that searchers see one flat space. A view that goes into a part and the one that
comes out are its type, so what is derived here can be built and run.
"""

from ..ranges import Choice, Float, Int, Name, at, placed
from .derivation import derive, derive_net
from .drawing import outline, sketch
from .forms import bag, identity, likeness, shape, unfold
from .learned import Learned, spelled
from .narrow import Narrowing, listed, values_of, word
from .paths import address, check, complete, draw, given, loose, numbers, sample, space, with_numbers
from .types import Misfit, Productions, fits, flow, production, reached, shown, unfolded
from .vary import cross, mutate

__all__ = [
    "Choice", "Float", "Int", "Learned", "Misfit", "Name", "Narrowing", "Productions", "address", "at", "bag", "check",
    "complete", "cross", "derive", "derive_net", "draw", "fits", "flow", "given", "identity", "likeness", "listed", "loose",
    "mutate", "numbers", "outline", "placed", "production", "reached", "sample", "shape", "shown", "sketch", "space",
    "spelled", "unfold", "unfolded", "values_of", "with_numbers", "word",
]  # fmt: skip
