"""What a model is shown of voices, and how the text that follows reads; who spoke is remembered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rosella.errors import UserError
from rosella.speak.clips import Said, Start, room_after
from rosella.speak.past import Past
from speak.counting import Codec, clip, saved
from training import tiny


def start(text, given):
    return Past.of(given, Codec()).before(text)


def test_a_saved_voice_is_its_clip():
    of_clip, of_file = start("[S1] ja", clip()), start("[S1] ja", saved())
    assert of_file.seen == of_clip.seen == "[S1] hoi ja"
    np.testing.assert_array_equal(of_file.before.codes, of_clip.before.codes)


def test_codes_of_another_codec_are_refused():
    of_file = saved()
    other = of_file.model_copy(update={"codec": replace(of_file.codec, fingerprint="other")})
    for given in (other, {"S1": of_file, "S2": other}):
        with pytest.raises(UserError, match="saved with the codec other and the model speaks with tiny"):
            Past.of(given, Codec())


VOICES = {"S3": saved("drie"), "S1": clip(2, "[S2] een"), "S2": clip(1, "[S1] twee [S1] ja")}


@pytest.mark.parametrize(
    ("text", "seen", "frames"),
    [
        ("[S1] a [S2] b", "[S1] een [S2] twee [S2] ja [S1] a [S2] b", (100, 50)),
        ("[S2] a [S1] b [S2] c", "[S1] twee [S1] ja [S2] een [S1] a [S2] b [S1] c", (50, 100)),
        ("[S3] a [S3] b", "[S1] drie a [S1] b", (150,)),
        ("[S4] a [S2] b", "[S1] een [S2] drie [S3] twee [S3] ja [S4] a [S3] b", (100, 150, 50)),
    ],
)
def test_who_speaks_is_shown_in_the_order_of_speaking_and_numbered_so(text, seen, frames):
    """Nobody goes on right behind his own clip, where others speak too; who has none differs from all."""
    found = start(text, VOICES)
    assert found.seen == seen
    parts = [part for each in frames for part in (5, each)][1:]
    np.testing.assert_array_equal(
        found.before.codes[:, 1], np.concatenate([np.arange(n) % 16 for n in parts])
    )
    if len(frames) > 1:
        silent = found.before.codes[frames[0] : frames[0] + 5, 0]
        assert not silent.any() and found.before.codes[: frames[0], 0].all(), "a breath is silent"


def test_a_clip_is_shown_to_whom_it_does_not_show_too():
    assert start("[S2] c", clip(text="[S2] a [S1] b")).seen == "[S1] a [S2] b [S1] c"
    assert start("[S1] c", clip(text="[S2] a")).seen == "[S1] a [S2] c"
    assert start("[S2] c [S1] d", clip(text="[S1] a")).seen == "[S1] a [S2] c [S1] d"


def test_without_any_clip_a_text_stays_as_it_is():
    found = start("[S2] c", None)
    assert found.seen == "[S2] c" and found.prompt is None and found.before.codes.shape == (0, 3)


def said(text, frames):
    return Said(text, np.full((frames, 3), 9, np.uint16))


def test_who_has_no_clip_is_shown_by_what_he_said():
    past = Past.of({"S3": saved("drie")}, Codec()).after([said("[S1] ja", 120), said("[S3] zoveel", 130)])
    found = past.before("[S3] c [S1] d")
    assert found.seen == "[S1] drie [S2] ja [S1] c [S2] d"
    assert len(found.before.codes) == 150 + 5 + 120 and found.prompt.said == len("\1 drie \2 ja")
    assert past.before("[S3] c [S1] d", given=True).seen == "[S1] drie c [S2] d"
    assert past.before("[S2] c").seen == "[S1] drie [S2] ja [S3] c"
    assert past.after([said("[S1] nog meer", 200)]) is past


def test_who_said_little_is_shown_by_the_first_turn_that_is_long_enough():
    """Two seconds are a hundred frames."""
    past = Past.of(None, Codec()).after([said("[S1] ja", 20)])
    assert past.before("[S1] c").seen == "[S1] ja c"
    past = past.after([said("[S1] nee", 15)])
    assert past.before("[S1] c").seen == "[S1] ja c", "shorter still"
    past = past.after([said("[S1] een zin", 120), said("[S1] een langere", 180)])
    assert past.before("[S1] c").seen == "[S1] een zin c"


def test_speakers_who_could_not_be_told_apart_are_shown_together():
    past = Past.of({"S1": clip(text="een")}, Codec()).after([said("[S1] a [S2] b", 300)])
    assert past.before("[S2] c").seen == "[S1] a [S2] b c"
    assert past.before("[S1] c [S2] d").seen == "[S1] een a [S2] b [S1] c [S2] d"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "those of nobody"),
        ({"S1": clip(), "S5": clip()}, "those of S5: name speakers among S1, S2, S3, S4"),
        ({"[S1]": clip()}, r"those of \[S1\]"),
        ({"S2": clip(text="[S1] a [S2] b")}, "of one alone"),
    ],
)
def test_several_voices_are_those_of_speakers(given, sentence):
    with pytest.raises(UserError, match=sentence):
        Past.of(given, Codec())


def test_it_is_said_which_of_transcript_and_text_is_too_long():
    def ids(text, limit):
        return Start(Said("[S1] abcd", np.zeros((3, 3), np.uint16)), text).ids(limit)

    assert len(ids("[S1] efgh", 11)) == 11  # \1 abcd efgh
    assert len(ids("[S2] e", 11)) == 10  # \1 abcd \2 e
    with pytest.raises(UserError, match=r"The text has 5 bytes, and after the transcript .* at most 4"):
        ids("[S1] efgh", 10)
    with pytest.raises(UserError, match="transcript of the voice has 6 bytes, and the model reads 6"):
        ids("[S1] e", 6)


def test_a_clip_leaves_room_or_is_too_long():
    config = tiny.config()
    assert room_after(10, config, 50.0) == config.room() - 10
    with pytest.raises(UserError, match=r"clip lasts 2\.0 s, and the model holds 1\.2 s"):
        room_after(100, config, 50.0)
