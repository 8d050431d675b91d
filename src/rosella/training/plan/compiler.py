"""Asks the compiler, in a process of its own, what a step takes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict

from rosella.errors import RosellaError, UserError
from rosella.training.plan.compiling import Memory, Request

ABSENT_TPU = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "JAX_EXEC_TIME_OPTIMIZATION_EFFORT": "-1.0",
}
"""libtpu compiles without a TPU: it need not look for one, ask Google's machines what this one is, or hold its lock. It
spends its time on a fast program, which nobody will run: without that it takes less than half as long, and counts 2 % less
memory for Dia-1.6B on a v4-32."""


def require_libtpu(hardware: str) -> None:
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            f"To compile for {hardware}, libtpu must be there; it needs Linux on x86-64 and no TPU: "
            "pip install 'rosella-tts[tpu]'."
        )


def ask(request: Request) -> Memory:
    """What the step takes on each device; RosellaError with the compiler's last words when it fails otherwise."""
    done = subprocess.run(
        [sys.executable, "-m", "rosella.training.plan.compiling"],
        input=json.dumps(asdict(request)),
        env={**os.environ, **(ABSENT_TPU if request.topology else {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RosellaError(f"The step could not be compiled for this hardware: {said[-1]}")
    return Memory(**json.loads(done.stdout.splitlines()[-1]))
