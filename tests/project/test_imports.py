"""Importing a module of the package does nothing else, and the modules a command line needs stay light."""

from __future__ import annotations

import json

from support import modules, python

HEAVY = ("jax", "flax", "torch", "transformers", "matplotlib", "orbax", "grain", "datasets")
LIGHT_PACKAGES = ("rosella.cli", "rosella.corpus")
LIGHT = (
    "rosella", "rosella.speak", "rosella.evaluate", "rosella.codec", "rosella.errors", "rosella.records",
    "rosella.dialogue", "rosella.delay", "rosella.audio", "rosella.recipes", "rosella.mini",
)  # fmt: skip

# Imports the given modules one after the other; for each that brought one, the heavy modules it brought.
WEIGHT = """
import importlib, json, sys
heavy, brought = set(sys.argv[1].split(",")), {}
for name in sys.argv[2:]:
    before = set(sys.modules)
    importlib.import_module(name)
    if new := sorted((set(sys.modules) - before) & heavy):
        brought[name] = new
print(json.dumps(brought))
"""

# Imports the given modules one after the other, libraries already loaded; for each, what else happened.
EFFECTS = """
import importlib, json, os, sys, threading
import flax.nnx, grain, jax, jax._src.xla_bridge, matplotlib, optax, orbax.checkpoint, torch
from transformers import DacModel

def state():
    return {
        "environment": dict(os.environ), "working directory": os.getcwd(), "files": sorted(os.listdir()),
        "threads": threading.active_count(), "JAX configuration": dict(jax.config.values),
        "JAX devices": jax._src.xla_bridge.backends_are_initialized(),
    }

found, before = {}, state()
for name in sys.argv[1:]:
    importlib.import_module(name)
    after = state()
    found[name] = [kind for kind in after if after[kind] != before[kind]]
    before = after
print(json.dumps(found))
"""


def is_light(name: str) -> bool:
    return name in LIGHT or name.startswith(LIGHT_PACKAGES)


def test_light_modules_do_not_import_heavy_ones() -> None:
    done = python("-c", WEIGHT, ",".join(HEAVY), *filter(is_light, modules()))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_importing_any_module_has_no_side_effects() -> None:
    names = modules()
    done = python("-c", EFFECTS, *names)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == names
    assert {name: what for name, what in found.items() if what} == {}
