"""Everything that can go wrong, as a tree split by whose fault it is.

    MetalearnerError
    ├── UserError              what the user gave cannot be used: exit code 2, HTTP 4xx
    │   ├── DataError          the source or its rows
    │   ├── TaskError          the target, metric, goal or budget
    │   └── BundleError        the folder of a packaged model
    ├── RunError               the run itself failed: exit code 1
    │   └── Pruned             a config that is not worth a fit; the run goes on without it
    ├── PluginError            a plugin broke its contract; names the distribution
    └── RecordError            a knowledge-base record that must not be stored

A message has up to three parts: what happened with the actual values, what holds, what to try next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MetalearnerError(Exception):
    """One message in three parts: what happened, what holds, what to try."""

    def __init__(self, happened: str, holds: str = "", hint: str = "") -> None:
        self.happened, self.holds, self.hint = happened, holds, hint
        super().__init__("\n".join(part for part in (happened, holds, hint) if part))

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Survive the trip between processes with all three parts."""
        return type(self), (self.happened, self.holds, self.hint)


class UserError(MetalearnerError):
    """What the user gave cannot be used."""


class DataError(UserError):
    """The source, or rows in it, cannot be used."""


class TaskError(UserError):
    """The target, metric, goal or budget does not fit the data."""


class BundleError(UserError):
    """The folder is not a bundle, or not the one its manifest describes."""


class RunError(MetalearnerError):
    """The run could not produce a model."""


class Pruned(RunError):
    """A config that is not worth a fit, and the reason."""


class PluginError(MetalearnerError):
    """A plugin broke its contract."""


class RecordError(MetalearnerError):
    """A record lacks what makes it trustworthy, and is refused."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" when a known name is close, else nothing.

    >>> nearest("resnett", ["resnet", "mlp"])
    " Did you mean 'resnet'?"
    """
    close = difflib.get_close_matches(name, [str(k) for k in known], n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def unknown(what: str, name: str, known: Iterable[str], hint: str = "") -> tuple[str, str, str]:
    """Return the three parts of an unknown-name message."""
    known = sorted(str(k) for k in known)
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    return f"Unknown {what} '{name}'.{nearest(name, known)}", f"Known: {shown or 'none'}.", hint
