"""Which of this machine's devices PyTorch is to compute on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosella.errors import UserError

if TYPE_CHECKING:
    import torch


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
