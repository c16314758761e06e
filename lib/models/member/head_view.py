"""How a head is shown a soundscape: in which orders of its windows, and its site as a number."""

from collections.abc import Sequence

import numpy as np

from lib.competition.row_ids import WINDOWS_PER_SOUNDSCAPE


def window_orders(rolls: Sequence[int], flip: bool) -> list[np.ndarray]:
    """The orders (12,) in which a soundscape's windows are shown: rolled by so many each, and reversed if asked."""
    order = np.arange(WINDOWS_PER_SOUNDSCAPE)
    return [*(np.roll(order, roll) for roll in rolls), *([order[::-1]] if flip else [])]


def site_number(site: str, names: Sequence[str]) -> int:
    """The number by which heads know a site: from 1 in the order of the names, 0 if it is none of them."""
    return 1 + names.index(site) if site in names else 0
