from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluate.synthetic_speech import RATE, sentence
from report.wellformed import Wellformed
from rosella.evaluate.intelligibility import Retrieval
from rosella.evaluate.sentences import Sentence
from rosella.evaluate.speaking import ModelEvaluation, Yardstick
from rosella.evaluate.summary import ClipScore
from rosella.measures import SPEECH
from rosella.report import page, speech
from rosella.report.facts import CorpusFacts, RecordingFacts, StepFacts, Story, TrainingFacts

NASTY = '<script>alert("x")</script> & $title'
SUMMARY = {
    "retrieval": 0.5,
    "retrieval_hits": 1,
    "retrieval_chance": 0.25,
    "retrieval_round_trip": 1.0,
    "retrieval_shuffled_text": 0.0,
    "stopped": 1.0,
    "length_ratio": 1.1,
    "length_spread": 0.1,
    "real_time_factor": 2.0,
    "pitch_semitones": None,
    "spectrum_db": 3.0,
    "codec_stoi": 0.93,
}


def evaluation(name: str, **changes: float) -> ModelEvaluation:
    clips = [
        ClipScore("a", NASTY, "nl", NASTY, 1, 4, True, 1.0, 1.0, None, 3.0),
        ClipScore("b", "bram", "nl", "twee", 3, 4, False, 1.0, 1.0, 2.0, 3.0),
    ]
    waves = {"a": sentence("ae"), "b": np.zeros(1600, np.float32)}
    return ModelEvaluation(name, {**SUMMARY, **changes}, clips, waves, RATE)


@pytest.fixture(scope="module")
def story() -> Story:
    said = [Sentence(name, NASTY, Path(name), NASTY, "nl") for name in ("a", "b")]
    control = Retrieval(np.arange(2), np.ones(2, int), np.full(2, 2), np.zeros((2, 2)))
    yardstick = Yardstick(said, [sentence("ae")] * 2, [sentence("ae")] * 2, RATE, 50.0, control, 0.93)
    curves = {"1": ([1, 2, 3], [3.0, float("nan"), 1.0]), "2": ([1, 2, 3], [4.0, 3.0, 2.0])}
    return Story(
        yardstick,
        evaluation("after", retrieval=1.0, retrieval_hits=2),
        evaluation("before"),
        CorpusFacts([RecordingFacts(NASTY, ["anna"], "nl", 2, 7.5)], [3.0, 4.5], {NASTY: 2}),
        TrainingFacts(3, curves, {"1": ([1, 3], [3.0, 1.5])}),
        [StepFacts("Fine-tune", "rosella train x", 61.0)],
        [("Go on.", "rosella speak <text>")],
        {"machine": NASTY},
    )


@pytest.fixture(scope="module")
def html(story: Story) -> str:
    return speech.draw(story)


def test_the_page_nests_and_needs_nothing_from_outside(html: str) -> None:
    parsed = Wellformed()
    parsed.feed(html)
    assert parsed.open == []
    assert parsed.addresses
    assert all(address.startswith(("data:", "#")) for address in parsed.addresses)
    assert "url(http" not in html
    assert "@import" not in html


def test_a_score_stands_above_its_interval(story: Story) -> None:
    assert "interval" not in speech.draw(story), "scores of before there were intervals"
    measured = replace(story.after, intervals={"retrieval": (0.25, 1.0)})
    html = speech.draw(replace(story, after=measured))
    assert "25 to 100\N{NO-BREAK SPACE}%" in html and "its 95 % interval" in html


def test_text_is_escaped_everywhere(html: str) -> None:
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") >= 6  # two headings, two figures, corpus, rejects, machine


def test_every_sentence_has_its_four_players_and_the_audio_is_mp3(html: str) -> None:
    assert html.count("<audio controls") == 8
    assert html.count("data:audio/mpeg;base64,") == 8
    for label in ("reference", "codec round trip", "before", "after"):
        assert label in html
    assert "did not stop" in html


def test_the_gain_is_counted_towards_the_ideal(story: Story) -> None:
    understood = SPEECH[0]
    assert ">gain<" in speech.draw(story)
    assert "+50 points" in speech.draw(story)
    worse = replace(story, after=evaluation("after", retrieval=0.25), before=evaluation("before"))
    assert understood.key == "retrieval"
    assert re.search(r'class="number bad">-25 points', speech.draw(worse))


def test_parts_that_did_not_happen_are_left_out(story: Story) -> None:
    short = speech.draw(replace(story, before=None, corpus=None, training=None, steps=(), next_steps=()))
    assert short.count("<audio controls") == 6
    for heading in ("The corpus", "The training", "What was done", "How to go on", ">gain<"):
        assert heading not in short


def test_ink_follows_the_page(html: str) -> None:
    assert "currentColor" in html
    assert "#010203" not in html


def test_a_player_for_any_sample_rate() -> None:
    wave = np.zeros(11_000, np.float32)
    assert "data:audio/mpeg" in page.player("x", wave, 11_025).markup


def test_write_replaces_the_page_in_one_piece(tmp_path: Path, story: Story) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    speech.write_page(story, path)
    assert path.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]
