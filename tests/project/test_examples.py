"""What the documentation shows in Python runs as it stands there. (`rosella.corpus` and `weights`: beside them.)"""

from __future__ import annotations

import re

from support import ROOT


def example(page: str) -> str:
    """The first Python of a page."""
    found = re.search(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text("utf-8"), re.M | re.S)
    assert found is not None
    return found[1]


def test_speaking(capsys):
    names: dict = {}
    exec(example("speaking.md"), names)
    speech = names["speech"]
    assert speech.stopped and len(speech.waveform) > speech.sample_rate / 4
