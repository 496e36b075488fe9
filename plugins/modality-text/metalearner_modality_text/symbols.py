"""Networks that read a text word by word, from scratch: a vocabulary of the training rows, a vector a word, then the grammar."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from metalearner import grammar
from metalearner.arrays import RAW, Fold, Tensor, Tensors
from metalearner.foldwise import FoldByFold
from metalearner.kinds import (
    Aim,
    Choice,
    Family,
    Float,
    Int,
    Model,
    Output,
    Part,
    Production,
    Range,
    Rung,
    Slot,
)
from metalearner.records import Axis, Config, View, plain

from .ngrams import with_text
from .texts import texts_of, tokens

if TYPE_CHECKING:
    from torch import nn

# Numbers of symbols that are no words of the vocabulary; 0 fills up.
UNKNOWN, NEXT, FIRST = 1, 2, 3
LEAST_TEXTS = 2
NET, VIEW = "net", "symbols"


class Symbols(Production):
    """Tokeniser of words: a vector each. Within a fit it knows how many there are; elsewhere it takes nothing."""

    name = "symbols"
    symbol = "tokeniser"
    tags = ("text",)
    within = True

    def __init__(self, many: int = 0) -> None:
        self.many = many

    def space(self) -> Mapping[str, Range]:
        """`width` of a vector; the share of words that are hidden in training."""
        return {"width": Int(16, 256, 96, log=True), "hidden": Float(0.0, 0.5, 0.2)}

    def accepts(self, view: View) -> bool:
        """One axis of tokens, their numbers in one channel."""
        return self.many > 0 and view.kinds == ("tokens",) and view.channels == 1

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """The same axis with vectors."""
        return View(view.axes, numbers["width"])

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """See `embedding.Words`."""
        from .embedding import Words

        return Words(self.many, int(numbers["width"]), float(numbers["hidden"]), UNKNOWN)


class TextNet(Production):
    """Learner -> Encoder Recipe: a network over the words of a text. Its encoder begins with "symbols"."""

    name = "text-net"
    symbol = "learner"
    parts = {"encoder": Slot("encoder"), "recipe": Slot("recipe")}
    tags = ("network", "text")

    def space(self) -> Mapping[str, Range]:
        """The commonest so many words have a number; of a text so many tokens are read."""
        return {"words": Int(500, 30_000, 10_000, log=True), "length": Choice((128, 64, 256))}


@dataclass(frozen=True)
class TextNetModel(Model):
    """Words by their number, and the network."""

    names: tuple[str, ...]  # views with texts
    words: tuple[str, ...]
    view: View
    net: Model

    def predict(self, tensors: Tensors) -> np.ndarray:
        """As the network."""
        return self.net.predict(read(tensors, self.names, self.words, self.view.axes[0].size))

    def save(self, folder: Path) -> None:
        """`words.json`, and the network in a folder of its own."""
        about = {"names": self.names, "words": self.words, "view": self.view}
        (folder / "words.json").write_text(json.dumps(plain(about)))
        (folder / NET).mkdir()
        self.net.save(folder / NET)


class TextNetLearner(FoldByFold):
    """Learns the vocabulary of a fold's training rows; the one training loop does the rest."""

    name = "text-net"

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Views with a text beside them."""
        return bool(with_text(views)) and bool(output.losses)

    def fit_one(
        self, config: Config, fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[TextNetModel, dict[str, Any]]:
        """A vocabulary of the fold's own, and the network; there is nothing to resume."""
        return _fitted(config, fold, aim, upto)

    def load(self, folder: Path, aim: Aim) -> TextNetModel:
        """Read back what `TextNetModel.save` wrote."""
        about = json.loads((folder / "words.json").read_text())
        words = tuple(about["words"])
        inside = knowing(aim, len(words) + FIRST)
        net = inside.registry.get("learners", NET).load(folder / NET, inside)
        return TextNetModel(tuple(about["names"]), words, View.from_json(about["view"]), net)


def knowing(aim: Aim, many: int) -> Aim:
    """The aim with a tokeniser that knows how many words there are."""
    productions = MappingProxyType({**aim.registry.productions, Symbols.name: Symbols(many)})
    return replace(aim, registry=replace(aim.registry, productions=productions))


