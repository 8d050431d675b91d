"""What the whole pipeline loads while it runs, loaded: processes forked from here start at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from corpus import pipeline

with tempfile.TemporaryDirectory() as folder:
    pipeline.everything(Path(folder, "corpus"), pipeline.source(Path(folder, "source")), {})
