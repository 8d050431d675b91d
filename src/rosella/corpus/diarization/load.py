"""The diarizer of a name: "embedded" comes with the package, anything else names a pyannote pipeline, also by its folder."""

from __future__ import annotations

from rosella.corpus.diarization.embedded import EmbeddedDiarizer
from rosella.corpus.diarization.pyannote import PyannoteDiarizer
from rosella.corpus.diarization.turns import Diarizer

EMBEDDED = "embedded"


def load_diarizer(name: str = EMBEDDED, device: str = "cpu") -> Diarizer:
    """The embedded diarizer, or a pyannote pipeline by name or folder; a UserError when there is none."""
    return EmbeddedDiarizer(device) if name == EMBEDDED else PyannoteDiarizer(name, device)
