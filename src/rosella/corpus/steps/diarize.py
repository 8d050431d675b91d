"""Who speaks when: the turns of recordings that came without any, and everybody's voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rosella import dialogue
from rosella.corpus.diarization.turns import Diarization, Diarizer, SpeakerTurn
from rosella.corpus.stage import DIARIZE, NONE, Known, StageResult
from rosella.corpus.steps.segment import outside
from rosella.errors import UserError
from rosella.records import Recording, Turn


@dataclass(frozen=True)
class DiarizeStage:
    """Finds the turns of recordings that came without any, and remembers the voices of everybody."""

    catalogue: Known
    diarizer: Diarizer | None
    name: str = DIARIZE

    @property
    def version(self) -> str:
        return self.diarizer.version if self.diarizer else NONE

    def run(self, recording: Recording) -> StageResult:
        if turns := self.catalogue.turns(recording.id):
            return StageResult(embeddings=self._embedded(recording, turns))
        if self.diarizer is None:
            raise UserError("It came without turns: run with a diarizer.")
        found = self.diarizer.diarize(recording.audio)
        return StageResult(turns=_turns(found), embeddings=found.embeddings)

    def _embedded(self, recording: Recording, turns: Sequence[Turn]) -> dict[str, np.ndarray] | None:
        if self.diarizer is None:
            return None
        alone = [SpeakerTurn(t.start, t.end, t.speaker) for t in turns if not dialogue.speaker_tags(t.text)]
        try:
            return self.diarizer.embed(recording.audio, alone)
        except UserError:
            return {}  # audio that cannot be read fails where it is turned into codes


def _turns(found: Diarization) -> list[Turn]:
    """Where one alone speaks, and where several do."""
    alone = [
        Turn(start, end, turn.speaker, "")
        for turn in found.turns
        for start, end in outside(turn.start, turn.end, found.overlaps)
    ]
    together = [Turn(start, end, "", "", overlap=True) for start, end in found.overlaps]
    return sorted([*alone, *together], key=lambda turn: turn.start)
