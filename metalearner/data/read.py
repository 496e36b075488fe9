"""Recognise a source and decode it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..arrays import Fields, Ragged
from ..errors import DataError
from ..kinds import Modality, Source
from ..records import Schema


@dataclass
class Reading:
    """A recognised source; its fields are decoded when first asked for."""

    source: Source
    modality: Modality
    schema: Schema
    most: int | None = None  # no more rows than that, drawn by chance
    _fields: Fields | None = field(default=None, repr=False)

    @property
    def fields(self) -> Fields:
        """All columns, decoded."""
        if self._fields is None:
            found = Fields.concat(list(self.modality.decode(self.source, self.schema)))
            if self.most is not None and found.rows > self.most:
                found = found.take(np.sort(np.random.default_rng(0).permutation(found.rows)[: self.most]))
            self._fields = found
        return self._fields

    def naming(self, target: str) -> Reading:
        """The same, with the words of a yes-or-no target kept: its classes are then called as the source calls them."""
        columns = tuple(
            replace(c, kind="category") if c.name == target and c.kind == "boolean" else c for c in self.schema.columns
        )
        return (
            self
            if columns == self.schema.columns
            else replace(self, schema=replace(self.schema, columns=columns), _fields=None)
        )

    def column(self, name: str) -> np.ndarray:
        """One decoded column (n,) of plain values."""
        found = self.fields[name]
        if isinstance(found, Ragged) or found.ndim != 1:
            raise DataError(
                f"Column '{name}' holds arrays.", "A target is one value a row.", "Name another with --target."
            )
        return found


def read(source: Source, modalities: Mapping[str, Modality]) -> Reading:
    """Ask each modality whether the source is its own; of several the one that leaves out the fewest columns has it.

    Raises DataError when it is nobody's or not there.
    """
    if isinstance(source, str | Path):
        path = Path(str(source).partition("::")[0])
        if not path.exists():
            near = _similar(path)
            hint = f"Did you mean '{near}'?" if near else "Check the path; metalearner run --help shows examples."
            raise DataError(
                f"There is no file or folder '{path}'.", "A source is a file, a folder or the name of a data set.", hint
            )
    complaint: DataError | None = None
    found: list[tuple[Modality, Schema]] = []
    for modality in modalities.values():
        try:
            schema = modality.sniff(source)
        except DataError as problem:  # its kind, but broken; unless another takes it
            complaint = complaint or problem
            continue
        if schema is not None:
            found.append((modality, schema))
    if found:
        modality, schema = min(found, key=lambda pair: sum(c.left_out for c in pair[1].columns))
        # Only the name goes on into bundles and records: a path says where on whose machine.
        name = Path(schema.source).name or schema.source
        return Reading(source, modality, replace(schema, source=name))
    if complaint is not None:
        raise complaint
    raise DataError(
        f"Nobody recognises '{source if isinstance(source, str | Path) else type(source).__name__}'.",
        f"Installed kinds of data: {', '.join(sorted(modalities)) or 'none'}.",
        "More: metalearner plugin list",
    )


def _similar(path: Path) -> str:
    import difflib

    if not path.parent.is_dir():
        return ""
    close = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1, cutoff=0.6)
    return str(path.parent / close[0]) if close else ""
