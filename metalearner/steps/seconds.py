"""How the seconds of a run are shared out: what follows the search has some kept back for it."""

from __future__ import annotations

import numpy as np

from ..search import Budget

# Seconds at the end of a run that belong to ensemble, evaluation and packaging: a share of the budget, bounded.
RESERVE_SHARE, RESERVE_LEAST, RESERVE_MOST = 0.08, 2.5, 15.0
# Of the budget, what predicting the rows kept apart may take beyond that.
OWED_MOST = 0.3
# Seconds for it that there always are: cheap models are not left out because somebody is in a hurry.
OWED_LEAST = 1.0
# The share of the reserve that selecting and packaging take.
AFTERWARDS = 0.6


def reserve(budget: Budget) -> float:
    """Seconds kept back for what follows the search."""
    return float(np.clip(RESERVE_SHARE * budget.seconds, RESERVE_LEAST, RESERVE_MOST)) if budget.seconds else 0.0
