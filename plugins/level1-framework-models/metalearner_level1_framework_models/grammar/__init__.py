"""The productions of the grammar of networks, and the types they agree on. No torch until `build`."""

from metalearner.kinds import Production

from .blocks import BLOCKS, DOWNS
from .mixers import MIXERS
from .stacks import NORMS, POOLS, STACKS
from .tokenisers import TOKENISERS

PRIMITIVES: list[Production] = [*STACKS, *TOKENISERS, *DOWNS, *BLOCKS, *NORMS, *MIXERS, *POOLS]
