from __future__ import annotations

import subprocess
import sys

FAULTS = """
import resource, sys
from rosella import memory
if sys.argv[1:]:
    memory.keep()
import numpy as np
np.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments):
    """Pages faulted in by ten arrays of 128 MiB, made one after another."""
    command = [sys.executable, "-c", FAULTS, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_memory_that_is_kept_is_not_faulted_in_again():
    huge_pages = 10 * 2**27 // 2**21  # as few faults as there may be, where all pages are of 2 MiB
    assert faults("keep") < 100 < huge_pages <= faults()
