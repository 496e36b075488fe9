"""What a plugin fills in: one abstract class a kind, a handful of methods each. No torch at run time.

A kind has a `name`, unique among its kind and kebab-case. Instances are stateless: what is fitted is
returned as JSON-able state or as a Model, never kept on the kind.
"""

from __future__ import annotations

from ..ranges import Choice, Float, Int, Name, Range
from .data import Cell, Modality, Probe, Sight, Source, Transform
from .forms import Form, Network, Target
from .grammar import POLICIES, Family, Loss, Optimiser, Part, Production, Slot
from .health import Check
from .learning import Aim, Fitted, Learner, Model, Rung
from .outputs import Denied, Metric, Output, State
from .search import Begin, Executor, Job, Moment, Prior, Proposer, Scope, Searcher
from .transfer import Backbone, Pretrained
from .watching import Callback, Observer

__all__ = [
    "POLICIES",
    "Aim",
    "Backbone",
    "Begin",
    "Callback",
    "Cell",
    "Check",
    "Choice",
    "Denied",
    "Executor",
    "Family",
    "Fitted",
    "Float",
    "Form",
    "Int",
    "Job",
    "Learner",
    "Loss",
    "Metric",
    "Modality",
    "Model",
    "Moment",
    "Name",
    "Network",
    "Observer",
    "Optimiser",
    "Output",
    "Part",
    "Pretrained",
    "Prior",
    "Probe",
    "Production",
    "Proposer",
    "Range",
    "Rung",
    "Scope",
    "Searcher",
    "Sight",
    "Slot",
    "Source",
    "State",
    "Target",
    "Transform",
]
