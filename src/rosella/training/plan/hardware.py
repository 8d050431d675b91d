"""Hardware by its name: `v4-32` (a slice, named as Google names it), `h100`, `h200x8` (a card, so many of it)."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from rosella import devices
from rosella.errors import UserError

GIB = 2**30
GPU_COUNTS = (1, 2, 4, 8)
CHIPS_PER_HOST = (2, 2, 1)
HERE_NAME = "here"
HERE: dict[str, Any] = {"share": 0.36, "source": "the mini model on two cores (benchmarks/bench_model.py)"}


@dataclass(frozen=True)
class Chip:
    """One accelerator. `room` is what a program can use, in bytes; `utilisation` the share of `peak` FLOP/s that useful
    operations reach, and `source` who says so."""

    name: str
    peak: float
    room: int
    utilisation: float
    source: str
    region: str | None = None


@dataclass(frozen=True)
class Hardware:
    """`chips` of a kind. A slice has a `topology`, which is what `get_topology_desc` takes."""

    name: str
    chip: Chip
    chips: int
    topology: dict[str, Any] | None = None


def find(name: str, dtype: str = "bfloat16") -> Hardware:
    """The hardware of that name, at its peak in a compute type; UserError with the names that come near."""
    if name == HERE_NAME:
        return here(dtype)
    made = _slice(name) or _cards(name, dtype)
    if made is None:
        near = difflib.get_close_matches(name.lower(), names(), 3, 0.5)
        hint = f"did you mean {' or '.join(near)}" if near else f"it may be {', '.join(names())} or here"
        raise UserError(f"No hardware is called {name!r}: {hint}.")
    return made


@cache
def names() -> list[str]:
    table = _table()
    slices = [f"{chip}-{count}" for chip in table["tpu"] for count in _named_sizes(chip)]
    return [*slices, *(_card_name(gpu, count) for gpu in table["gpu"] for count in GPU_COUNTS)]


def _slice(name: str) -> Hardware | None:
    chip, _, size = name.lower().partition("-")
    if chip not in _table()["tpu"] or not size.isdigit():
        return None
    chips = _named_sizes(chip).get(int(size))
    if chips is None:
        raise UserError(f"There is no slice {name}: of {chip} there are {', '.join(_of_slices(chip))}.")
    values = _table()["tpu"][chip]
    lying = _lying(chip)[chips]
    topology = {
        "topology_name": f"{values['family']}:{lying}",
        "chip_config_name": values["config"],
        "chips_per_host_bounds": CHIPS_PER_HOST if chips >= 4 else (1, 1, 1),
        "num_slices": 1,
        "wrap": (False, False, False),
    }
    return Hardware(name.lower(), _chip(chip, values, 0), chips, topology)


def _cards(name: str, dtype: str) -> Hardware | None:
    gpu, _, count = name.lower().rpartition("x")
    if name.lower() in _table()["gpu"]:  # whose name may hold an x itself
        gpu, count = name.lower(), "1"
    values = _table()["gpu"].get(gpu)
    if values is None or not count.isdigit() or not int(count):
        return None
    total = int(values["memory"] * GIB)
    return Hardware(
        name.lower(), _chip(gpu, values, devices.for_torch(total, training=True), dtype), int(count)
    )


def _chip(name: str, values: dict[str, Any], taken: int, dtype: str = "bfloat16") -> Chip:
    from rosella.model.flops import PEAKS

    use, (half, single) = values["utilisation"], PEAKS[values["kind"]]
    peak = single if dtype == "float32" and single else half
    room = int(values["memory"] * GIB) - taken
    return Chip(name, peak, room, use["share"], use["source"], values.get("region"))


def _named_sizes(chip: str) -> dict[int, int]:
    """The number in a slice's name -> chips."""
    cores = _table()["tpu"][chip]["cores"]
    return {chips * cores: chips for chips in _lying(chip)}


def _lying(chip: str) -> dict[int, str]:
    return _table()["slices"]["3d" if _table()["tpu"][chip]["config"] == "megacore" else "2d"]


def _of_slices(chip: str) -> list[str]:
    return [f"{chip}-{size}" for size in _named_sizes(chip)]


def _card_name(gpu: str, count: int) -> str:
    return gpu if count == 1 else f"{gpu}x{count}"


@cache
def _table() -> dict[str, Any]:
    return yaml.safe_load((files("rosella.training.plan") / "hardware.yaml").read_text("utf-8"))


def here(dtype: str) -> Hardware:
    """The devices of this process, which JAX starts to find out."""
    import jax

    from rosella.model.flops import device_peak

    found = jax.devices()
    kind = found[0].device_kind
    use = next((chip["utilisation"] for chip in _chips() if chip["kind"].lower() in kind.lower()), HERE)
    room = (found[0].memory_stats() or {}).get("bytes_limit") or _memory()
    chip = Chip(kind, device_peak(dtype) or 0.0, room, use["share"], use["source"])
    return Hardware(HERE_NAME, chip, len(found))


def _chips() -> list[dict[str, Any]]:
    return [*_table()["tpu"].values(), *_table()["gpu"].values()]


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
