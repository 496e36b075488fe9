"""n-grams of words and characters as sparse rows, hashed, so that there is no vocabulary to keep."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalearner.arrays import RAW, Tensors

from .texts import texts_of, tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Places that n-grams are hashed to.
PLACES = 2**20
# Bytes of counted rows that are kept, since configs and rungs ask for the same ones again.
KEPT = 200e6
# Characters of a text whose n-grams of characters are counted.
COUNTED = 20_000

_counted: OrderedDict[tuple[Any, ...], csr_matrix] = OrderedDict()


def counts(tensors: Tensors, names: Sequence[str], numbers: Mapping[str, Any]) -> csr_matrix:
    """How often each n-gram occurs: (n, places), the texts of all views side by side, words beside characters."""
    from scipy.sparse import hstack

    parts = []
    for name in names:
        values = np.ascontiguousarray(tensors[name + RAW].values)
        wanted = [("word", numbers["words"])] if numbers["words"] else []
        wanted += [("char_wb", numbers["characters"])] if numbers["characters"] else []
        for kind, longest in wanted or [("word", 1)]:
            parts.append(_remembered(tensors, name, values, kind, longest))
    return hstack(parts, format="csr") if len(parts) > 1 else parts[0]


def _remembered(tensors: Tensors, name: str, values: np.ndarray, kind: str, longest: int) -> csr_matrix:
    import hashlib

    small = len(values) < 64  # rows to be predicted one by one are not worth a hash
    key = ("", 0) if small else (hashlib.blake2b(values.data, digest_size=16).hexdigest(), values.shape, kind, longest)
    if not small and key in _counted:
        _counted.move_to_end(key)
        return _counted[key]
    found = _count(texts_of(tensors[name + RAW]), kind, longest)
    if not small:
        _counted[key] = found
        while sum(m.data.nbytes + m.indices.nbytes for m in _counted.values()) > KEPT:
            _counted.popitem(last=False)
    return found


def _count(texts: Sequence[str], kind: str, longest: int) -> csr_matrix:
    from sklearn.feature_extraction.text import HashingVectorizer

    common = {
        "n_features": PLACES,
        "alternate_sign": False,
        "norm": None,
        "lowercase": kind != "word",
        "dtype": np.float32,
    }
    if kind == "word":
        vectorizer = HashingVectorizer(
            analyzer="word", tokenizer=tokens, token_pattern=None, ngram_range=(1, longest), **common
        )
        return vectorizer.transform(texts)
    vectorizer = HashingVectorizer(analyzer=kind, ngram_range=(2, longest), **common)
    return vectorizer.transform([text[:COUNTED] for text in texts])
