"""Keeping freed memory."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from aunet.training.memory import keep_freed_memory
if sys.argv[1] == "keep":
    print(keep_freed_memory(), file=sys.stderr)
def step():
    return torch.ones(10_000_000).mul(2).add(1).sum()
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(mode: str) -> int:
    """Pages that the system had to hand out over ten steps."""
    answer = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    return int(answer.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_a_step_gets_its_memory_from_the_step_before() -> None:
    plain = _page_faults("plain")
    kept = _page_faults("keep")

    # Above 32 MB glibc maps each array by itself: 40 MB in pages of 4 kB are 10,000 faults, unless huge pages are on.
    # How many it hands out at once is the system's choice, so that the ratio varies from 15 to over 1,000.
    assert kept < plain / 5
