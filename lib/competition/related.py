"""Items that belong together: pairs become clusters, and groups that share a cluster become one group."""

from collections.abc import Iterable

import pandas as pd


def clusters(pairs: pd.DataFrame | Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each item of the pairs (of a table: its columns first and second) with the first name of its cluster."""
    if isinstance(pairs, pd.DataFrame):
        pairs = zip(pairs["first"], pairs["second"], strict=True)
    leader: dict[str, str] = {}

    def led_by(item: str) -> str:
        while leader.setdefault(item, item) != item:
            leader[item] = leader[leader[item]]
            item = leader[item]
        return item

    for one, other in pairs:
        first, last = sorted((led_by(one), led_by(other)))
        leader[last] = first
    return {item: led_by(item) for item in leader}


def merged_groups(items: list[str], groups: list[str], related: Iterable[tuple[str, str]]) -> list[str]:
    """The items' groups, where groups that hold related items have become one, under the first of their names."""
    group_of = dict(zip(items, groups, strict=True))
    pairs = [(group_of[one], group_of[other]) for one, other in related if one in group_of and other in group_of]
    together = clusters(pairs)
    return [together.get(group, group) for group in groups]
