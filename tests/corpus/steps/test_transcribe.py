from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rosella import audio, mini
from rosella.asr.recogniser import Recogniser
from rosella.asr.whisper import new_recogniser
from rosella.corpus.recogniser import Clip, Kind, Transcribed, Written
from rosella.corpus.steps.transcribe import Transcriber
from rosella.errors import UserError
from rosella.evaluate.sentences import read_sentences
from rosella.records import LEAST_SURE


def recogniser(seed: int, prompts: dict[Kind, str]) -> Recogniser:
    """Random weights so wide that what is written depends on what is heard."""
    made = new_recogniser(32, 1, 1, 2, ["en", "nl"], 24, seed)
    torch.manual_seed(seed)
    for value in made.model.parameters():
        torch.nn.init.normal_(value, std=0.3)
    made.change(prompts=prompts, short_windows=False)
    return made


BOTH: dict[Kind, str] = {"verbatim": "<|startoflm|>", "clean": "<|transcribe|>"}


@pytest.fixture(scope="module")
def both() -> Recogniser:
    return recogniser(0, BOTH)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    """Eleven clips of different tones and lengths in one file."""
    path, made = tmp_path_factory.mktemp("audio") / "tones.wav", []
    lengths = [0.3 + 0.15 * number for number in range(11)]
    pieces = [
        0.3 * np.sin(np.arange(int(16_000 * length)) * 0.03 * (number + 1))
        for number, length in enumerate(lengths)
    ]
    audio.write(path, np.concatenate(pieces).astype(np.float32), 16_000)
    now = 0.0
    for number, length in enumerate(lengths):
        made.append(
            Clip(f"clip-{number}", path, now, now + int(16_000 * length) / 16_000, ("en", "nl")[number % 2])
        )
        now = made[-1].end
    return made


def readings(outcome: Transcribed) -> dict[str, list[tuple[str, float]]]:
    """Texts with their confidence, which tells clips apart even where their texts are alike."""
    return {
        name: [(made.text, round(made.log_probability, 3)) for made in one.transcripts.values()]
        for name, one in outcome.transcriptions.items()
    }


def read(recognisers: dict[Kind, Recogniser], clips: list[Clip]) -> dict[str, list[tuple[str, float]]]:
    return readings(Transcriber(recognisers, batch_size=3).transcribe(clips))


def test_results_stay_with_their_clips_whatever_is_shuffled_dropped_or_empty(both, clips, tmp_path):
    transcriber = Transcriber({"verbatim": both, "clean": both}, batch_size=3)
    alone = {clip.id: readings(transcriber.transcribe([clip]))[clip.id] for clip in clips}
    assert len({str(one) for one in alone.values()}) == len(clips), "or a mistake would not show"
    mixed = [clip for clip in clips if clip.id not in ("clip-2", "clip-7")]
    empty = tmp_path / "empty.wav"
    empty.touch()
    mixed += [
        Clip("empty file", empty, 0.0, 1.0, "en"),
        Clip("no file", tmp_path / "none.wav", 0.0, 1.0, "en"),
        Clip("empty span", clips[0].audio, 1.0, 1.0, "en"),
        Clip("past the end", clips[0].audio, 500.0, 501.0, "en"),
    ]
    random.Random(1).shuffle(mixed)
    outcome = transcriber.transcribe(mixed)
    assert set(outcome.rejects) == {"empty file", "no file", "empty span", "past the end"}
    assert "empty" in outcome.rejects["empty file"]
    made = readings(outcome)
    assert made == {clip.id: alone[clip.id] for clip in clips if clip.id in made}
    assert set(made) == {clip.id for clip in clips} - {"clip-2", "clip-7"}


def test_nothing_gives_nothing(both):
    outcome = Transcriber({"verbatim": both}).transcribe([])
    assert not outcome.transcriptions and not outcome.rejects


def test_two_clips_of_one_id_are_refused(both, clips):
    with pytest.raises(UserError, match="share their id"):
        Transcriber({"verbatim": both}).transcribe([clips[0], clips[0]])


