"""A BERT of a few layers in NumPy: one sentence takes hundredths of a second, importing torch and transformers takes six.

Devlin et al. 2019 (arXiv 1810.04805); mean pooling after Reimers and Gurevych 2019 (arXiv 1908.10084).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

MOST_TOKENS = 128


def encode(sentence: str, folder: Path) -> tuple[float, ...]:
    """Mean of the last layer over the sentence's tokens, scaled to unit length: (384,)."""
    from safetensors import safe_open
    from tokenizers import Tokenizer

    about = json.loads((folder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_TOKENS)
    ids = tokenizer.encode(sentence).ids
    with safe_open(folder / "model.safetensors", framework="numpy") as weights:
        network = Bert({name: weights.get_tensor(name) for name in weights.keys()}, about)  # noqa: SIM118 - no dict
    mean = network.states(np.array(ids)).mean(axis=0)
    return tuple((mean / np.linalg.norm(mean)).tolist())


class Bert:
    """Weights by the names that transformers gives them, and what to do with them."""

    def __init__(self, weights: dict[str, np.ndarray], about: dict[str, float]) -> None:
        self.weights, self.epsilon = weights, about["layer_norm_eps"]
        self.layers, self.heads = int(about["num_hidden_layers"]), int(about["num_attention_heads"])

    def states(self, ids: np.ndarray) -> np.ndarray:
        """The last layer's states (tokens, width) of token numbers (tokens,)."""
        place = "embeddings"
        x = self.weights[f"{place}.word_embeddings.weight"][ids]
        x = x + self.weights[f"{place}.position_embeddings.weight"][: len(ids)]
        x = x + self.weights[f"{place}.token_type_embeddings.weight"][0]
        x = self._norm(x, f"{place}.LayerNorm")
        for i in range(self.layers):
            layer = f"encoder.layer.{i}"
            seen = self._dense(self._attention(x, f"{layer}.attention.self"), f"{layer}.attention.output.dense")
            x = self._norm(x + seen, f"{layer}.attention.output.LayerNorm")
            more = self._dense(_gelu(self._dense(x, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
            x = self._norm(x + more, f"{layer}.output.LayerNorm")
        return x

    def _attention(self, x: np.ndarray, name: str) -> np.ndarray:
        """Every token asks all others, head by head: (tokens, width)."""
        query, key, value = (
            self._dense(x, f"{name}.{part}").reshape(len(x), self.heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )  # (heads, tokens, width / heads)
        scores = query @ key.swapaxes(1, 2) / np.sqrt(np.float32(query.shape[-1]))
        odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return (odds / odds.sum(axis=-1, keepdims=True) @ value).swapaxes(0, 1).reshape(len(x), -1)

    def _dense(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.epsilon)
        return centred / spread * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return x * (1 + erf(x / np.sqrt(np.float32(2)))) / 2
