"""Audio alone: a diarizer and a recogniser take the place of a manifest."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
import sqlalchemy as sa

from corpus.fakes import FakeCodec, save_tone, tone
from rosella.corpus.catalogue.removal import find
from rosella.corpus.catalogue.status import GUESSED, LeftOut
from rosella.corpus.catalogue.tables import RecordingRow
from rosella.corpus.catalogue.voices import embeddings
from rosella.corpus.diarization.turns import Diarization, SpeakerTurn
from rosella.corpus.models import Models
from rosella.corpus.project import Corpus
from rosella.corpus.recogniser import Transcribed, Transcript, Transcription
from rosella.corpus.sources.entries import Entry
from rosella.corpus.steps.segment import Cutting
from rosella.errors import UserError
from rosella.records import Turn
from rosella.shards.read import Export

LOW, HIGH = np.eye(2, dtype=np.float32)


@dataclass
class Hears:
    """A diarizer that hears A, then both, then B."""

    version: str = "hears-1"

    def diarize(self, path: Path) -> Diarization:
        turns = [SpeakerTurn(1, 4, "A"), SpeakerTurn(4, 6, "B"), SpeakerTurn(6, 9, "B")]
        return Diarization(turns, [(3.5, 4.0)], {"A": LOW, "B": HIGH})

    def embed(self, path, turns):
        return {turn.speaker: HIGH for turn in turns}


@dataclass
class Writes:
    """A transcriber that writes what it is told."""

    texts: list[str]
    clean: str | None = None
    no_speech: float = 0.1
    compression: float = 1.0
    confidences: tuple[float, ...] = (-0.02, -0.02, -0.02)
    version: str = "writes-1"
    window: float = 4.0
    asked: list[tuple[float, float]] = field(default_factory=list)

    def read(self, clips):
        yield clips

    def write_down(self, batches) -> Transcribed:
        clips = [clip for batch in batches for clip in batch]
        self.asked += [(clip.start, clip.end) for clip in clips]
        made = {}
        for clip, said, sure in zip(clips, self.texts, self.confidences, strict=False):
            transcripts = {"verbatim": Transcript(said, sure, self.compression)}
            if self.clean:
                transcripts["clean"] = Transcript(self.clean, -0.3, 1.0)
            made[clip.id] = Transcription("nl", self.no_speech, transcripts)
        return Transcribed(made, {clip.id: "cannot be read" for clip in clips if clip.id not in made})


@pytest.fixture
def corpus(tmp_path):
    path = save_tone(tmp_path / "a.wav", 10.0)
    with Corpus.open(tmp_path / "corpus", create=True) as opened:
        opened.add_entries([Entry(path, (), "a.wav")])
        yield opened


def run(corpus, transcriber, diarizer=None, **cutting):
    return corpus.run(
        Models(FakeCodec(), cutting=Cutting(**cutting), diarizer=diarizer or Hears(), transcriber=transcriber)
    )


def said(corpus):
    (recording,) = corpus.catalogue.done("scan", "")
    return corpus.catalogue.utterances(recording.id)


def test_audio_alone_becomes_training_data(corpus):
    writes = Writes(["[S1] eh, hallo (laughs)", "goedemorgen", "[S1] dag"], clean="Dag.")
    ran = run(corpus, writes)
    assert ran.failed == [] and set(ran.done.values()) == {1}
    assert [end - start <= writes.window for start, end in writes.asked] == [True] * 3
    first, second, third = said(corpus)
    assert (first.text, second.text, third.text) == (
        "[S1] eh, hallo (laughs)",
        "[S1] goedemorgen",
        "[S1] dag",
    )
    assert (first.speakers, second.speakers) == (("A",), ("B",))
    assert (first.language, first.confidence, first.no_speech, first.compression) == ("nl", -0.02, 0.1, 1.0)
    assert {u.transcript_source for u in said(corpus)} == {"model"} and third.text_clean == "[S1] Dag."
    assert corpus.status().rejects["several speak at once"] == 1
    assert corpus.export().utterances == 3
    rows = Export.open(corpus.directory).index(["speakers", "main_speaker"]).to_pylist()
    heard = {name for row in rows for name in row["speakers"]}
    assert len(rows) == 3 and len(heard) == 2, "two voices"
    assert all(name.startswith("voice-") for name in heard | {row["main_speaker"] for row in rows})


def test_who_is_named_in_a_manifest_keeps_the_name_and_is_found_where_nobody_named_them(corpus, tmp_path):
    path = save_tone(tmp_path / "b.wav", 10.0, seed=1)
    two = Turn(4.0, 6.0, "tape", "[S1] wie [S2] ik")
    corpus.add_entries([Entry(path, (Turn(1.0, 3.0, "anna", "hoi"), two), "b.wav")])
    run(corpus, Writes(["[S1] een"] * 3))
    found = find(corpus.catalogue, "anna")
    assert [recording.path for recording in found.named] == [str(path)]
    assert [(heard.path, heard.other) for heard in found.heard] == [(str(tmp_path / "a.wav"), None)]
    (heard,) = found.heard
    assert len(find(corpus.catalogue, heard.voice).named) == 2
    corpus.export()
    rows = Export.open(corpus.directory).index(["recording", "main_speaker"]).to_pylist()
    (named,) = [r for r in corpus.catalogue.done("scan", "") if r.path == str(path)]
    assert embeddings(corpus.catalogue, named.id).keys() == {"anna"}, "two at once have no embedding"
    assert {row["main_speaker"] for row in rows if row["recording"] == named.id} == {"anna", None}


def test_a_named_recording_that_cannot_be_heard_fails_where_it_is_encoded(corpus, tmp_path):
    class Deaf(Hears):
        def embed(self, path, turns):
            raise UserError("It is damaged.")

    path = save_tone(tmp_path / "b.wav", 10.0, seed=1)
    corpus.add_entries([Entry(path, (Turn(1.0, 3.0, "anna", "hoi"),), "b.wav")])
    assert run(corpus, Writes(["[S1] een"] * 3), Deaf()).failed == []


def test_what_cannot_be_learnt_from_is_left_out_with_its_reason(corpus):
    run(corpus, Writes(["[S1] een [S2] twee", "", "[S1] drie\0"]))
    assert [u.text for u in said(corpus)] == ["", "", ""]
    assert set(corpus.status().rejects) == {
        "several speak at once",
        "The transcript names … speakers where … were heard.",
        "the recogniser heard no speech",
        "The text holds a control character … remove it.",
    }


def test_a_transcript_that_nobody_could_say_in_its_time_is_left_out(corpus):
    run(corpus, Writes(["[S1] een", "[S1] " + "abcdefgh " * 100, "[S1] drie"]))
    assert corpus.status().rejects["the transcript is longer than anybody could say in its time"] == 1
    assert corpus.status().usable == 2


def test_a_clean_transcript_of_a_dialogue_needs_no_tags(corpus):
    @dataclass
    class Two(Hears):
        def diarize(self, path):
            return Diarization([SpeakerTurn(1, 2, "A"), SpeakerTurn(2, 3, "B")], [], {"A": LOW, "B": HIGH})

    run(corpus, Writes(["[S1] eh, ja [S2] nee"], clean="Ja. Nee."), Two())
    (utterance,) = said(corpus)
    assert (utterance.text, utterance.text_clean) == ("[S1] eh, ja [S2] nee", "Ja. Nee.")


@pytest.mark.parametrize("doubt", [{"no_speech": 0.9}, {"compression": 3.0}])
def test_a_doubtful_transcript_is_rejected(corpus, doubt):
    run(corpus, Writes(["[S1] een"] * 3, **doubt))
    assert [u.text for u in said(corpus)] == ["", "", ""]


def test_what_was_guessed_is_left_out_of_an_export_until_it_is_asked_for(corpus):
    run(corpus, Writes(["[S1] een", "[S1] twee", "[S1] drie"], confidences=(-0.02, -0.3, -0.13)))
    found, (_, second, third) = corpus.status(), said(corpus)
    assert (found.transcribed, found.doubtful) == (3, 2)
    seconds = pytest.approx(second.end - second.start + third.end - third.start)
    assert found.left_out[-1] == LeftOut("transcribe", GUESSED, 2, seconds) and found.unfinished == 0
    assert [(e.utterances, e.doubtful) for e in [corpus.export()]] == [(1, 2)]
    for where, expected in (("confidence>=-0.2", 2), ("confidence>=-9", 3), ("confidence<=-0.2", 1)):
        exported = corpus.export(where=[where])
        assert (exported.utterances, exported.doubtful) == (expected, 0)
    assert corpus.export(where=["language=nl"]).doubtful == 2
    with pytest.raises(UserError, match="No utterance .* fulfils the conditions"):
        corpus.export(where=["language=fr"])


def test_where_all_was_guessed_an_export_says_so(corpus):
    run(corpus, Writes(["[S1] een"] * 3, confidences=(-0.2, -0.3, -0.4)))
    with pytest.raises(UserError, match="guessed at all 3 utterances"):
        corpus.export()


def test_what_was_rejected_is_not_counted_as_guessed_too(corpus):
    run(corpus, Writes(["", "[S1] twee", "[S1] drie"], confidences=(-0.3, -0.02, -0.02)))
    assert (corpus.status().transcribed, corpus.status().doubtful) == (2, 0)


def test_a_better_recogniser_writes_again_what_was_left_out(corpus):
    run(corpus, Writes([]))
    assert corpus.status().rejects["cannot be read"] == 3
    ran = run(corpus, Writes(["[S1] toch"] * 3, version="writes-2"))
    assert ran.done == {"diarize": 0, "segment": 0, "transcribe": 1, "tokenize": 1}
    assert [u.text for u in said(corpus)] == ["[S1] toch"] * 3
    assert "cannot be read" not in corpus.status().rejects


def test_another_diarizer_begins_anew(corpus):
    run(corpus, Writes(["[S1] een"] * 3))
    ran = run(corpus, Writes(["[S1] een"] * 3), Hears("hears-2"))
    assert set(ran.done.values()) == {1}


def test_without_a_diarizer_or_recogniser_audio_alone_fails_and_says_so(corpus):
    ran = corpus.run(Models(FakeCodec()))
    assert [why for _, why in ran.failed] == ["It came without turns: run with a diarizer."]
    ran = corpus.run(Models(FakeCodec(), diarizer=Hears()))
    assert [why for _, why in ran.failed] == ["It came without a transcript: run with a recogniser."]
    assert run(corpus, Writes(["[S1] een"] * 3)).failed == []


def test_silence_says_that_nobody_was_heard(corpus):
    class Nobody(Hears):
        def diarize(self, path):
            return Diarization()

    assert run(corpus, Writes([]), Nobody()).failed == []
    assert corpus.status().rejects == {"nobody was heard to speak in the whole recording": 1}
    with pytest.raises(UserError, match="has codes: 1 × nobody was heard to speak in the whole recording"):
        corpus.export()


def test_channels_that_cancel_each_other_are_heard(tmp_path):
    tones = np.stack([tone(10.0), -tone(10.0)], 1)
    soundfile.write(tmp_path / "a.flac", tones, 16000)
    soundfile.write(tmp_path / "b.flac", tones[:, :1], 16000)
    codes = {}
    for name in ("a", "b"):
        with Corpus.open(tmp_path / name, create=True) as corpus:
            corpus.add_entries([Entry(tmp_path / f"{name}.flac", (), name)])
            run(corpus, Writes(["[S1] een"] * 3))
            assert corpus.export().utterances == 3
            codes[name] = Export.open(corpus.directory)
    for number in range(3):
        np.testing.assert_array_equal(codes["a"].codes(number), codes["b"].codes(number))


def test_codes_of_all_channels_are_not_kept_where_one_is_heard_now(tmp_path):
    said, hum = tone(10.0), 0.05 * tone(10.0, seed=7)
    soundfile.write(tmp_path / "a.wav", np.stack([said + hum, hum - said], 1), 16000)
    entries = [Entry(tmp_path / "a.wav", (Turn(0.5, 4.5, "a", "hoi"),), "a")]
    with Corpus.open(tmp_path / "c", create=True) as corpus:
        corpus.add_entries(entries)
        with corpus.catalogue.session() as session:  # as it was before channels were compared
            session.execute(sa.update(RecordingRow).values(channel=None))
        codes = []
        for _ in range(2):
            corpus.run(Models(FakeCodec()))
            corpus.export()
            codes.append(Export.open(corpus.directory).codes(0))
            os.utime(tmp_path / "a.wav", ns=(0, 0))
            assert corpus.add_entries(entries).failed == []
        assert codes[0].shape == codes[1].shape and (codes[0] != codes[1]).any()


def test_status_leads_from_what_was_recorded_to_what_training_gets(corpus, tmp_path):
    run(corpus, Writes(["[S1] een", "", "[S1] drie"]))
    status = corpus.status()
    assert (status.recordings, status.utterances, status.usable, status.unfinished) == (1, 3, 2, 0)
    assert status.usable_seconds == pytest.approx(sum(u.end - u.start for u in said(corpus) if u.text))
    assert [(part.stage, part.reason, part.spans) for part in status.left_out] == [
        ("segment", "several speak at once", 1),
        ("transcribe", "the recogniser heard no speech", 1),
    ]
    assert corpus.export().utterances == len(list(corpus.catalogue.encoded(corpus.codes or ""))) == 2
    save_tone(tmp_path / "b.wav", 10.0, seed=1)
    corpus.add_entries([Entry(tmp_path / "b.wav", (), "b.wav")])
    run(corpus, Writes([]), Hears("hears-2"))
    assert (corpus.status().usable, corpus.status().unfinished) == (0, 0)
    run(corpus, None)
    status = corpus.status()
    assert (status.utterances, status.usable, status.unfinished) == (4, 0, 4), "all wait for a recogniser"
    assert [part.stage for part in status.left_out] == ["segment"], "what a later stage left out is void"


def test_digital_silence_is_not_for_training(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.concatenate([tone(5.0), np.zeros(80_000)]), 16000)
    turns = (Turn(0.5, 4.5, "a", "hoi"), Turn(8.0, 9.0, "a", "dag"))
    with Corpus.open(tmp_path / "c", create=True) as corpus:
        corpus.add_entries([Entry(tmp_path / "x.wav", turns, "x")])
        corpus.run(Models(FakeCodec()))
        assert (corpus.status().utterances, corpus.status().usable, corpus.export().utterances) == (2, 1, 1)
