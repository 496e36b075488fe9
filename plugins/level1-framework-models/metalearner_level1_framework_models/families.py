"""Named network architectures as families: for each the presets to try first, the best for small data in front.

A preset names only what differs from the defaults of its encoder and of the recipe. No torch here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metalearner.kinds import Family
from metalearner.records import Config, View

from .encoders import ENCODERS

Numbers = Mapping[str, Any]


def network(encoder: str, numbers: Numbers, recipe: Numbers) -> Config:
    """The derivation of a network with one encoder, trained by the one recipe.

    >>> network("mlp", {"width": 64}, {"lr": 0.002}).parts["encoder"][0].numbers
    {'width': 64}
    """
    parts = {"encoder": (Config(encoder, dict(numbers)),), "recipe": (Config("gradient", dict(recipe)),)}
    return Config("net", {}, parts)


def single(encoder: str) -> Callable[[Mapping[str, View]], bool]:
    """Whether there is one view and this encoder takes it."""
    accepts = next(e for e in ENCODERS if e.name == encoder).accepts

    def one_view(views: Mapping[str, View]) -> bool:
        return len(views) == 1 and all(accepts(view) for view in views.values())

    return one_view


def family(encoder: str, summary: str, presets: Sequence[tuple[Numbers, Numbers]], tags: tuple[str, ...]) -> Family:
    """A family of one encoder, named after it."""
    configs = tuple(network(encoder, numbers, recipe) for numbers, recipe in presets)
    return Family(encoder, summary, configs, single(encoder), level=1, tags=tags)


ORDERLESS = [
    family(
        "mlp",
        "Multi-layer perceptron over the flattened view: no assumption about order, cheap.",
        [
            ({}, {"lr": 2e-3, "epochs": 60}),
            (
                {"depth": 3, "width": 256, "dropout": 0.3, "activation": "silu"},
                {"lr": 1e-3, "weight_decay": 0.05, "epochs": 80, "label_smoothing": 0.1, "patience": 16},
            ),
            (
                {"depth": 1, "width": 64, "dropout": 0.0, "norm": "none", "activation": "selu"},
                {"lr": 5e-3, "weight_decay": 0.1, "batch_size": 32, "epochs": 50},
            ),
        ],
        ("dense",),
    ),
    family(
        "deep-sets",
        "The same perceptron for each element of a set, pooled: for elements whose order means nothing.",
        [
            ({}, {"lr": 2e-3, "epochs": 60}),
            (
                {"depth": 3, "width": 128, "dropout": 0.25},
                {"lr": 1e-3, "weight_decay": 0.05, "epochs": 80, "label_smoothing": 0.1, "patience": 16},
            ),
        ],
        ("set",),
    ),
]  # fmt: skip

TABLES = [
    family(
        "ft-transformer",
        "Every column a token and a Transformer over them: for columns that matter in combination.",
        [
            ({}, {"lr": 2e-3, "weight_decay": 1e-4, "epochs": 40}),
            (
                {"width": 64, "dropout": 0.2},
                {"lr": 1e-3, "weight_decay": 1e-3, "batch_size": 128, "epochs": 40},
            ),
            (
                {"width": 24, "heads": 2, "blocks": 1, "dropout": 0.25},
                {"lr": 3e-3, "weight_decay": 0.05, "batch_size": 32, "epochs": 50},
            ),
        ],
        ("attention",),
    ),
]  # fmt: skip

IMAGES = [
    family(
        "resnet",
        "Residual convolutions: neighbouring pixels belong together, whatever their place.",
        [
            (
                {"width": 32, "dropout": 0.2},
                {
                    "lr": 3e-3, "weight_decay": 0.05, "epochs": 40, "label_smoothing": 0.05, "patience": 14, "augment": 0.5,
                    "mixup": 0.1, "ema": 0.99,
                },
            ),
            ({}, {"lr": 2e-3, "weight_decay": 0.02, "epochs": 30, "patience": 8}),
            (
                {"depth": 2, "drop_path": 0.1, "dropout": 0.2},
                {"lr": 2e-3, "weight_decay": 0.05, "epochs": 35, "schedule": "one-cycle", "label_smoothing": 0.1, "patience": 12},
            ),
            (
                {"width": 16, "stages": 2, "norm": "before"},
                {"lr": 4e-3, "weight_decay": 0.01, "batch_size": 32, "epochs": 25, "patience": 8},
            ),
            (
                {"width": 16, "resolution": 32, "norm": "before", "dropout": 0.2},
                {"lr": 3e-3, "weight_decay": 0.05, "epochs": 30, "patience": 8},
            ),
        ],
        ("convolution",),
    ),
    family(
        "mobilenet",
        "Inverted residuals with depthwise convolutions: small and quick to serve.",
        [
            ({}, {"lr": 3e-3, "weight_decay": 0.02, "epochs": 30, "patience": 8}),
            (
                {"width_factor": 0.5, "expansion": 2, "dropout": 0.05},
                {"lr": 5e-3, "weight_decay": 0.01, "batch_size": 32, "epochs": 30, "patience": 8},
            ),
            (
                {"width_factor": 1.25, "expansion": 4, "dropout": 0.25},
                {"lr": 2e-3, "weight_decay": 0.05, "epochs": 35, "label_smoothing": 0.1, "patience": 12},
            ),
        ],
        ("convolution", "depthwise"),
    ),
    family(
        "efficientnet",
        "MBConv with squeeze and excite, width and depth scaled together: few parameters for its accuracy.",
        [
            ({}, {"lr": 3e-3, "weight_decay": 0.02, "epochs": 35, "patience": 9}),
            (
                {"compound": 2.0, "drop_path": 0.15, "dropout": 0.2},
                {"lr": 2e-3, "weight_decay": 0.05, "epochs": 35, "label_smoothing": 0.1, "patience": 12},
            ),
            (
                {"compound": 1.0, "resolution": 8, "dropout": 0.2},
                {"lr": 3e-3, "weight_decay": 0.02, "batch_size": 128, "epochs": 30, "schedule": "one-cycle", "patience": 10},
            ),
        ],
        ("convolution", "depthwise"),
    ),
]  # fmt: skip

SEQUENCES = [
    family(
        "resnet-1d",
        "Residual convolutions along time: local shapes, wherever they occur.",
        [
            (
                {"width": 16, "stages": 4, "kernel": 11},
                {"lr": 5e-3, "weight_decay": 0.02, "epochs": 50},
            ),
            ({"dropout": 0.2}, {"lr": 5e-3, "weight_decay": 0.02, "epochs": 40}),
            (
                {"depth": 2, "stages": 4, "length": 512, "dropout": 0.3},
                {"lr": 3e-3, "weight_decay": 0.05, "epochs": 50, "schedule": "one-cycle", "label_smoothing": 0.1, "patience": 20},
            ),
        ],
        ("convolution",),
    ),
    family(
        "inception-time",
        "Convolutions of three lengths side by side: shapes short and long at once.",
        [
            ({}, {"lr": 4e-3, "weight_decay": 0.02, "epochs": 40}),
            (
                {"depth": 6, "dropout": 0.2},
                {"lr": 3e-3, "weight_decay": 0.02, "epochs": 50, "label_smoothing": 0.05, "patience": 15},
            ),
            (
                {"width": 8, "kernel": 19, "length": 256},
                {"lr": 6e-3, "weight_decay": 0.01, "epochs": 50},
            ),
        ],
        ("convolution", "long-kernel"),
    ),
    family(
        "recurrent",
        "GRU or LSTM: a state carried along, for series whose order and history matter.",
        [
            ({}, {"lr": 3e-3, "weight_decay": 0.01, "epochs": 50}),
            (
                {"cell": "lstm", "dropout": 0.2},
                {"lr": 3e-3, "weight_decay": 0.01, "epochs": 60, "patience": 15},
            ),
            (
                {"cell": "gru", "bidirectional": False, "width": 32, "steps": 32},
                {"lr": 6e-3, "weight_decay": 0.02, "batch_size": 32, "epochs": 50},
            ),
            (
                {"cell": "lstm", "width": 96, "layers": 2, "steps": 32, "dropout": 0.3},
                {"lr": 1.5e-3, "weight_decay": 0.03, "epochs": 60, "label_smoothing": 0.1, "patience": 15},
            ),
        ],
        ("recurrent",),
    ),
    family(
        "sequence-transformer",
        "Attention over patches of a series: distant parts compared directly.",
        [
            ({}, {"lr": 2e-3, "weight_decay": 0.02, "epochs": 40, "warmup": 0.1}),
            (
                {"width": 32, "blocks": 1, "tokens": 32, "dropout": 0.2},
                {"lr": 3e-3, "weight_decay": 0.05, "batch_size": 32, "epochs": 60, "warmup": 0.1, "patience": 15},
            ),
            (
                {"blocks": 3, "tokens": 32, "dropout": 0.3},
                {"lr": 7e-4, "weight_decay": 0.1, "epochs": 60, "warmup": 0.1, "label_smoothing": 0.1, "patience": 20},
            ),
        ],
        ("attention",),
    ),
]  # fmt: skip

MIXED = [
    family(
        "mlp-mixer",
        "Perceptrons over patches and over channels in turn: places that differ, without convolution or attention.",
        [
            ({}, {"lr": 2e-3, "weight_decay": 0.05, "epochs": 40, "warmup": 0.1}),
            (
                {"width": 32, "blocks": 2, "dropout": 0.2},
                {"lr": 4e-3, "weight_decay": 0.05, "batch_size": 32, "epochs": 50, "warmup": 0.1, "patience": 15},
            ),
        ],
        ("token-mlp",),
    ),
]  # fmt: skip

NET_FAMILIES: list[Family] = [*ORDERLESS, *TABLES, *IMAGES, *SEQUENCES, *MIXED]
