"""Text encoders of transformers, cut where their form is known."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from metalearner.arrays import Tensor
from metalearner.kinds import Pretrained

from .folders import quietly
from .lists import before, layers_of, train_only

# Tokens of a window: longer texts are read window by window. Lengths are multiples of STEP, so that a row's does not
# depend on what comes with it.
WINDOW, STEP = 256, 16


class Encoder(Pretrained):
    """An encoder with its tokeniser."""

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        self.net, self.tokenizer = model.eval(), tokenizer

    def prepare(self, raw: Sequence[np.ndarray], numbers: Mapping[str, Any]) -> Tensor:
        """Token numbers as float32 (n, T, 1): of several texts a row, one after the other as the tokeniser joins them.

        With "segments" among the numbers which of two texts a token is of lies beside it, (n, T, 2), where the encoder knows that.
        """
        texts = [decoded(view) for view in raw]
        first = texts[0]
        second = None if len(texts) == 1 else [" ".join(more) for more in zip(*texts[1:])]
        length = int(numbers["length"])
        with quietly():
            given = self.tokenizer(first, second, truncation=True, max_length=length, padding="longest",
                                   pad_to_multiple_of=STEP, return_tensors="np")  # fmt: skip
        names = ["input_ids"]
        if numbers.get("segments") and getattr(self.net.config, "type_vocab_size", 0) > 1 and "token_type_ids" in given:
            names.append("token_type_ids")
        values = np.stack([np.asarray(given[name], np.float32) for name in names], axis=2)
        return Tensor(values, mask=np.asarray(given["attention_mask"], bool))

    def lower(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """All layers and the mean of their states; or the embeddings and the first layers."""
        split = cut(self.net, tuned) if 0 < tuned < len(layers_of(self.net)) else None
        if tuned and split is None:
            return AsItIs()
        return Whole(self.net) if split is None else Lower(self.net, split)

    def upper(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """The layers above; where they cannot be cut off, the whole encoder with only these of it trained."""
        split = cut(self.net, tuned) if tuned < len(layers_of(self.net)) else None
        return Tuned(copy.deepcopy(self.net), tuned) if split is None else Upper(copy.deepcopy(split))


def decoded(values: np.ndarray) -> list[str]:
    """UTF-8 bytes (n, longest), filled up with 0, as texts."""
    return [row.tobytes().rstrip(b"\0").decode("utf-8", "replace") or " " for row in np.ascontiguousarray(values)]


def cut(net: nn.Module, tuned: int) -> nn.ModuleList | None:
    """The last layers of an encoder of BERT's form, which take states and a mask; None for other forms."""
    from transformers.models.bert.modeling_bert import BertModel

    return net.encoder.layer[len(net.encoder.layer) - tuned :] if isinstance(net, BertModel) else None


def tokens(values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Token numbers (B, T, 1), or with that of their text beside them (B, T, 2), as encoders take them."""
    names = ("input_ids", "token_type_ids")
    return {name: values[:, :, i].long() for i, name in enumerate(names[: values.shape[2]])}


def mean(
    run: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], values: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The mean (B, C) of the states that `run` makes of values (B, T, ...) where the mask (B, T) is True, window by window."""
    total, count = 0.0, 0.0
    most = max(1, int(mask.any(0).long().cumsum(0).argmax()) + 1)  # up to the last position that any row uses
    for some, inside in zip(values[:, :most].split(WINDOW, 1), mask[:, :most].split(WINDOW, 1)):
        rows = inside.any(1)
        states = run(some[rows], inside[rows]).float()
        sums = states.new_zeros(len(rows), states.shape[2])
        sums[rows] = (states * inside[rows][:, :, None]).sum(1)
        total, count = total + sums, count + inside.sum(1, keepdim=True)
    return total / torch.as_tensor(count).clamp(min=1)


def shut(mask: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """(B, 1, 1, T) to be added to attention scores: 0 where there is a token, very low elsewhere."""
    return torch.where(mask, 0.0, -1e4).to(kind)[:, None, None, :]


class AsItIs(nn.Module):
    """Hands on what comes in."""

    exact = True  # numbers of tokens are not to be rounded
    untouched = True

    def forward(self, values: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The same."""
        return values, mask


class Whole(nn.Module):
    """An encoder: token numbers (B, T, 1 or 2) to the mean of all their last states."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, None]:
        """(B, C)."""
        return mean(partial(last_states, self.net), values, mask), None


class Lower(nn.Module):
    """Embeddings and the first layers of an encoder of BERT's form, window by window."""

    def __init__(self, net: Any, above: nn.ModuleList) -> None:
        super().__init__()
        self.embeddings = net.embeddings
        self.layers = net.encoder.layer[: len(net.encoder.layer) - len(above)]

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """States (B, T, C)."""
        found = []
        for some, inside in zip(values.split(WINDOW, 1), mask.split(WINDOW, 1)):
            found.append(through(self.layers, self.embeddings(**tokens(some)), inside))
        return torch.cat(found, 1), mask


class Upper(nn.Module):
    """The last layers: states to the mean of what they give."""

    def __init__(self, layers: nn.ModuleList) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, C)."""
        return mean(partial(through, self.layers), values, mask)


class Tuned(nn.Module):
    """A whole encoder of which only the last layers are trained."""

    def __init__(self, net: nn.Module, tuned: int) -> None:
        super().__init__()
        self.net = net
        self.layers = [*layers_of(net)[-tuned:]]  # a plain list: they are in `net` already
        self.below = before(net, self.layers)
        train_only(net, self.layers)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, C)."""
        return mean(partial(last_states, self.net), values, mask)


def last_states(net: nn.Module, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, T, C) of token numbers."""
    return net(**tokens(values), attention_mask=mask.long()).last_hidden_state


def through(layers: nn.ModuleList, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """States (B, T, C) through layers of BERT's form."""
    for layer in layers:
        states = first(layer(states, shut(mask, states.dtype)))
    return states


def first(found: Any) -> torch.Tensor:
    """The states among what a layer gives."""
    return found[0] if isinstance(found, tuple) else found
