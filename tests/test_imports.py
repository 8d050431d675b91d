"""Importing a module of the package does nothing else, and the modules a command line needs stay light."""

from __future__ import annotations

import json

from support import modules, python

HEAVY = ("jax", "flax", "torch", "transformers", "matplotlib", "orbax", "grain", "datasets")
LIGHT_PACKAGES = ("rosella.cli", "rosella.corpus")
LIGHT = (
    "rosella", "rosella.speak", "rosella.evaluate", "rosella.codec", "rosella.errors", "rosella.records",
    "rosella.text", "rosella.delay", "rosella.audio", "rosella.config", "rosella.mini",
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

# Imports each given module in a fork of its own (libraries already loaded) and tells what else happened.
EFFECTS = """
import importlib, json, os, sys, threading, warnings
import flax.nnx, grain, jax, jax._src.xla_bridge, matplotlib, optax, orbax.checkpoint, torch
from transformers import DacModel
warnings.simplefilter("ignore")

def state():
    return {
        "environment": dict(os.environ), "working directory": os.getcwd(), "files": sorted(os.listdir()),
        "threads": threading.active_count(), "JAX configuration": dict(jax.config.values),
        "JAX devices": jax._src.xla_bridge.backends_are_initialized(),
    }

def effects(name):
    before = state()
    try:
        importlib.import_module(name)
    except BaseException as error:
        return [f"{type(error).__name__}: {error}"]
    return [kind for kind, value in state().items() if value != before[kind]]

for name in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        print(json.dumps([name, effects(name)]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def is_light(name: str) -> bool:
    return name in LIGHT or name.startswith(LIGHT_PACKAGES)


def test_light_modules_do_not_import_heavy_ones() -> None:
    done = python("-c", WEIGHT, ",".join(HEAVY), *filter(is_light, modules()))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_every_module_can_be_imported_alone_and_has_no_side_effects() -> None:
    names = modules()
    done = python("-c", EFFECTS, *names)
    assert done.returncode == 0, done.stderr
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert list(found) == names
    assert {name: what for name, what in found.items() if what} == {}
