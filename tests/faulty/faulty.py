"""A plugin whose families fail when they are asked, each at another question."""

from metalearner.hookspecs import hookimpl
from metalearner.kinds import Family, Learner
from metalearner.records import Config


class Stumbling(Learner):
    name = "stumbling"

    def accepts(self, views, output):
        raise KeyError("axes")

    def fit(self, configs, folds, aim, upto, resume):
        raise NotImplementedError

    def load(self, folder, aim):
        raise NotImplementedError


def blind(views):
    return views["picture"].channels == 3


def hopeful(numbers):
    raise ValueError("how many rows? None is no number")


@hookimpl
def register_learners():
    return [Stumbling()]


@hookimpl
def register_families():
    usual = (Config("linear"),)
    return [
        Family("blind", "Looks for a picture.", usual, blind),
        Family("stumbler", "Its learner fails.", (Config("stumbling"),), lambda views: True),
        Family("hopeful", "Fails on evidence.", usual, lambda views: True, evidence=hopeful),
    ]