def vocabulary(texts: Sequence[Sequence[str]], most: int) -> tuple[str, ...]:
    """The words that stand in most texts, those of a single text left out.

    >>> vocabulary([["a", "b", "a"], ["b", "c"], ["a", "b"]], 2)
    ('b', 'a')
    """
    counts: Counter[str] = Counter()
    for words in texts:
        counts.update(set(words))
    common = sorted(((w, n) for w, n in counts.items() if n >= LEAST_TEXTS), key=lambda item: (-item[1], item[0]))
    return tuple(word for word, _ in common[:most])


def read(tensors: Tensors, names: Sequence[str], words: Sequence[str], length: int) -> Tensors:
    """Numbers of words, float32 (n, length, 1) with a mask; several texts of a row one after the other."""
    place = {word: i for i, word in enumerate(words, FIRST)}
    columns = [[tokens(text) for text in texts_of(tensors[name + RAW])] for name in names]
    rows = len(columns[0])
    values, mask = np.zeros((rows, length, 1), np.float32), np.zeros((rows, length), bool)
    for i in range(rows):
        numbers: list[int] = []
        for column in columns:
            numbers += [NEXT] * bool(numbers) + [place.get(word, UNKNOWN) for word in column[i]]
        numbers = numbers[:length] or [UNKNOWN]
        values[i, : len(numbers), 0] = numbers
        mask[i, : len(numbers)] = True
    return {VIEW: Tensor(values, mask=mask)}


def _fitted(config: Config, fold: Fold, aim: Aim, upto: Rung) -> tuple[TextNetModel, dict[str, Any]]:
    numbers = grammar.numbers(Config(config.production, config.numbers), {TextNet.name: TextNet()})
    names = with_text(fold.views)
    train = [tokens(t) for name in names for t in texts_of(fold.train[name + RAW])]
    words = vocabulary(train, int(numbers["words"]))
    longest = max((len(t) for t in train), default=1) * len(names) + len(names) - 1
    view = View((Axis("tokens", int(min(numbers["length"], max(2, longest))), True),), 1)
    inside = knowing(aim, len(words) + FIRST)
    seen = replace(
        fold,
        views={VIEW: view},
        train=read(fold.train, names, words, view.axes[0].size),
        valid=read(fold.valid, names, words, view.axes[0].size),
        state={},
    )
    inner = Config(NET, {}, dict(config.parts))
    fitted = next(iter(inside.registry.get("learners", NET).fit([inner], [seen], inside, upto, [None])))
    return TextNetModel(names, words, view, fitted.models[0]), dict(fitted.facts)


def _family(name: str, summary_: str, stage: Config, pool: Config) -> Family:
    def preset(width: int, numbers: Mapping[str, Any], recipe: Mapping[str, Any]) -> Config:
        begin = Config("symbols", {"width": width, "hidden": 0.3})
        encoder = Config("stack", {}, {"tokeniser": (begin,), "stage": (stage,), "pool": (pool,)})
        return Config("text-net", dict(numbers), {"encoder": (encoder,), "recipe": (Config("gradient", dict(recipe)),)})

    return Family(
        name,
        summary_,
        (
            preset(96, {}, {"lr": 2e-3, "epochs": 12, "batch_size": 64, "patience": 3}),
            preset(64, {"words": 5000}, {"lr": 4e-3, "epochs": 8, "weight_decay": 0.1, "patience": 3}),
        ),
        accepts=lambda views: bool(with_text(views)),
        tags=("network", "text"),
    )


def _stage(mixer: Config) -> Config:
    block = Config("plain", {"activation": "relu", "dropout": 0.3}, {"norm": (Config("no-norm"),), "mixer": (mixer,)})
    return Config("stage", {"repeat": 1}, {"block": (block,)})


_WIDTHS = Config("parallel", {}, {"mixer": (Config("conv", {"kernel": 3}), Config("conv", {"kernel": 5}))})
POOL = Config("mean-max", {"dropout": 0.3})
FAMILIES = (
    _family("text-cnn", "Convolutions of two widths over words (Kim 2014)", _stage(_WIDTHS), POOL),
    _family("text-gru", "A GRU over words, both ways", _stage(Config("gru", {"bidirectional": True})), POOL),
)
