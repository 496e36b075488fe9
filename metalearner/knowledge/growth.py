"""How a base grew, day by day."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter

from .store import Store

# What carries no day.
UNDATED = "undated"


def growth(store: Store, groups: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """What the base held after each day on which something came in, by day: {records, data_sets, groups}.

    What carries no day comes first. `groups` are those of the data sets by id.
    """
    rows = store.query("SELECT day, dataset, COUNT(*) n FROM experiences GROUP BY day, dataset ORDER BY day")
    records, known, found = 0, set[str](), {}
    for day, came in groupby(rows, key=itemgetter("day")):
        for row in came:
            records += row["n"]
            known.add(row["dataset"])
        among = {groups[d] for d in known if d in groups}
        found[day or UNDATED] = {"records": records, "data_sets": len(known), "groups": len(among)}
    return found
