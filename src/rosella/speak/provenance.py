"""What speech says of itself to machines: that one made it, which, when and with what.

The AI Act of the EU (Art. 50) asks this of what generates speech. The source type is that of the IPTC's vocabulary.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from rosella import __version__
from rosella.audio.encoding import Marks
from rosella.runs import Run

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
STATEMENT = f"AI-generated speech. Digital source type: {SOURCE_TYPE}"
HEADERS = {"X-Digital-Source-Type": SOURCE_TYPE}
"""Of answers over HTTP, whose body may have no room for marks."""


def marks(model: str | os.PathLike[str]) -> Marks:
    """The marks of an audio file that a model speaks today; it is named without the folders it lies in."""
    return {
        "comment": f"{STATEMENT}. Model: {model_name(model)}",
        "date": datetime.now(UTC).date().isoformat(),
        "encoded_by": f"Rosella {__version__}",
        "DigitalSourceType": SOURCE_TYPE,
    }


def model_name(model: str | os.PathLike[str]) -> str:
    """What a model is called in public: its name, or that of its folder, or of the run it is the `model` of."""
    if not Path(model).exists():
        return os.fspath(model)
    path = Path(model).resolve()
    return path.parent.name if path == Run(path.parent).model else path.name
