from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from jax.sharding import Mesh

from rosella.model.config import DiaConfig
from rosella.recipes import load_recipe
from rosella.training.mesh import choose_mesh
from rosella.training.order import Bucket
from rosella.training.plan import compiling
from rosella.training.plan.compiler import ask
from rosella.training.plan.compiling import Memory, Request
from rosella.training.plan.hardware import find
from rosella.training.recipe import Recipe
from support import ROOT
from tiny_dia import CONFIG, shaped
from training import tiny

RECIPES = sorted(path for path in (ROOT / "recipes").glob("*.yaml") if not path.name.startswith("asr"))
SMALL = shaped(codebooks=8, delays=tuple(range(8)), layers=1)
GIB = 2**30


def small(path: Path) -> tuple[Recipe, DiaConfig, Mesh, Bucket]:
    """A recipe with a model and a batch that are quickly compiled."""
    recipe = load_recipe(Recipe, path)
    return recipe, SMALL, choose_mesh(recipe.mesh), Bucket(8 * recipe.accumulate, 12, 16)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_makes_a_step_ready_to_be_compiled(path: Path):
    recipe, *others = small(path)
    lowered, arguments = compiling.lower(recipe, *others)
    state = lowered.in_avals[0][0]
    each = {"adamw": 12, "adafactor": 4}[recipe.optimizer.kind]
    assert arguments > each * sum(leaf.size for leaf in state.params.values())


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_compiles_at_a_small_size(path: Path):
    found = compiling.measure(*small(path))
    assert found.needed == (found.arguments or 0) + (found.temporaries or 0) > 0


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("libtpu"), reason="libtpu is not installed")
def test_a_slice_that_is_not_there_is_compiled_for():
    recipe, slice = tiny.recipe("corpus", remat="full", compute_dtype="bfloat16"), find("v4-8")
    found = ask(Request(recipe.model_dump(), CONFIG.to_dict(), 8, 24, 16, 1, slice.topology))
    assert found.room is None and found.arguments and found.temporaries
    huge = ask(Request(recipe.model_dump(), CONFIG.to_dict(), 2_000_000, 24, 16, 1, slice.topology))
    assert huge.room == slice.chip.room and huge.needed > huge.room


def test_what_does_not_fit_is_read_from_the_compilers_words():
    said = RuntimeError(
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries (33.90G) exceeds "
        "available HBM (30.75G)."
    )
    assert compiling.exhausted(said, GIB) == Memory(
        GIB + int(33.9 * GIB), GIB, int(33.9 * GIB), int(30.75 * GIB)
    )
    said = RuntimeError(
        "RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 33.27G of 30.75G hbm. Exceeded"
    )
    assert compiling.exhausted(said, GIB).needed == int(33.27 * GIB)


def test_another_refusal_is_no_question_of_memory():
    with pytest.raises(RuntimeError, match="INVALID_ARGUMENT"):
        compiling.exhausted(RuntimeError("INVALID_ARGUMENT: no such thing"), GIB)
