from __future__ import annotations

import pytest

from corpus.fakes import save_tone
from rosella.corpus.manifest import read_source
from rosella.errors import UserError

SRT = """1
00:00:00,500 --> 00:00:02,000
Anna: eh hallo
daar

2
00:00:02,000 --> 00:00:03,250
- Ben Smit: <i>ja</i>

3
00:00:03,500 --> 00:00:04,000
nog iets: 3 dingen

4
00:00:04,100 --> 00:00:04,200
{\\an8}
"""

VTT = """WEBVTT

NOTE a comment

00:00.500 --> 00:02.000 align:start
<v Anna>eh hallo</v>

cue-2
00:00:02.000 --> 00:00:03.250
<v.loud Ben>ja &amp; nee
"""


@pytest.fixture
def episode(tmp_path):
    return save_tone(tmp_path / "episode.wav", 5.0)


def times_and_words(entry):
    return [(t.start, t.end, t.speaker, t.text) for t in entry.turns]


def test_srt_with_names(episode):
    episode.with_suffix(".srt").write_text(SRT, encoding="utf-8-sig", newline="\r\n")
    (entry,) = read_source(episode)
    assert times_and_words(entry) == [
        (0.5, 2.0, "Anna", "eh hallo daar"),
        (2.0, 3.25, "Ben Smit", "ja"),
        (3.5, 4.0, "Ben Smit", "nog iets: 3 dingen"),
    ]


def test_vtt_with_voices_found_from_any_side(episode):
    episode.with_suffix(".vtt").write_text(VTT)
    (entry,) = read_source(episode)
    assert times_and_words(entry) == [(0.5, 2.0, "Anna", "eh hallo"), (2.0, 3.25, "Ben", "ja & nee")]
    assert read_source(episode.with_suffix(".vtt")) == read_source(episode.parent) == [entry]


def test_without_names_one_unknown_speaker_talks(episode):
    episode.with_suffix(".srt").write_text("1\n00:00:00,0 --> 00:00:01,0\nhallo om 12:30 uur\n")
    assert times_and_words(read_source(episode)[0]) == [(0.0, 1.0, "unknown", "hallo om 12:30 uur")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no turns"),
        (b"1\n00:00:0x --> 00:00:01,0\nhoi\n", "line 2 has a time that cannot be read"),
        (b"1\n00:00:01,0 --> 00:00:00,0\nhoi\n", "runs backwards"),
        (b"1\n00:00:00,0 --> 00:00:01,0\n\xff\n", "not UTF-8"),
    ],
)
def test_bad_subtitles_are_named(episode, content, reason):
    episode.with_suffix(".srt").write_bytes(content)
    with pytest.raises(UserError, match=rf"episode\.srt: .*{reason}"):
        read_source(episode)


def test_audio_without_subtitles_has_no_turns(episode):
    assert read_source(episode)[0].turns == ()
    second = save_tone(episode.with_name("second.wav"), 1.0)
    episode.with_suffix(".SRT").write_text(SRT)
    entries = read_source(episode.parent)
    assert [(entry.audio, len(entry.turns)) for entry in entries] == [(episode, 3), (second, 0)]


def test_subtitles_without_audio(tmp_path):
    (tmp_path / "a.srt").write_text(SRT)
    with pytest.raises(UserError, match="no audio file of the same name"):
        read_source(tmp_path / "a.srt")
