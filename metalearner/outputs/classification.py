"""One of several classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kinds import Denied, Output, State
from ..pictures import Picture
from .calibration import apply_calibration, choose_calibration, softmax
from .pictures import confusion, reliability
from .threshold import BETA, best_threshold

if TYPE_CHECKING:
    import torch

# A class rarer than this share makes plain accuracy say little.
RARE = 0.2
# So many whole numbers may be grades, which an ordinal loss serves.
GRADES = 5


class Classification(Output):
    """Predictions are probabilities (n, classes)."""

    name = "classification"
    metrics = ("accuracy", "balanced-accuracy", "log-loss", "auc", "f1", "recall", "precision")
    losses = ("cross-entropy", "focal", "balanced-cross-entropy", "ordinal")
    finer = "log-loss"

    def claims(self, target: np.ndarray, kind: str) -> float:
        """Sure of words; of numbers only when they are few whole ones."""
        if kind in ("category", "boolean", "text", "identifier"):
            return 1.0
        present = target[np.isfinite(target)]
        distinct = np.unique(present)
        whole = bool(np.all(distinct == np.round(distinct)))
        few = len(distinct) <= max(2, min(20, len(present) // 20))
        return 0.9 if whole and few else 0.0

    def fit(self, target: np.ndarray) -> State:
        """The classes as text with their counts: whole numbers in their order, words by the alphabet."""
        classes, counts = np.unique(_text(target), return_counts=True)
        order = sorted(range(len(classes)), key=lambda i: int(classes[i])) if _whole(classes) else range(len(classes))
        return {"classes": [str(classes[i]) for i in order], "counts": [int(counts[i]) for i in order]}

    def encode(self, state: State, target: np.ndarray) -> np.ndarray:
        """Class codes (n,), -1 for a class that was not in the training rows."""
        code = {c: i for i, c in enumerate(state["classes"])}
        return np.array([code.get(t, -1) for t in _text(target)], dtype=np.int64)

    def width(self, state: State) -> int:
        """One logit a class."""
        return len(state["classes"])

    def activate(self, state: State, raw: np.ndarray) -> np.ndarray:
        """Softmax."""
        return softmax(np.asarray(raw, np.float64))

    def graph(self, state: State, raw: torch.Tensor) -> torch.Tensor:
        """Softmax."""
        return raw.softmax(-1)

    def baseline(self, state: State, target: np.ndarray, rows: int) -> np.ndarray:
        """The class shares of the training rows, for every row."""
        shares = np.bincount(target[target >= 0], minlength=self.width(state)).astype(float)
        return np.tile(shares / shares.sum(), (rows, 1))

    def merge(self, predictions: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """Average of probabilities."""
        return sum(w * p for w, p in zip(weights, predictions))  # type: ignore[return-value]

    def strata(self, target: np.ndarray) -> np.ndarray:
        """The classes themselves."""
        return target.astype(np.int64)

    def calibrate(self, state: State, prediction: np.ndarray, target: np.ndarray) -> State:
        """One temperature, isotonic curves or nothing, by log loss on rows held out of the fit."""
        known = target >= 0
        return choose_calibration(prediction[known], target[known])

    def calibrated(self, calibration: State, prediction: np.ndarray) -> np.ndarray:
        """Probabilities as the calibration has them."""
        return apply_calibration(calibration, prediction)

    def conform(self, state: State, prediction: np.ndarray, target: np.ndarray, level: float) -> State:
        """Split conformal on 1 - p(true class) (Sadinle et al. 2019)."""
        known = target >= 0
        scores = 1 - prediction[known][np.arange(known.sum()), target[known]]
        return {"level": level, "threshold": conformal_quantile(scores, level), "rows": int(known.sum())}

    def regions(self, conformal: State, state: State, prediction: np.ndarray) -> list[Any]:
        """The classes that cannot be ruled out, likeliest first, and always the one decided on."""
        classes = state["classes"]
        order = np.argsort(-prediction, axis=1)
        said = decided(state, prediction)
        return [
            [classes[c] for c in row if 1 - p[c] <= conformal["threshold"] or c == one]
            for row, p, one in zip(order, prediction, said)
        ]

    def covers(self, conformal: State, state: State, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Whether the true class is among those that cannot be ruled out; one that was never seen is not."""
        words, regions = self.words(state, target), self.regions(conformal, state, prediction)
        return np.array([t >= 0 and word in region for t, word, region in zip(target, words, regions)], bool)

    def table(self, state: State, prediction: np.ndarray) -> dict[str, np.ndarray]:
        """`prediction`, the class decided on, and one `p_<class>` a class."""
        classes = np.array(state["classes"])
        columns = {"prediction": classes[decided(state, prediction)]}
        return columns | {f"p_{c}": prediction[:, i] for i, c in enumerate(state["classes"])}

    def pictures(self, state: State, target: np.ndarray, prediction: np.ndarray) -> list[Picture]:
        """Which classes are taken for which, and whether probabilities can be believed."""
        known = target >= 0
        truth, probability = target[known], prediction[known]
        if self.width(state) == 2:
            at = state["classes"].index(positive(state))
            sure, right, of = probability[:, at], truth == at, f"for {positive(state)}"
        else:
            sure, right, of = probability.max(axis=1), truth == probability.argmax(axis=1), "for the likeliest class"
        found = (confusion(state["classes"], target, decided(state, prediction)), reliability(sure, right, of))
        return [picture for picture in found if picture is not None]

    def words(self, state: State, target: np.ndarray) -> list[str]:
        """The classes' names; a class that was never seen has none."""
        return [state["classes"][int(t)] if t >= 0 else "?" for t in target]

    def errors(self, state: State, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Probability that went to other classes than the true one, for rows that were decided wrongly."""
        wrong = (target >= 0) & (decided(state, prediction) != target)
        return np.where(wrong, 1 - prediction[np.arange(len(target)), np.maximum(target, 0)], 0.0)

    def denied(self, state: State, target: np.ndarray, prediction: np.ndarray) -> Denied | None:
        """Errors among the half of the rows that predictions are surest of (after Northcutt et al. 2021).

        Where classes merely overlap hardly any lie there; wrong labels lie anywhere. None where even that half is
        hardly told better than without looking: then it is not the labels.
        """
        known = np.flatnonzero(target >= 0)
        half = known[np.argsort(-prediction[known].max(axis=1), kind="stable")[: len(known) // 2]]
        wrong = prediction.argmax(axis=1) != target
        naive = 1 - np.bincount(target[known]).max() / len(known) if len(known) else 0.0
        if not len(half) or wrong[half].mean() > naive / 2:
            return None
        return Denied(half[wrong[half]], len(half), float(wrong[half].mean() / max(wrong[known].mean(), 1e-12)))

    def problem(self, state: State, rows: int) -> str:
        """A class needs several rows."""
        classes = self.width(state)
        return f"{classes} different values in {rows} rows" if classes > max(50, rows // 2) else ""

    def suit(self, state: State, metric_name: str) -> State:
        """For balanced accuracy each class is weighed by one over its share when a row is decided.

        Where probabilities are right no other decision scores better; they themselves stay as they are.
        """
        if metric_name != "balanced-accuracy":
            return state
        return {**state, "decision": [sum(state["counts"]) / max(1, c) for c in state["counts"]]}

    def decide(
        self, state: State, metric_name: str, goal: float | None, prediction: np.ndarray, target: np.ndarray
    ) -> State:
        """Of two classes, where f1, recall or precision is wanted: the probability from which a row is called positive."""
        if metric_name not in BETA or len(state["classes"]) != 2:
            return state
        at = state["classes"].index(positive(state))
        threshold = best_threshold(prediction[:, at], target == at, metric_name, goal)
        weights = [threshold, threshold]
        weights[at] = 1 - threshold
        return {**state, "decision": weights}

    def choose_metric(self, target: np.ndarray, state: State, sentence: str) -> tuple[str, str]:
        """By the user's words, else by how rare the rarest class is."""
        words = sentence.lower()
        binary = len(state["classes"]) == 2
        named = re.search(r"\b(balanced accuracy|accuracy|f1|auc)\b", words)
        if named and (binary or named[1] not in ("f1", "auc")):
            return named[1].replace(" ", "-"), "the sentence names it"
        if binary and re.search(
            r"miss(ing)? (one|any|a )|worse than a false alarm|catch (all|every)|do not miss", words
        ):
            return "recall", f"missing a '{positive(state)}' is said to be the worse mistake"
        if re.search(r"probabilit|how likely|risk of|chance of", words):
            return "log-loss", "probabilities are asked for"
        if re.search(r"\brank(ed|ing)?\b|priorit", words) and binary:
            return "auc", "a ranking is asked for"
        rarest = float(np.bincount(target, minlength=self.width(state)).min() / max(1, len(target)))
        if rarest * self.width(state) < 2 * RARE and self.width(state) <= 20:
            return "balanced-accuracy", f"the rarest class holds {rarest:.1%} of the rows"
        return "accuracy", f"classes are balanced enough (rarest {rarest:.1%})"

    def choose_loss(self, state: State, metric_name: str, target: np.ndarray) -> tuple[str, str]:
        """Cross-entropy, unless rare classes must be found and the decision does not see to it."""
        if "decision" in state:
            return "cross-entropy", "rare classes are weighed when a row is decided, so probabilities may stay true"
        shares = np.bincount(target[target >= 0], minlength=self.width(state)) / max(1, len(target))
        if metric_name in ("balanced-accuracy", "recall") and shares.min() * self.width(state) < 2 * RARE:
            return "balanced-cross-entropy", (
                f"{metric_name} counts every class alike and the rarest holds {shares.min():.1%} of the rows"
            )
        if _ordered(state):
            return "ordinal", (
                f"the {self.width(state)} classes are whole numbers whose counts rise to one peak and fall again, "
                "so they stand in order"
            )
        return (
            "cross-entropy",
            f"true probabilities serve {metric_name} best; the rarest class holds {shares.min():.1%}",
        )


def decided(state: State, prediction: np.ndarray) -> np.ndarray:
    """Codes (n,) of the classes said: the likeliest, after weighing each class as `state["decision"]` has it."""
    return (prediction * np.asarray(state.get("decision", 1.0))).argmax(axis=1)


def positive(state: State) -> str:
    """The class a binary question is about: a yes-word, else the rarer one."""
    classes = state["classes"]
    for c in classes:
        if c.lower() in ("1", "1.0", "yes", "true", "y", "t", "positive", "pos"):
            return c
    counts = state.get("counts", [1] * len(classes))
    return classes[int(np.argmin(counts))]


def _ordered(state: State) -> bool:
    """Whether classes look like grades: enough whole numbers whose counts have a single, clear peak.

    Codes of things (digits, kinds) are whole numbers too, but their counts have no such shape: of five in any order one
    in eight has a single peak, of seven one in eighty.
    """
    counts = np.asarray(state["counts"])
    if len(counts) < GRADES or not _whole(state["classes"]) or counts.min() * 2 > counts.max():
        return False
    steps = np.sign(np.diff(counts))
    return bool(np.all(np.diff(steps[steps != 0]) <= 0))


def _whole(classes: Iterable[str]) -> bool:
    """Whether all classes are whole numbers."""
    return all(re.fullmatch(r"-?[0-9]{1,15}", str(c)) for c in classes)


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """The ceil((n + 1) level)-th smallest score; the largest possible when n is too small for the level."""
    n = len(scores)
    rank = int(np.ceil((n + 1) * level))
    return float(np.sort(scores)[rank - 1]) if 0 < rank <= n else float("1e308")


def _text(target: np.ndarray) -> np.ndarray:
    """Labels as text, whole numbers without a decimal point."""
    target = np.asarray(target)
    if target.dtype.kind == "f":
        return np.array([str(int(t)) if np.isfinite(t) and t == int(t) else repr(float(t)) for t in target])
    if target.dtype.kind == "b":
        return np.where(target, "true", "false")
    return target.astype(str)