def test_a_clip_that_does_not_fit_says_why(both, clips):
    long = Clip("long", clips[0].audio, 0.0, 2.5, "en")
    foreign = Clip("foreign", clips[0].audio, 0.0, 1.0, "fy")
    rejects = Transcriber({"verbatim": both}).transcribe([long, foreign]).rejects
    assert "longer than the recogniser's window of 2 s" in rejects["long"]
    assert "no language fy" in rejects["foreign"]


def test_one_encoder_pass_writes_both_transcripts(both, clips, monkeypatch):
    passes = []
    heard = both.encode
    monkeypatch.setattr(both, "encode", lambda features: passes.append(len(features)) or heard(features))
    made = Transcriber({"verbatim": both, "clean": both}, batch_size=20).transcribe(clips)
    assert passes == [len(clips)]
    assert all(set(one.transcripts) == {"verbatim", "clean"} for one in made.transcriptions.values())
    assert read({"clean": both}, clips) == {name: one[1:] for name, one in readings(made).items()}


def test_two_recognisers_with_one_encoder_share_its_pass(clips):
    one, other = (recogniser(0, {kind: "<|transcribe|>"}) for kind in ("verbatim", "clean"))
    torch.nn.init.normal_(other.model.model.decoder.embed_positions.weight, std=0.5)
    assert len(Transcriber({"verbatim": one, "clean": other}).listeners) == 1
    apart = Transcriber({"verbatim": one, "clean": recogniser(1, {"clean": "<|transcribe|>"})})
    assert len(apart.listeners) == 2
    together = read({"verbatim": one, "clean": other}, clips)
    assert {name: made[1:] for name, made in together.items()} == read({"clean": other}, clips)


def test_a_language_that_is_not_named_is_found_out(both, clips):
    unnamed = [Clip(clip.id, clip.audio, clip.start, clip.end) for clip in clips]
    made = Transcriber({"verbatim": both}).transcribe(unnamed).transcriptions
    assert {one.language for one in made.values()} <= {"en", "nl"}
    assert all(0 <= one.no_speech <= 1 for one in made.values())


def test_rules_make_the_clean_transcript(both, clips, monkeypatch):
    monkeypatch.setattr(both, "text", lambda ids: "[S1] Eh, ik, ik begin (laughs) nu.")
    made = Transcriber({"verbatim": both}, rules=True).transcribe(clips[1:2]).transcriptions["clip-1"]
    assert made.transcripts["clean"].text == "[S1] Ik begin nu."
    with pytest.raises(UserError, match="one recogniser"):
        Transcriber({"verbatim": both, "clean": both}, rules=True)


@torch.inference_mode()
def test_confidence_is_that_of_the_bytes_of_the_text(both, clips):
    made = Transcriber({"clean": both}).transcribe(clips[:1]).transcriptions["clip-0"].transcripts["clean"]
    wave = audio.decode(clips[0].audio, 16_000, clips[0].start, clips[0].end)
    states = both.encode(both.features([wave]))
    (row,) = both.write(states, [both.prompt("clean", "en")])
    ids = torch.tensor([[*both.prompt("clean", "en"), *row.ids]])
    made_logits = both.model.model.decoder(input_ids=ids, encoder_hidden_states=states).last_hidden_state
    never, _ = both._forbidden(torch.device("cpu"))
    chances = (both.model.proj_out(made_logits)[0, 3:] + never).log_softmax(-1)
    targets = [*row.ids, *[both.end] * row.ended]
    expected = sum(float(chances[i, token]) for i, token in enumerate(targets))
    assert made.log_probability == pytest.approx(expected / (len(made.text.encode()) + row.ended), abs=1e-3)


def test_confidence_does_not_depend_on_how_a_text_is_divided_into_tokens(clips):
    """One with tokens of a byte is as sure as one with tokens of a word, if both give the text the same chance."""
    sure = []
    for tokens in (range(9), range(2)):
        one = recogniser(0, {"clean": "<|transcribe|>"})
        one.write = lambda states, prompts, tokens=tokens: [Written(tuple(tokens), -1.5, True)] * len(prompts)
        one.text = lambda ids: "dag éénd"
        made = Transcriber({"clean": one}).transcribe(clips[:1]).transcriptions["clip-0"]
        sure.append(made.transcripts["clean"].log_probability)
    assert sure == [pytest.approx(-1.5 / 11)] * 2


