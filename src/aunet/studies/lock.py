"""One process at a time in the folder of an arm."""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aunet.errors import AunetError

logger = logging.getLogger(__name__)

LOCK = "lock"
# The process of a lost node of a cluster may end a moment after its arm was started again elsewhere.
PATIENCE_S = 10.0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of a folder; the lock ends with the block or with this process.

    Args:
        folder: The folder, made if it is missing.

    Yields:
        Nothing.

    Raises:
        AunetError: Another process is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + PATIENCE_S
    with (folder / LOCK).open("a", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    msg = f"{folder}: is being run by another process; call again when that has ended"
                    raise AunetError(msg) from error
                time.sleep(min(0.5, PATIENCE_S))
                continue
            except OSError as error:
                logger.warning("%s: no locks there (%s); let no two studies run in it at once", folder, error.strerror)
            break
        yield
