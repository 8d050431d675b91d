from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import av
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
from rosella.speak.provenance import STATEMENT

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


def evaluation(name: str, ranks: tuple[int, int] = (1, 3), **changes: float) -> ModelEvaluation:
    clips = [
        ClipScore("a", NASTY, "nl", NASTY, ranks[0], 4, True, 1.0, 1.0, None, 3.0),
        ClipScore("b", "bram", "nl", "twee", ranks[1], 4, False, 1.0, 1.0, 2.0, 3.0),
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
        evaluation("after", (1, 1), retrieval=1.0, retrieval_hits=2),
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
    assert html.count("<audio controls") == 3 + 8, "the first screen has three"
    assert html.count("data:audio/mpeg;base64,") == 3 + 8
    for label in ("reference", "codec round trip", "before", "after"):
        assert label in html
    assert "did not stop" in html


def test_what_a_model_said_says_so_when_it_is_saved(html: str) -> None:
    sounds = [io.BytesIO(base64.b64decode(sound)) for sound in re.findall(r'base64,([^"]+)', html)]
    before, after, reference, *_ = map(comment, sounds)
    assert before == f"{STATEMENT}. Model: before"
    assert after == f"{STATEMENT}. Model: after"
    assert reference == ""


def comment(sound: io.BytesIO) -> str:
    with av.open(sound) as file:
        return file.metadata.get("comment", "")


def test_the_gain_is_counted_towards_the_ideal(story: Story) -> None:
    assert SPEECH[0].key == "retrieval"
    assert ">gain<" in speech.draw(story)
    assert re.search(
        r'class="number">\+50 points</span>\s*<span class="who">\+0 to \+100<', speech.draw(story)
    )


@pytest.mark.parametrize(
    ("was", "now", "shown"),
    [((3, 3), (1, 1), "number good"), ((1, 1), (3, 3), "number bad"), ((3, 1), (1, 3), "number")],
)
def test_a_gain_has_a_colour_where_all_of_its_interval_is_one(story: Story, was, now, shown) -> None:
    changed = replace(story, before=evaluation("before", was), after=evaluation("after", now))
    (row,) = re.findall(r"<tr>\s*<td>Understood.*?</tr>", speech.draw(changed), re.DOTALL)
    assert f'<span class="{shown}">' in row.split("<td>")[-1]


def test_three_players_come_first(html: str) -> None:
    first = html[: html.index("<h2>")]
    assert first.count("<audio controls") == 3
    assert [first.index(f"<b>{label}</b>") for label in ("before", "after", "reference")] == sorted(
        first.index(f"<b>{label}</b>") for label in ("before", "after", "reference")
    )


def test_two_models_stand_side_by_side_without_a_training(story: Story) -> None:
    html = speech.draw(replace(story, corpus=None, training=None))
    assert "How well after speaks, beside before" in html and "(before: 1 of 2)" in html


def test_what_was_read_back_stands_in_the_first_lines(story: Story) -> None:
    assert "2 of 2 can be told from all others" in speech.draw(story), "nobody read it back"
    read = {"wer": 0.25, "wer_round_trip": 0.05}
    after, before = evaluation("after", **read), evaluation("before", **{**read, "wer": 0.75})
    html = speech.draw(replace(story, after=after, before=before))
    told = "a recogniser got 25\N{NO-BREAK SPACE}% of its words wrong (before the fine-tuning: 75\N{NO-BREAK SPACE}%; "
    lead = html[: html.index("<audio")]
    assert told in lead and "told from all others" not in lead


def test_it_begins_with_what_it_is_about(story: Story) -> None:
    html = speech.draw(replace(story, about="A model was given a podcast."))
    assert html.index("A model was given a podcast.") < html.index("Rosella took")


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
