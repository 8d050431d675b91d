"""A corpus directory: utterances whose words came with their recordings or from people, cut as they are there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rosella.asr.prepare.annotated import Annotated
from rosella.asr.prepare.notation import Tally
from rosella.audio import is_url
from rosella.corpus.corrections.clip import HUMAN
from rosella.corpus.export.where import Condition, choose
from rosella.corpus.project import CATALOGUE_FILE, CATALOGUE_VARIABLE, Corpus
from rosella.corpus.stage import SCAN
from rosella.errors import UserError
from rosella.records import Turn

SOURCE = "transcript_source"
GIVEN = ("manifest", HUMAN)
"""Sources of transcripts that are nobody's guess."""


def is_corpus(source: Path) -> bool:
    """Whether a catalogue stands there, or, where that is a server's, the cache that `corpus run` leaves."""
    if CATALOGUE_VARIABLE in os.environ and (source / "cache").is_dir():
        return True
    return (source / CATALOGUE_FILE).is_file()


def read(source: Path, where: Sequence[Condition]) -> Iterator[Annotated]:
    """Every recording with utterances that fulfil the conditions; its name is its id.

    Unless a condition is about their source, transcripts that a recogniser wrote and nobody accepted are left out.
    """
    with Corpus.open(source) as corpus:
        for recording in corpus.catalogue.done(SCAN, ""):
            spoken = choose(recording, corpus.catalogue.worded(recording.id), where)
            if not any(condition.field == SOURCE for condition in where):
                spoken = [utterance for utterance in spoken if utterance.transcript_source in GIVEN]
            if spoken:
                yield Annotated(
                    recording.id, recording.language, partial(_audio, recording.path), tuple(spoken)
                )


def _audio(path: str, _: Tally) -> tuple[Path, list[Turn]]:
    if is_url(path):
        raise UserError("audio lies at a URL: download it")
    return Path(path), []
