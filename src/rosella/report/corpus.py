"""A corpus as one HTML page: how much there is, of whom, in which languages, how sure, what was left out, samples."""

from __future__ import annotations

import random
from array import array
from collections import defaultdict
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from rosella import audio
from rosella.corpus.catalogue.status import Status
from rosella.corpus.catalogue.store import Catalogue
from rosella.corpus.catalogue.voices import voices
from rosella.corpus.export.balance import speaker_of
from rosella.corpus.project import Corpus
from rosella.errors import UserError
from rosella.files import write_text
from rosella.numbers import duration
from rosella.records import LEAST_SURE, Utterance
from rosella.report.figures import bars, histogram
from rosella.report.page import Html, element, figure, join, paragraph, player, render, section, table, tiles

SAMPLES = 8
SHOWN = 20
"""Speakers, failures and languages that are listed; the rest is counted."""


class _Spoken:
    """What the page shows of all usable utterances, and how sure those were that are transcribed, in two numbers of each."""

    def __init__(self) -> None:
        self.seconds, self.confidences = array("d"), array("d")
        self.speakers, self.languages = defaultdict[str, float](float), defaultdict[str, float](float)
        self.samples: list[Utterance] = []
        self._chance = random.Random(0)

    def add(self, utterance: Utterance, speaker: str) -> None:
        if utterance.confidence is not None:
            self.confidences.append(utterance.confidence)
            if utterance.confidence < LEAST_SURE:
                return
        seconds = utterance.end - utterance.start
        self.seconds.append(seconds)
        self.speakers[speaker] += seconds / 60
        self.languages[utterance.language or "unknown"] += seconds / 60
        place = self._chance.randrange(len(self.seconds))  # a reservoir: every utterance is as likely
        if len(self.samples) < SAMPLES:
            self.samples.append(utterance)
        elif place < SAMPLES:
            self.samples[place] = utterance


def write_page(corpus: Corpus, path: Path) -> None:
    """Write the report of a corpus to `path`."""
    status, spoken = corpus.status(), _Spoken()
    encoded = corpus.catalogue.encoded(corpus.codes or "")
    for recording, utterances in groupby(encoded, lambda utterance: utterance.recording):
        known = voices(corpus.catalogue, recording)
        for utterance in utterances:
            spoken.add(utterance, _speaker(utterance, known))
    parts = [
        _summary(status),
        _plots(spoken),
        _stages(status),
        _left_out(status),
        section("Listen", *(_sample(corpus.catalogue, utterance) for utterance in spoken.samples)),
    ]
    write_text(path, render(f"Corpus {corpus.directory.resolve().name}", parts))


def _speaker(utterance: Utterance, voices: Mapping[str, str]) -> str:
    """The main speaker by a name that means the same in every recording."""
    name = speaker_of(utterance)
    if utterance.transcript_source == "model":
        return voices.get(name, f"{name} of {utterance.recording[:8]}")
    return name


def _summary(status: Status) -> Html:
    shown = [
        (f"{status.usable:,}", "utterances for training"),
        (duration(status.usable_seconds), "for training"),
        (f"{status.utterances:,}", "utterances cut"),
        (duration(status.utterance_seconds), "in them"),
        (f"{status.recordings:,}", "recordings"),
        (duration(status.seconds), "recorded"),
        (f"{len(status.failed):,}", "failed"),
    ]
    return tiles(shown)


def _plots(spoken: _Spoken) -> Html:
    if not (spoken.seconds or spoken.confidences):
        return section("Utterances", paragraph("There are none yet: run `rosella corpus run`."))
    parts = _of_training(spoken) if spoken.seconds else []
    if spoken.confidences:
        guessed = sum(value < LEAST_SURE for value in spoken.confidences)
        caption = (
            "How sure the recogniser was; transcripts that came with their recordings are not in it. "
            f"Below {LEAST_SURE} it guesses ({guessed:,} of {len(spoken.confidences):,}), and an export leaves that out."
        )
        plot = histogram(spoken.confidences, "log-probability of a byte of the transcript", "utterances")
        parts.append(figure(plot, caption))
    return section("Utterances", *parts)


def _of_training(spoken: _Spoken) -> list[Html]:
    return [
        figure(histogram(spoken.seconds, "seconds", "utterances"), "How long utterances are."),
        figure(bars(_most(spoken.speakers), "minutes"), f"Who speaks: {_of(spoken.speakers, 'speakers')}."),
        figure(
            bars(_most(spoken.languages), "minutes"),
            f"In which language: {_of(spoken.languages, 'languages')}.",
        ),
    ]


def _most(minutes: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(minutes.items(), key=lambda item: -item[1])[:SHOWN]


def _of(counts: Mapping[str, float], noun: str) -> str:
    more = len(counts) - SHOWN
    if more > 0:
        return f"the {SHOWN} with most of {len(counts):,} {noun}"
    return f"{len(counts)} {noun if len(counts) > 1 else noun[:-1]}"


def _stages(status: Status) -> Html:
    states = ("done", "pending", "failed")
    rows = [[stage, *(found.get(state, 0) for state in states)] for stage, found in status.stages.items()]
    return section("Stages", table(["recordings by stage", *states], rows))


def _left_out(status: Status) -> Html:
    parts: list[Html] = []
    if status.left_out:
        rows = [[part.stage, part.reason, part.spans, part.seconds / 60] for part in status.left_out]
        parts += [
            paragraph("Spans that are not for training:"),
            table(["stage", "reason", "spans", "minutes"], rows),
        ]
    if status.unfinished:
        parts.append(paragraph(f"Utterances of recordings that wait or failed: {status.unfinished:,}."))
    if status.failed:
        rows = [[Path(f["path"]).name, f["stage"], f["reason"]] for f in status.failed[:SHOWN]]
        parts += [
            paragraph(f"Recordings that failed ({len(status.failed):,}):"),
            table(["recording", "stage", "reason"], rows),
        ]
    return section("Left out", *(parts or [paragraph("Nothing.")]))


def _sample(catalogue: Catalogue, utterance: Utterance) -> Html:
    try:
        recording = catalogue.get(utterance.recording)
        wave = audio.decode(recording.audio, 16_000, utterance.start, utterance.end)
    except UserError as error:
        return paragraph(str(error))
    about = f"{Path(recording.path).name}, {utterance.start:.1f} to {utterance.end:.1f} s"
    parts = [player(about, wave, 16_000), paragraph(utterance.text)]
    if utterance.text_clean:
        parts.append(paragraph(f"clean: {utterance.text_clean}"))
    return element("div", join(parts))
