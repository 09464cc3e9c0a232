"""A progress bar on the standard error, for functions that report (done, total)."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs.

    Args:
        description: What is being done, in two or three words.

    Yields:
        A function to be called with the number of items done and their total.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield on_progress


@contextmanager
def terminal_progress(description: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal, and nothing elsewhere, where the log says how far it is.

    Args:
        description: What is being done, in two or three words.

    Yields:
        A function to be called with the number of items done and their total; None elsewhere.
    """
    if not sys.stderr.isatty():
        yield None
        return
    with progress_bar(description) as on_progress:
        # The bar redirects the standard error so that log lines go above it; the log has to look it up again.
        streams = [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler)]
        before = [handler.setStream(sys.stderr) for handler in streams]
        try:
            yield on_progress
        finally:
            for handler, stream in zip(streams, before, strict=True):
                if stream is not None:
                    handler.setStream(stream)
