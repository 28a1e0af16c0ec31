"""Where to cut a run of units so that no piece is over the cap and an edit moves few cuts.

Packing units greedily from the left would move every cut after an edit. Here a run that is over the cap is cut at the
unit whose key is smallest, and both halves are treated alike. Keys are hashes of the text, so they travel with it: an
edit changes cuts only where the unit it brought wins or loses against its neighbours, and everything further than about
one cap away stays as it was.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

# No cut closer than this share of the cap to the ends of a run, so that pieces do not become crumbs.
_MIN_SHARE: Final = 0.2
# In long runs the margin grows, so that even keys in an evil order are cut in a logarithmic number of rounds.
_LONG_RUN_SHARE: Final = 1 / 64


def cut_points(sizes: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64], cap: int) -> list[int]:
    """Return the indices of the units that begin a new piece, in order; the first unit is not among them.

    `sizes` and `keys`, both of shape (units,), are the units' sizes and their rank as a beginning: the smaller a key,
    the sooner it is cut at. No piece's size is over `cap`, but for a single unit that is itself.
    """
    ends = np.concatenate(([0], np.cumsum(sizes)))
    cuts: list[int] = []
    runs = [(0, len(sizes))]
    while runs:
        first, last = runs.pop()
        if last - first > 1 and ends[last] - ends[first] > cap:
            cut = _best_cut(ends, keys, first, last, cap)
            cuts.append(cut)
            runs += [(first, cut), (cut, last)]
    return sorted(cuts)


def _best_cut(ends: npt.NDArray[np.int64], keys: npt.NDArray[np.uint64], first: int, last: int, cap: int) -> int:
    size = ends[last] - ends[first]
    margin = max(_MIN_SHARE * cap, size * _LONG_RUN_SHARE)
    low = max(first + 1, int(np.searchsorted(ends, ends[first] + margin, "left")))
    high = min(last, int(np.searchsorted(ends, ends[last] - margin, "right")))
    middle = (ends[first] + ends[last]) / 2
    if low >= high:
        # A unit so long that every cut is near an end: the one nearest to the middle.
        candidates = np.arange(first + 1, last)
    else:
        candidates = low + np.flatnonzero(keys[low:high] == keys[low:high].min())
    # Equal keys are equal texts; among them the middle keeps the rounds few.
    return int(candidates[np.argmin(np.abs(ends[candidates] - middle))])
