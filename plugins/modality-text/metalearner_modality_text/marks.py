"""The transform "text-marks": what any learner can look at in a text, beside its bytes for those who read it themselves.

Marks say how long a text is and what kinds of signs it has; the commonest words are weighed by how rare they are (TF-IDF).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from metalearner.arrays import RAW, Fields, Ragged, Tensor, Tensors
from metalearner.kinds import State, Transform
from metalearner.records import Axis, Schema, View

from .texts import raw, tokens, unpacked

MARKS = (
    "characters", "words", "word length", "sentences", "distinct words", "capitals", "digits", "punctuation", "not ASCII",
    "question marks", "exclamation marks", "links", "mentions", "hashtags", "words in capitals", "repeated letters",
)  # fmt: skip
# Words with a column of their own: at most so many, in so many texts at least, and in no more than this share of them.
MOST_WORDS, LEAST_TEXTS, MOST_SHARE = 256, 3, 0.8
# Tokens of a text that are counted.
COUNTED = 5000
# Bytes of all texts side by side, each as wide as the longest; where they would be more, the longest are cut, but not below
# so many bytes.
RAW_ROOM, LEAST_RAW = 5e8, 2000
BOUND = 4.0  # deviations beyond which a mark is cut

_LINK, _CAPITALS, _REPEATED = re.compile(r"https?://|www\."), re.compile(r"\b[A-Z]{2,}\b"), re.compile(r"(\w)\1\1")


class TextMarks(Transform):
    """Marks and common words as columns; the bytes beside them, under the view's name and RAW."""

    name = "text-marks"

    def fit(self, fields: Fields, schema: Schema) -> State:
        """Mean and deviation of each mark, the commonest words and how rare they are, for each column of texts."""
        columns = [c.name for c in schema.columns if c.kind == "text"]
        found = [_fitted(view, name, _column(fields, name)) for view, name in zip(view_names(columns), columns)]
        longest = max((int(_column(fields, name).lengths.max(initial=0)) for name in columns), default=0)
        room = int(RAW_ROOM // max(1, fields.rows * len(columns)))
        return {"texts": found, "longest": min(max(longest, LEAST_RAW), max(room, LEAST_RAW))}

    def apply(self, state: State, fields: Fields) -> Tensors:
        """float32 (n, marks + words, 1), and uint8 (n, longest)."""
        found: Tensors = {}
        for one in state["texts"]:
            column = _column(fields, one["column"])
            texts = unpacked(column)
            z = (measured(texts) - np.array(one["mean"])) / np.array(one["std"])
            values = np.concatenate([np.clip(z, -BOUND, BOUND), weighed(texts, one["words"], one["rarity"])], axis=1)
            found[one["view"]] = Tensor(values.astype(np.float32)[:, :, None])
            found[one["view"] + RAW] = raw(column, state["longest"])
        return found

    def views(self, state: State) -> dict[str, View]:
        """One a column of texts."""
        return {
            one["view"]: View((Axis("columns", len(MARKS) + len(one["words"])),), 1, raw="text")
            for one in state["texts"]
        }


def view_names(columns: Sequence[str]) -> list[str]:
    """What the views of columns of texts are called.

    >>> view_names(["review"]), view_names(["premise", "hypothesis"])
    (['text'], ['text 1', 'text 2'])
    """
    return ["text"] if len(columns) == 1 else [f"text {i}" for i, _ in enumerate(columns, 1)]


def measured(texts: Sequence[str]) -> np.ndarray:
    """The marks of each text, (n, marks): counts as log1p, the rest as shares."""
    return np.array([_marks(text) for text in texts], dtype=np.float64).reshape(len(texts), len(MARKS))


def weighed(texts: Sequence[str], words: Sequence[str], rarity: Sequence[float]) -> np.ndarray:
    """TF-IDF (n, words) of these words, a row of length 1 or 0."""
    place = {word: j for j, word in enumerate(words)}
    found = np.zeros((len(texts), len(words)))
    for row, text in zip(found, texts):
        for word, count in Counter(tokens(text)[:COUNTED]).items():
            if (j := place.get(word)) is not None:
                row[j] = (1 + math.log(count)) * rarity[j]
    length = np.sqrt((found**2).sum(axis=1, keepdims=True))
    return found / np.where(length > 0, length, 1.0)


def _fitted(view: str, name: str, column: Ragged) -> dict[str, Any]:
    texts = unpacked(column)
    marks = measured(texts)
    std = marks.std(axis=0) if len(marks) else np.zeros(len(MARKS))
    in_texts: Counter[str] = Counter()
    for text in texts:
        in_texts.update(set(tokens(text)[:COUNTED]))
    common = [(w, n) for w, n in in_texts.items() if LEAST_TEXTS <= n <= MOST_SHARE * len(texts)]
    chosen = sorted(common, key=lambda item: (-item[1], item[0]))[:MOST_WORDS]
    return {
        "view": view,
        "column": name,
        "mean": (marks.mean(axis=0) if len(marks) else std).tolist(),
        "std": np.where(std > 1e-9, std, 1.0).tolist(),
        "words": [word for word, _ in chosen],
        "rarity": [math.log((1 + len(texts)) / (1 + n)) + 1 for _, n in chosen],
    }


def _marks(text: str) -> list[float]:
    words = text.split()
    size, letters = max(1, len(text)), max(1, sum(map(len, words)))
    said = [w.lower() for w in words]
    return [
        math.log1p(len(text)),
        math.log1p(len(words)),
        letters / max(1, len(words)),
        math.log1p(len(re.findall(r"[.!?]+(?:\s|$)", text))),
        len(set(said)) / max(1, len(said)),
        sum(ch.isupper() for ch in text) / letters,
        sum(ch.isdigit() for ch in text) / letters,
        sum(not ch.isalnum() and not ch.isspace() for ch in text) / letters,
        sum(ord(ch) > 127 for ch in text) / size,
        math.log1p(text.count("?")),
        math.log1p(text.count("!")),
        math.log1p(len(_LINK.findall(text))),
        math.log1p(text.count("@")),
        math.log1p(text.count("#")),
        math.log1p(len(_CAPITALS.findall(text))),
        math.log1p(len(_REPEATED.findall(text))),
    ]


def _column(fields: Fields, name: str) -> Ragged:
    column = fields[name]
    assert isinstance(column, Ragged), "texts are bytes of unequal length"
    return column
