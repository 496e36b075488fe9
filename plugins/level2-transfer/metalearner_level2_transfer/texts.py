"""Text encoders of transformers, cut where their form is known."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from metalearner.arrays import Tensor
from metalearner.kinds import Pretrained

from .folders import quietly
from .lists import longest_list

# Tokens of a window: longer texts are read window by window. Lengths are multiples of STEP, so that a row's does not
# depend on what comes with it.
WINDOW, STEP = 256, 16


class Encoder(Pretrained):
    """An encoder with its tokeniser."""

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        self.net, self.tokenizer = model.eval(), tokenizer

    def prepare(self, raw: Sequence[np.ndarray], numbers: Mapping[str, Any]) -> Tensor:
        """Token numbers as float32 (n, T, 1): of several texts a row, one after the other as the tokeniser joins them."""
        texts = [decoded(view) for view in raw]
        first = texts[0]
        second = None if len(texts) == 1 else [" ".join(more) for more in zip(*texts[1:])]
        length = int(numbers["length"])
        with quietly():
            given = self.tokenizer(first, second, truncation=True, max_length=length, padding="longest",
                                   pad_to_multiple_of=STEP, return_tensors="np")  # fmt: skip
        ids = np.asarray(given["input_ids"], np.float32)
        return Tensor(ids[:, :, None], mask=np.asarray(given["attention_mask"], bool))

    def lower(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """All layers and the mean of their states; or the embeddings and the first layers."""
        split = cut(self.net, tuned) if 0 < tuned < layers_of(self.net) else None
        if tuned and split is None:
            return AsItIs()
        return Whole(self.net) if split is None else Lower(self.net, split)

    def upper(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """The layers above; where they cannot be cut off, the whole encoder with only these of it trained."""
        split = cut(self.net, tuned) if tuned < layers_of(self.net) else None
        if split is not None:
            return Upper(copy.deepcopy(split))
        net = copy.deepcopy(self.net)
        return Tuned(net, longest_list(net)[-tuned:])


def decoded(values: np.ndarray) -> list[str]:
    """UTF-8 bytes (n, longest), filled up with 0, as texts."""
    return [row.tobytes().rstrip(b"\0").decode("utf-8", "replace") or " " for row in np.ascontiguousarray(values)]


def layers_of(net: nn.Module) -> int:
    """Layers of an encoder."""
    return len(longest_list(net))


def cut(net: nn.Module, tuned: int) -> nn.ModuleList | None:
    """The last layers of an encoder of BERT's form, which take states and a mask; None for other forms."""
    from transformers.models.bert.modeling_bert import BertModel

    return net.encoder.layer[len(net.encoder.layer) - tuned :] if isinstance(net, BertModel) else None


def mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean (B, C) of states (B, T, C) where the mask (B, T) is True."""
    weight = mask.to(states.dtype)[:, :, None]
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def shut(mask: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """(B, 1, 1, T) to be added to attention scores: 0 where there is a token, very low elsewhere."""
    return torch.where(mask, 0.0, -1e4).to(kind)[:, None, None, :]


class AsItIs(nn.Module):
    """Hands on what comes in."""

    exact = True  # numbers of tokens are not to be rounded

    def forward(self, values: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The same."""
        return values, mask


class Whole(nn.Module):
    """An encoder: token numbers (B, T, 1) to the mean of all their last states, window by window."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, None]:
        """(B, C)."""
        total, count = 0.0, 0.0
        for ids, inside in zip(values[:, :, 0].long().split(WINDOW, 1), mask.split(WINDOW, 1)):
            some = inside.any(1)
            states = self.net(input_ids=ids[some], attention_mask=inside[some].long()).last_hidden_state.float()
            sums = torch.zeros(len(ids), states.shape[2], device=states.device)
            sums[some] = (states * inside[some][:, :, None]).sum(1)
            total, count = total + sums, count + inside.sum(1, keepdim=True)
        return total / torch.as_tensor(count).clamp(min=1), None


class Lower(nn.Module):
    """Embeddings and the first layers of an encoder of BERT's form, of a text's first window."""

    def __init__(self, net: Any, above: nn.ModuleList) -> None:
        super().__init__()
        self.embeddings = net.embeddings
        self.layers = net.encoder.layer[: len(net.encoder.layer) - len(above)]

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """States (B, T, C)."""
        values, mask = values[:, :WINDOW], mask[:, :WINDOW]
        states = self.embeddings(input_ids=values[:, :, 0].long())
        for layer in self.layers:
            states = first(layer(states, shut(mask, states.dtype)))
        return states, mask


class Upper(nn.Module):
    """The last layers: states to the mean of what they give."""

    def __init__(self, layers: nn.ModuleList) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, C)."""
        most = _used(mask)
        states, mask = values[:, :most], mask[:, :most]
        for layer in self.layers:
            states = first(layer(states, shut(mask, states.dtype)))
        return mean(states.float(), mask)


class Tuned(nn.Module):
    """A whole encoder of which only some layers are trained."""

    def __init__(self, net: nn.Module, layers: nn.ModuleList) -> None:
        super().__init__()
        self.net = net
        self.layers = [*layers]  # a plain list: they are in `net` already
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        for layer in self.layers:
            for parameter in layer.parameters():
                parameter.requires_grad_(True)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, C) of a text's first window."""
        most = min(WINDOW, _used(mask))
        ids, mask = values[:, :most, 0].long(), mask[:, :most]
        return mean(self.net(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float(), mask)


def first(found: Any) -> torch.Tensor:
    """The states among what a layer gives."""
    return found[0] if isinstance(found, tuple) else found


def _used(mask: torch.Tensor) -> int:
    """Positions up to the last one that any row uses."""
    return max(1, int(mask.any(0).long().cumsum(0).argmax()) + 1)
