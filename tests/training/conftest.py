from __future__ import annotations

import jax
import pytest

from rosella.training import loop
from training import tiny


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(tmp_path_factory):
    """Every run here compiles the same two programs: trace each once; child processes find them on disk."""
    directory = str(tmp_path_factory.mktemp("compiled"))
    settings = {"jax_compilation_cache_dir": directory, "jax_persistent_cache_min_compile_time_secs": 0}
    before = {name: getattr(jax.config, name) for name in settings}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            jax.config.update(name, value)
            patch.setenv(name.upper(), str(value))
        patch.setattr(loop, "make_step", _remembering(loop.make_step))
        patch.setattr(loop, "make_evaluation", _remembering(loop.make_evaluation))
        yield
    for name, value in before.items():
        jax.config.update(name, value)


def _remembering(make):
    """The steps of all tests here differ only in the loop around them: `tiny` has a constant schedule.

    The patch lives as long as the session; tests elsewhere train models of other shapes.
    """
    made = {}

    def once(skeleton, *arguments):
        shapes = tuple(skeleton.shapes.items())
        made[shapes] = made.get(shapes) or make(skeleton, *arguments)
        return made[shapes]

    return once


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("corpus"))
