"""Level 0: operations no framework has. Binary networks on XNOR and popcount, as productions like any other."""

from __future__ import annotations

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Check, Family, Form, Probe, Production, Target

from . import library
from .c_target import C
from .families import FAMILIES
from .forms import Packed
from .probe import Binary
from .productions import PRODUCTIONS


@hookimpl
def register_productions() -> list[Production]:
    """Binary blocks, mixers and the encoder made of them."""
    return list(PRODUCTIONS)


@hookimpl
def register_families() -> list[Family]:
    """Networks that take part where size or latency is limited."""
    return list(FAMILIES)


@hookimpl
def register_probes() -> list[Probe]:
    """How viable signs are."""
    return [Binary()]


@hookimpl
def register_forms() -> list[Form]:
    """Packed programs."""
    return [Packed()]


@hookimpl
def register_targets() -> list[Target]:
    """A file of C."""
    return [C()]


@hookimpl
def register_checks() -> list[Check]:
    """Whether the kernels are compiled, and which instructions they use."""
    return [Check("level0-kernels", library.about)]
