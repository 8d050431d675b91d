from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from rosella.inference import programs


@pytest.fixture
def nowhere():
    """As a person has it, who has named no place for compiled programs."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


def compile_one() -> None:
    jax.jit(lambda x: jnp.sin(x) * 3 + x)(jnp.arange(7.0)).block_until_ready()


def test_what_is_compiled_is_kept_also_when_the_run_is_moved(tmp_path, nowhere):
    with programs.kept(tmp_path / "run" / "compiled"):
        compile_one()
    kept = {path.name for path in (tmp_path / "run" / "compiled").glob("*-cache")}
    assert kept and jax.config.jax_compilation_cache_dir is None
    (tmp_path / "run").rename(tmp_path / "moved")
    jax.clear_caches()
    with programs.kept(tmp_path / "moved" / "compiled"):
        compile_one()
        assert {path.name for path in (tmp_path / "moved" / "compiled").glob("*-cache")} == kept
        jax.jit(lambda x: jnp.cos(x) * 5)(jnp.arange(7.0)).block_until_ready()
    assert {path.name for path in (tmp_path / "moved" / "compiled").glob("*-cache")} > kept
    assert not (tmp_path / "run").exists()


def test_a_place_that_a_person_named_stays(tmp_path, nowhere):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    with programs.kept(tmp_path / "run"):
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")
    assert not (tmp_path / "run").exists()
