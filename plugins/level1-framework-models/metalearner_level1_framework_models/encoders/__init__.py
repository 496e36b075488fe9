"""Whole encoders: named points of the grammar, and those that are no point of it. No torch until `build`."""

from metalearner.kinds import Production

from .images import EfficientNetEncoder, MobileNetEncoder, ResNetEncoder
from .mixers import MLPMixerEncoder
from .orderless import DeepSetsEncoder, FTTransformerEncoder, MLPEncoder
from .pictured import FoldedResNetEncoder
from .sequences import InceptionTimeEncoder, RecurrentEncoder, ResNet1dEncoder, SequenceTransformerEncoder
from .tabm import TabMEncoder

ENCODERS: list[Production] = [
    MLPEncoder(),
    DeepSetsEncoder(),
    TabMEncoder(),
    FTTransformerEncoder(),
    ResNetEncoder(),
    MobileNetEncoder(),
    EfficientNetEncoder(),
    ResNet1dEncoder(),
    InceptionTimeEncoder(),
    RecurrentEncoder(),
    SequenceTransformerEncoder(),
    MLPMixerEncoder(),
    FoldedResNetEncoder(),
]
