"""From recordings to shards of codes: a corpus directory, and what its runs work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosella.lazily import lazily

if TYPE_CHECKING:
    from rosella.corpus.models import Models
    from rosella.corpus.project import Corpus

__all__ = ["Corpus", "Models"]
__getattr__ = lazily(__name__, {"Corpus": "project", "Models": "models"})
