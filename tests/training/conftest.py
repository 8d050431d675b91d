from __future__ import annotations

import pytest

from rosella.training import loop
from training import tiny


@pytest.fixture(scope="session", autouse=True)
def traced_programs():
    """Every run here compiles the same two programs: trace each once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "make_step", _remembering(loop.make_step))
        patch.setattr(loop, "make_evaluation", _remembering(loop.make_evaluation))
        yield


def _remembering(make):
    """The steps of all tests here differ only in the objective and the loop around them: `tiny` has a constant schedule.

    The patch lives as long as the session; tests elsewhere train models of other shapes.
    """
    made = {}

    def once(skeleton, recipe, mesh):
        known = recipe.objective, *skeleton.shapes.items()
        made[known] = made.get(known) or make(skeleton, recipe, mesh)
        return made[known]

    return once


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("corpus"))
