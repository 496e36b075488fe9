"""python -m metalearner."""

from .cli import main

main()
