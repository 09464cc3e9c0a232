"""Looking at the headers of many files, several at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aunet.io.silence import silent_libraries

_Case = TypeVar("_Case")

OnProgress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

# Threads hide how long a disk or a network takes to answer; reading a header itself holds Python's lock.
_READERS = 4


def look_at_each(look: Callable[[_Case], None], cases: Sequence[_Case], on_progress: OnProgress | None) -> None:
    """Call `look` for each case, several at a time.

    Args:
        look: Reads headers and writes into the case what it found.
        cases: What is to be looked at.
        on_progress: Called with the number of cases looked at and their total.
    """
    # Silenced once for all, or each file would pay for it.
    with silent_libraries(), ThreadPoolExecutor(_READERS) as pool:
        for done, _ in enumerate(pool.map(look, cases), start=1):
            if on_progress is not None:
                on_progress(done, len(cases))
