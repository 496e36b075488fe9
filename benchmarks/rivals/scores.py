"""How good predictions are, against rows that no method has seen the target of."""

from __future__ import annotations

import numpy as np
import pandas as pd

SMALLEST = 1e-6  # a probability below counts as this


def score(predictions: pd.DataFrame, truth: np.ndarray) -> dict[str, float]:
    """Accuracy and log-loss of classes, R2 of numbers. Raises ValueError when rows are missing."""
    if len(predictions) != len(truth):
        raise ValueError(f"{len(predictions)} predictions for {len(truth)} rows")
    if truth.dtype.kind == "f":
        guess = predictions["prediction"].to_numpy(float)
        if not np.isfinite(guess).all():
            raise ValueError("predictions that are not finite")
        return {"score": float(1 - ((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())}
    said = predictions["prediction"].astype(str).to_numpy()
    classes = [c.removeprefix("p_") for c in predictions if c.startswith("p_")]
    chances = np.clip(predictions[[f"p_{c}" for c in classes]].to_numpy(float), SMALLEST, 1)
    chances /= chances.sum(axis=1, keepdims=True)
    at = {c: i for i, c in enumerate(classes)}
    given = [chances[i, at[t]] if t in at else SMALLEST for i, t in enumerate(truth)]
    return {"score": float((said == truth).mean()), "log_loss": float(-np.log(given).mean())}


def baseline(known: np.ndarray, truth: np.ndarray) -> float:
    """What the score is for the commonest class of the training rows; 0, by its definition, for R2."""
    if truth.dtype.kind == "f":
        return 0.0
    values, counts = np.unique(known, return_counts=True)
    return float((truth == values[counts.argmax()]).mean())


def skill(score: float | None, baseline: float) -> float:
    """The share of the naive baseline's shortfall that is won: 0 for the baseline, for worse and for no answer, 1 for no error."""
    return 0.0 if score is None else max(0.0, (score - baseline) / (1 - baseline)) if baseline < 1 else 0.0
