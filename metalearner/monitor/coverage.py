"""Whether regions still hold as many of the true answers as they promise."""

from __future__ import annotations

import numpy as np

from ..predictor import Predictor
from .report import Coverage

# Chance of calling coverage too low when it is not.
ALPHA = 0.05


def coverage(predictor: Predictor, target: np.ndarray, prediction: np.ndarray) -> Coverage | None:
    """How many of rows with an encoded target (n,) lie in the conformal region of their prediction (n, k).

    The interval is Clopper and Pearson's (1934). How many should lie there, of exchangeable rows, follows a beta-binomial law
    (Vovk 2012), which also knows that the region was fitted on few rows itself. None without regions or rows.
    """
    from scipy.stats import beta, betabinom

    conformal = dict(predictor.conformal)
    if not conformal.get("level") or not len(target):
        return None
    covered = predictor.output.covers(conformal, predictor.state, prediction, target)
    if covered is None:
        return None
    n, k, level, fitted_on = len(covered), int(covered.sum()), float(conformal["level"]), int(conformal.get("rows", 0))
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    rank = int(np.ceil((fitted_on + 1) * level))
    # Fitted on too few rows regions hold everything.
    less = rank <= fitted_on and bool(betabinom.cdf(k, n, rank, fitted_on + 1 - rank) <= ALPHA)
    return Coverage(k / n, low, high, n, level, less)
