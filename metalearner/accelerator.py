"""What computes large networks faster than the processor does, where torch finds it."""

from __future__ import annotations

import os
from functools import cache

# Environment variable that keeps networks off an accelerator that is there: METALEARNER_DEVICE=cpu.
OVERRIDE = "METALEARNER_DEVICE"


@cache
def device() -> str | None:
    """Torch's name of it: "cuda", or None. Imports torch.

    A network is brought there by `module.to(...)`, so whatever tensors it holds are parameters or buffers.
    """
    import torch

    return "cuda" if os.environ.get(OVERRIDE) != "cpu" and torch.cuda.is_available() else None
