"""Keeping freed memory in the process, which makes training on the CPU faster."""

import ctypes
import logging
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

# malloc.h of glibc
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER = -1


def keep_freed_memory() -> str:
    """Make the C allocator keep what a training step frees, for the next step.

    A step allocates and frees the same large arrays over and over. glibc gives each back to the system at once and
    gets it again page by page, filled with zeros, which costs as much time as the arithmetic of a narrow network.
    With `M_MMAP_MAX` 0 large arrays come from the heap, and with trimming off the heap never shrinks. The process
    keeps its peak memory until it ends. jemalloc, where it is loaded (`LD_PRELOAD`), keeps memory by itself.

    Returns:
        What was done: "jemalloc", "glibc", or "unchanged" on another system.
    """
    if not sys.platform.startswith("linux"):
        return "unchanged"
    if "jemalloc" in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace"):
        return "jemalloc"
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        logger.debug("the C library is not glibc; its allocator stays as it is")
        return "unchanged"
    accepted = mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER)
    return "glibc" if accepted else "unchanged"
