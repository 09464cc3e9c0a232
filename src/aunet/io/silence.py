"""Keeping the warnings and log lines of pydicom, Pillow and the decoders away: they quote values of the file."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_SILENCED = ("pydicom", "pylibjpeg", "openjpeg", "PIL")


class _Silence:
    """Counts the readers inside; the first one silences the libraries, the last one lets them speak again.

    `warnings.catch_warnings` alone is not safe when several threads read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._filters: warnings.catch_warnings[None] | None = None
        self._levels: dict[str, int] = {}

    def enter(self) -> None:
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
                # Their children have no level of their own, and so fall silent as well.
                self._levels = {name: logging.getLogger(name).level for name in _SILENCED}
                for name in _SILENCED:
                    logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def leave(self) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0 and self._filters is not None:
                for name, level in self._levels.items():
                    logging.getLogger(name).setLevel(level)
                self._filters.__exit__(None, None, None)
                self._filters = None


_silence = _Silence()


@contextmanager
def silent_libraries() -> Iterator[None]:
    """A block in which no library warns or logs; our own errors say what matters, without the file's values."""
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()
