"""Compiled programs, kept on disk so that what has been compiled once is not compiled again."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

_PLACE = "jax_compilation_cache_dir"


def programs_folder() -> Path:
    """Where the programs of those who speak lie: among the user's caches."""
    from platformdirs import user_cache_path

    return user_cache_path("rosella", appauthor=False) / "programs"


@contextmanager
def kept(directory: Path) -> Generator[None]:
    """Keep what the block compiles in `directory`, unless JAX_COMPILATION_CACHE_DIR names another place."""
    if getattr(jax.config, _PLACE):
        yield
        return
    settings = {
        _PLACE: str(directory.resolve()),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_enable_xla_caches": "none",  # their path would count, and a moved run compile anew
    }
    before = {name: getattr(jax.config, name) for name in settings}
    _configure(settings)
    try:
        yield
    finally:
        _configure(before)


def _configure(settings: Mapping[str, object]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # else the place of the first compilation stays in use
