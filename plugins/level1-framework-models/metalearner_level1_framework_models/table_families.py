"""Families of networks for tables: the presets to try first, the best for small data in front."""

from __future__ import annotations

from metalearner.kinds import Family

from .families import family

TABLE_FAMILIES: list[Family] = [
    family(
        "tabm",
        "Many perceptrons in one over embedded columns, after TabM and RealMLP: the strongest network on most tables.",
        [
            # on few watched rows a best epoch is mostly luck: hence averaged weights and much patience
            ({}, {"lr": 5e-3, "batch_size": 48, "epochs": 60, "patience": 25, "ema": 0.99}),
            # large and fast: for many classes and for smooth numbers with little noise
            (
                {"depth": 3, "width": 192, "activation": "silu"},
                {"lr": 0.01, "epochs": 50},
            ),
            (
                {"members": 12, "depth": 3, "embedding": "piecewise", "embedding_width": 6},
                {"lr": 3e-3, "weight_decay": 0.003, "batch_size": 128, "epochs": 50},
            ),
            (
                {
                    "members": 1, "depth": 3, "width": 256, "dropout": 0.15, "activation": "selu", "parametric": True,
                    "frequency": 0.1,
                },
                {"lr": 3e-3, "weight_decay": 0.02, "batch_size": 128, "epochs": 80, "label_smoothing": 0.1, "patience": 16},
            ),
            (
                {"members": 16, "depth": 1, "width": 64, "dropout": 0.3, "embedding": "plain"},
                {"lr": 8e-3, "weight_decay": 0.1, "epochs": 50},
            ),
        ],
        ("dense", "ensemble"),
    ),
]  # fmt: skip
