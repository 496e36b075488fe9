"""Words that this program uses and not everybody knows, a sentence or two each."""

from __future__ import annotations

from .errors import UserError, unknown

WORDS = {
    "accuracy": "The share of rows for which the right class is said.",
    "auc": "How well yes is ranked above no: 0.5 by chance, 1 perfect.",
    "balanced accuracy": "Accuracy in which every class counts alike, however rare it is.",
    "baseline": "What one gets without looking at the inputs: always the commonest class, or always the mean. A model must beat it.",
    "bundle": "The folder with the packaged model: everything that predicting needs, in files that anybody can read.",
    "budget": "The time that a run may take. It ends within it, with the best found by then.",
    "calibration": "Makes probabilities honest: of rows said to be 80 % sure, 80 % shall be right.",
    "confusion matrix": "A table of how often each class was called what. The diagonal is right.",
    "coverage": "The share of rows whose truth lies within the interval or set that was given. It should be what was promised.",
    "ensemble": "Several models that answer together, weighted; better than each alone.",
    "f1": "Between recall and precision: high only when both are.",
    "family": "A kind of model, trees or a kind of network say, with numbers that search chooses.",
    "fold": "A part of the rows that is held out while a model learns from the others, so that it can be judged on it.",
    "forecast": "What past runs on similar data let expect, before anything is trained.",
    "interval": "Where the score would lie for 95 of 100 other samples of as many rows.",
    "landmarker": "A cheap learner whose score tells something of the data.",
    "log-loss": "Punishes probabilities that were sure and wrong; less is better.",
    "mae": "How far off predictions are on average, in the target's own unit.",
    "metric": "How the answers are scored.",
    "neighbour": "A past data set that looks like this one. What won there is tried first.",
    "odds": "How likely each family is to be the best here, judged by the data and by past runs.",
    "out of fold": "Predicted by models that had not learnt from the row.",
    "permutation importance": "How much worse the score gets when one column is shuffled: what the model relies on.",
    "precision": "Of the rows that were called yes, the share that is.",
    "probe": "A quick measurement of the data: is there order, periodicity, structure?",
    "r2": "The share of the differences between rows that is explained: 0 the mean, 1 perfect.",
    "recall": "Of the rows that are yes, the share that was found.",
    "reliability": "Whether a probability of 80 % is right in 80 of 100 cases.",
    "residual": "True minus predicted: what the model left over.",
    "rmse": "How far off predictions are, large errors counted more, in the target's own unit.",
    "sealed test": "Rows put aside at the start and opened once, at the end: the score on them is honest.",
    "shift": "New rows that no longer look like those learnt from.",
    "skill": "A score between the naive baseline (0) and perfect (1), so that it can be compared between data sets.",
    "target": "The column to predict.",
    "trial": "One configuration fitted and scored.",
}  # fmt: skip


def meaning(word: str) -> str:
    """What a word means; empty where nothing is known of it."""
    return WORDS.get(word.strip().lower(), WORDS.get(word.strip().lower().replace("-", " "), ""))


def explain(word: str) -> str:
    """What a word means. Raises UserError with the nearest word when it is not known."""
    if found := meaning(word):
        return found
    raise UserError(*unknown("word", word, WORDS, ""))
