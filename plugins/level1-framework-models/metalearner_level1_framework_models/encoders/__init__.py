"""The encoders as productions: which views each takes, its numbers, and how it is built. No torch until `build`."""

from .encoder import Encoder
from .images import EfficientNetEncoder, MobileNetEncoder, ResNetEncoder
from .orderless import DeepSetsEncoder, MLPEncoder
from .sequences import InceptionTimeEncoder, RecurrentEncoder, ResNet1dEncoder, SequenceTransformerEncoder
from .tables import FTTransformerEncoder, TabMEncoder

ENCODERS: list[Encoder] = [
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
]
