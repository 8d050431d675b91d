"""What the documentation shows in Python runs as it stands there. (`rosella.corpus` and `weights`: beside them.)"""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np

from codec.copying import Copy
from rosella.speak import Voice
from support import ROOT


def example(page: str, number: int = 0) -> str:
    """The Python of a page, its first by default."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text("utf-8"), re.M | re.S)[
        number
    ]


def test_speaking(capsys):
    names: dict = {}
    exec(example("speaking.md"), names)
    speech = names["speech"]
    assert speech.stopped and len(speech.waveform) > speech.sample_rate / 4


def test_saved_voices(monkeypatch, tmp_path):
    monkeypatch.setenv("ROSELLA_VOICES", str(tmp_path))
    speaker, asked = SimpleNamespace(codec=Copy()), []
    speaker.speak = lambda *arguments: asked.append(arguments)
    clip = Voice(np.full(40_000, 0.1, np.float32), 16_000, "hoi")
    exec(example("speaking.md", 1), {"speaker": speaker, "clip": clip})
    assert asked[0][1]["S1"].text == "[S1] hoi" and asked[0][1]["S2"] is clip
