"""Which of this machine's devices PyTorch is to compute on, and how it shares a card with JAX.

JAX takes its part of a card's memory when it starts and gives none of it back; what PyTorch needs beside it, a codec and a
recogniser, must be left free from the beginning. Who gets what is decided here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from rosella.errors import UserError

if TYPE_CHECKING:
    import torch

GIB = 2**30
SHARED_FROM = 12 * GIB
"""Smaller cards are JAX's alone, and PyTorch computes on the CPU."""
TRAINING_SHARED_FROM = 32 * GIB
"""The same while a model is trained, which needs all of such a card, and PyTorch only now and then."""
TORCH_SHARE, TORCH_MOST = 0.25, 10 * GIB
"""PyTorch's part of a shared card: a codec, a recogniser as large as Whisper's largest, and what CUDA itself takes."""
ALONE = 1 * GIB
"""What CUDA and its libraries take beside JAX's part where PyTorch has none."""
LEAST = 2 * GIB
"""With less than that beside JAX's part, PyTorch computes on the CPU."""
FRACTION = "XLA_CLIENT_MEM_FRACTION"
SAID = (FRACTION, "XLA_PYTHON_CLIENT_MEM_FRACTION")
"""JAX's names, new and old, for its part of a card; it refuses both at once."""
PROCESSOR = Path("/proc/cpuinfo")
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls it there that a processor multiplies bfloat16: two kinds of x86, and ARM."""


def device(name: str | None = None) -> torch.device:
    """The device of that name, or the best there is; a UserError where this machine has none such."""
    import torch

    known = names()
    if name is not None and name not in known:
        raise UserError(f"This machine has no device {name!r}: give {' or '.join(known)}.")
    return torch.device(name or (known[1] if len(known) > 1 else known[0]))


def names() -> list[str]:
    """What may be named: `cpu`, and where PyTorch finds an accelerator its kind and each of its number."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return ["cpu"]
    return ["cpu", found.type, *(f"{found.type}:{i}" for i in range(torch.accelerator.device_count()))]


def for_torch(card: int, training: bool = False) -> int:
    """Bytes of a card of that size that JAX leaves free."""
    if card < (TRAINING_SHARED_FROM if training else SHARED_FROM):
        return ALONE
    return min(int(card * TORCH_SHARE), TORCH_MOST)


def share_card(training: bool = False) -> str | None:
    """Settle who gets what of this machine's NVIDIA cards, before JAX starts; returns PyTorch's device beside it.

    None where there is no card to share. What the environment already says of JAX's part stays.
    """
    smallest = min(cards(), default=0)
    if not smallest:
        return None
    if not any(name in os.environ for name in SAID):
        os.environ[FRACTION] = f"{1 - for_torch(smallest, training) / smallest:.3f}"
    return "cpu" if smallest * (1 - _part_of_jax()) < LEAST else str(device())


def _part_of_jax() -> float:
    name = next(name for name in SAID if name in os.environ)
    try:
        return float(os.environ[name])
    except ValueError:
        raise UserError(
            f"{name} is {os.environ[name]!r}: give JAX's part of a card as a number such as 0.75."
        ) from None


def seen() -> int:
    """How many NVIDIA cards this process is let see."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return len(cards())
    return sum(bool(name) for name in allowed.replace("-1", "").split(","))


def cards() -> list[int]:
    """Bytes of each NVIDIA card of this machine, asked of its driver, so that neither framework is started."""
    if shutil.which("nvidia-smi") is None:
        return []
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    return [int(line) * 2**20 for line in told.stdout.split() if line.isdigit()]


def multiplies_bfloat16() -> bool:
    """Whether a card or this processor does; one that does not say (Linux alone tells) counts as not.

    Others convert it to float32 and back: an AMD EPYC of the third generation trains at 0.8 of the speed (docs/log.md).
    """
    if seen():
        return True
    return PROCESSOR.exists() and not BFLOAT16.isdisjoint(PROCESSOR.read_text().split())
