from __future__ import annotations

import jax
import pytest
from training import tiny


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(tmp_path_factory):
    """Every run here compiles the same few programs: compile each once, in child processes too."""
    directory = str(tmp_path_factory.mktemp("compiled"))
    patch = pytest.MonkeyPatch()
    settings = {"jax_compilation_cache_dir": directory, "jax_persistent_cache_min_compile_time_secs": 0}
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
        patch.setenv(name.upper(), str(value))
    yield
    patch.undo()
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("corpus"))