def test_nothing_written_before_the_positions_ran_out_has_a_confidence_too(both, clips, monkeypatch):
    monkeypatch.setattr(both, "write", lambda states, prompts: [Written((), 0.0, False)] * len(prompts))
    made = Transcriber({"clean": both}).transcribe(clips[:1]).transcriptions["clip-0"]
    assert made.transcripts["clean"].log_probability == 0


def test_the_embedded_recogniser_is_unsure_of_what_it_does_not_know(tmp_path):
    """Sentences it can read, and the same played backwards, which sound like speech of another language."""
    known, clips = [], []
    for sentence in read_sentences(mini.path("podcast") / "heldout" / "manifest.jsonl")[::6]:
        wave = audio.decode(sentence.audio, 16_000)
        audio.write(tmp_path / f"back-{len(known)}.wav", wave[::-1].copy(), 16_000)
        for name, path in (("known", sentence.audio), ("back", tmp_path / f"back-{len(known)}.wav")):
            clips.append(Clip(f"{name}-{len(known)}", path, 0.0, len(wave) / 16_000, sentence.language))
        known.append(sentence)
    made = Transcriber({"verbatim": Recogniser.load("mini")}).transcribe(clips).transcriptions
    sure = {name: one.transcripts["verbatim"].log_probability for name, one in made.items()}
    assert min(value for name, value in sure.items() if name.startswith("known")) > LEAST_SURE
    assert max(value for name, value in sure.items() if name.startswith("back")) < LEAST_SURE


@pytest.mark.parametrize(
    ("speakers", "lost", "said"),
    [
        (1, 5.9, "[S1] ja nee goed"),  # of two tags, 3 each
        (1, 6.1, "[S1] ja [S2] nee [S1] goed"),
        (2, 0.0, "[S1] ja [S2] nee [S1] goed"),
        (None, 0.0, "[S1] ja [S2] nee [S1] goed"),
    ],
)
def test_where_one_voice_was_heard_others_are_written_only_by_who_is_sure(
    clips, monkeypatch, speakers, lost, said
):
    one, asked = recogniser(0, {"verbatim": "<|startoflm|>"}), []

    def weigh(state, prompt, text):
        asked.append((len(state), text))
        return Written(tuple(one.text_ids(text)), -1.0 - lost, True)

    written = Written(tuple(one.text_ids("[S1] ja [S2] nee [S1] goed")), -1.0, True)
    monkeypatch.setattr(one, "write", lambda states, prompts: [written] * len(prompts))
    monkeypatch.setattr(one, "weigh", weigh)
    heard = [replace(clip, speakers=speakers) for clip in clips[:2]]
    made = Transcriber({"verbatim": one}).transcribe(heard).transcriptions["clip-1"].transcripts["verbatim"]
    assert made.text == said
    assert asked == ([(1, "[S1] ja nee goed")] * 2 if speakers == 1 else [])
    surely = (-1.0 - lost if said == "[S1] ja nee goed" else -1.0) / (len(said) + 1)
    assert made.log_probability == pytest.approx(surely)


def test_progress_counts_every_clip(both, clips, tmp_path: Path):
    seen: list[int] = []
    Transcriber({"verbatim": both}, batch_size=4).transcribe(clips, seen.append)
    assert seen == [4, 8, 11]


def test_a_batch_opens_each_recording_once(both, clips, monkeypatch):
    opened, open_source = [], audio.open_source
    monkeypatch.setattr(
        "rosella.audio.decoding.open_source", lambda path: opened.append(path) or open_source(path)
    )
    late = [clip for clip in clips if clip.start > 1.0]
    Transcriber({"verbatim": both}, batch_size=20).transcribe(late)
    assert len(late) > 5 and len(opened) == 1
