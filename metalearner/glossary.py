"""Words that this program uses and not everybody knows, a sentence or two each."""

from __future__ import annotations

from .errors import UserError, unknown

WORDS = {
    "accuracy": "The share of rows for which the right class is said.",
    "activation": "The bend between the layers of a network, without which all of them together were one straight line.",
    "auc": "How well yes is ranked above no: 0.5 by chance, 1 perfect.",
    "augment": "How strongly rows are changed while a network learns, so that it learns what does not matter: 0 not at all.",
    "augmentation": "Rows changed a little while a network learns, so that it learns what does not matter. Which ways help is searched.",
    "balanced accuracy": "Accuracy in which every class counts alike, however rare it is.",
    "baseline": "What one gets without looking at the inputs: always the commonest class, or always the mean. A model must beat it.",
    "batch size": "Rows that a network looks at between two steps.",
    "budget": "The time that a run may take. It ends within it, with the best found by then.",
    "bundle": "The folder with the packaged model: everything that predicting needs, in files that anybody can read.",
    "calibration": "Makes probabilities honest: of rows said to be 80 % sure, 80 % shall be right.",
    "channels": "The policy that jitters colours of pictures, or blanks bands and stretches of spectra (SpecAugment).",
    "confusion matrix": "A table of how often each class was called what. The diagonal is right.",
    "coverage": "The share of rows whose truth lies within the interval or set that was given. It should be what was promised.",
    "depth": "Layers, or blocks, one after the other.",
    "dropout": "The share of a network's signals that is silenced by chance while it learns, so that it relies on no single one.",
    "ema": "How much of the weights' past is averaged into them: 0 none, .998 some 500 steps.",
    "ensemble": "Several models that answer together, weighted; better than each alone.",
    "epochs": "How often a network may go through all rows, at most.",
    "f1": "Between recall and precision: high only when both are.",
    "family": "A kind of model, trees or a kind of network say, with numbers that search chooses.",
    "flip": "Whether pictures may be mirrored: wrong for letters, digits, left and right hands.",
    "fold": "A part of the rows that is held out while a model learns from the others, so that it can be judged on it.",
    "forecast": "What past runs on similar data let expect, before anything is trained.",
    "interval": "Where the score would lie for 95 of 100 other samples of as many rows.",
    "kernel": "Of a convolution, how many neighbours it looks at at once; of kernel ridge, how nearness fades with distance.",
    "label smoothing": "How much a network is kept from being too sure of its labels.",
    "landmarker": "A cheap learner whose score tells something of the data.",
    "learning rate": "How large the steps are by which a model learns.",
    "leaves": "Ends of a tree: the more, the finer it tells rows apart, and the sooner it learns by heart.",
    "log-loss": "Punishes probabilities that were sure and wrong; less is better.",
    "lr": "The learning rate: how large the steps are by which a network learns.",
    "mae": "How far off predictions are on average, in the target's own unit.",
    "metric": "How the answers are scored.",
    "mixup": "Two rows mixed into one, with both their answers, so that a network changes gently from one to the other.",
    "neighbour": "A past data set that looks like this one. What won there is tried first.",
    "norm": "What brings signals between layers back to a common scale, so that deep networks learn at all.",
    "odds": "How likely each family is to be the best here, judged by the data and by past runs.",
    "optimiser": "The rule by which a network's weights follow the slope of the loss.",
    "out of fold": "Predicted by models that had not learnt from the row.",
    "patience": "Epochs without progress after which a network stops learning.",
    "penalty": "How strongly large coefficients are held down.",
    "permutation importance": "How much worse the score gets when one column is shuffled: what the model relies on.",
    "policy": "Which augmentations are used beside the basic ones.",
    "precision": "Of the rows that were called yes, the share that is.",
    "probe": "A quick measurement of the data: is there order, periodicity, structure?",
    "r2": "The share of the differences between rows that is explained: 0 the mean, 1 perfect.",
    "random 1": "RandAugment: one operation out of thirteen is drawn for each picture, such as contrast, sharpness, shearing.",
    "random 2": "RandAugment: two operations out of thirteen are drawn for each picture; in spectra up to two masks.",
    "recall": "Of the rows that are yes, the share that was found.",
    "reliability": "Whether a probability of 80 % is right in 80 of 100 cases.",
    "residual": "True minus predicted: what the model left over.",
    "rmse": "How far off predictions are, large errors counted more, in the target's own unit.",
    "rounds": "Trees that follow one another, each mending what those before left over.",
    "schedule": "How the learning rate changes from beginning to end.",
    "sealed test": "Rows put aside at the start and opened once, at the end: the score on them is honest.",
    "search space": "All values that search may give to the numbers of models. Where you know better, less of it makes the search quicker.",
    "shift": "New rows that no longer look like those learnt from.",
    "skill": "A score between the naive baseline (0) and perfect (1), so that it can be compared between data sets.",
    "spectrum": "How much of each pitch sounds, over time: recordings as networks see them.",
    "stages": "Parts of a network, each seeing its input more coarsely than the one before.",
    "target": "The column to predict.",
    "trial": "One configuration fitted and scored.",
    "warmup": "The share of learning in which the steps grow to their full size.",
    "weight decay": "How strongly weights are drawn towards zero.",
    "wrong labels": "Rows whose given answer is denied by models that had not seen them. Some are mistakes; look at them.",
    "width": "Numbers that a layer passes on for each row or place.",
}  # fmt: skip


def meaning(word: str) -> str:
    """What a word means; empty where nothing is known of it."""
    said = word.strip().lower()
    return WORDS.get(said, WORDS.get(said.replace("-", " ").replace("_", " "), ""))


def explain(word: str) -> str:
    """What a word means. Raises UserError with the nearest word when it is not known."""
    if found := meaning(word):
        return found
    raise UserError(*unknown("word", word, WORDS, ""))
