"""Conformance suites for plugin authors: each checks one kind against its contract.

They raise AssertionError with a sentence that says which promise was broken. The project runs them over
everything it brings; run them over yours:

    from metalearner.testing import check_production
    check_production(MyBlock(), View((Axis("time", 64),), 3))
"""

from .callbacks import check_callback
from .data import check_modality, check_transform
from .learners import check_learner
from .operations import check_operation
from .outputs import check_loss, check_metric, check_output
from .productions import check_features, check_production, lying, random_inputs, rows_of_lengths

__all__ = [
    "check_callback",
    "check_features",
    "check_learner",
    "check_loss",
    "check_metric",
    "check_modality",
    "check_operation",
    "check_output",
    "check_production",
    "check_transform",
    "lying",
    "random_inputs",
    "rows_of_lengths",
]
