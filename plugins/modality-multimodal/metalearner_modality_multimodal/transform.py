"""The transform "multimodal": each part by the transform of its own modality, views side by side."""

from __future__ import annotations

from collections.abc import Mapping

from metalearner.arrays import RAW, Fields, Tensors
from metalearner.kinds import Modality, State, Transform
from metalearner.records import Schema, View

from .modality import view_name
from .parts import PLAIN, Part, plain


class EachByItsOwn(Transform):
    """Fits and applies what the parts' modalities name."""

    name = "multimodal"
    transforms: Mapping[str, Transform] = {}

    def meet(self, modalities: Mapping[str, Modality], transforms: Mapping[str, Transform]) -> None:
        """Keep the transform of each modality."""
        self.transforms = {
            name: transforms[one.transform]
            for name, one in modalities.items()
            if one.transform in transforms and one.transform != self.name
        }

    def fit(self, fields: Fields, schema: Schema) -> State:
        """A state for each part, and one for the plain columns."""
        parts = [
            {
                "column": part.column,
                "names": part.names,
                "modality": part.modality,
                "state": self.transforms[part.modality].fit(part.fields(fields), part.schema),
            }
            for part in Part.all_of(schema)
        ]
        rest = plain(schema)
        own = self.transforms[PLAIN].fit(Fields({n: fields[n] for n in rest.names}), rest) if rest else None
        return {"parts": parts, "plain": own, "names": list(rest.names) if rest else []}

    def apply(self, state: State, fields: Fields) -> Tensors:
        """The tensors of all."""
        found: Tensors = {}
        for part in state["parts"]:
            transform = self.transforms[part["modality"]]
            # states of before anything lay beside a column name that alone
            inner = part["names"] if "names" in part else {part["inner"]: part["column"]}
            own = transform.apply(part["state"], Fields({name: fields[here] for name, here in inner.items()}))
            names = transform.views(part["state"])
            for name in names:
                called = view_name(part["column"], name, names)
                found[called] = own[name]
                if name + RAW in own:
                    found[called + RAW] = own[name + RAW]
        if state["plain"] is not None:
            found |= self.transforms[PLAIN].apply(state["plain"], Fields({n: fields[n] for n in state["names"]}))
        return found

    def views(self, state: State) -> dict[str, View]:
        """The views of all."""
        found: dict[str, View] = {}
        for part in state["parts"]:
            own = self.transforms[part["modality"]].views(part["state"])
            found |= {view_name(part["column"], name, own): view for name, view in own.items()}
        return found | (self.transforms[PLAIN].views(state["plain"]) if state["plain"] is not None else {})
