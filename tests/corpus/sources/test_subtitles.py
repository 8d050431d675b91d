from __future__ import annotations

import pytest

from corpus.fakes import save_tone
from rosella.corpus.sources.read import read_source
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


def test_two_dashes_in_a_cue_are_two_speakers(episode):
    cues = [
        "- Hallo. - Hoi, Anna.",
        "-Kom je?\n-Nee!",
        "- Anna: ja zeker\n- Ben: nee",
        "nog - even - wachten",
        "- 5 graden",
    ]
    blocks = [f"{n}\n00:00:0{n},0 --> 00:00:0{n + 1},0\n{cue}\n" for n, cue in enumerate(cues)]
    episode.with_suffix(".srt").write_text("\n".join(blocks))
    assert times_and_words(read_source(episode)[0]) == [
        (0.0, 1.0, "unknown", "[S1] Hallo. [S2] Hoi, Anna."),
        (1.0, 2.0, "unknown", "[S1] Kom je? [S2] Nee!"),
        (2.0, pytest.approx(2 + 8 / 11), "Anna", "ja zeker"),
        (pytest.approx(2 + 8 / 11), 3.0, "Ben", "nee"),
        (3.0, 4.0, "Ben", "nog - even - wachten"),
        (4.0, 5.0, "Ben", "- 5 graden"),
    ]


def test_two_voices_in_a_cue_are_two_speakers(episode):
    cue = "00:00.000 --> 00:03.000\n<v Anna>hallo</v>\n<v Ben>hallo daar</v>\n"
    episode.with_suffix(".vtt").write_text(f"WEBVTT\n\n{cue}")
    assert times_and_words(read_source(episode)[0]) == [
        (0.0, pytest.approx(1.0), "Anna", "hallo"),
        (pytest.approx(1.0), 3.0, "Ben", "hallo daar"),
    ]


ROLLING = """WEBVTT
Kind: captions

00:00:00.000 --> 00:00:01.000 align:start position:0%
~
dit<00:00:00.400><c> is</c>

00:00:01.000 --> 00:00:01.010 align:start position:0%
dit is
~

00:00:01.010 --> 00:00:02.000 align:start position:0%
dit is
wat<00:00:01.500><c> er</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
wat er
~

00:00:02.010 --> 00:00:03.000 align:start position:0%
wat er
gezegd<00:00:02.500><c> is</c>
"""


def test_captions_that_roll_up_say_everything_once(episode):
    episode.with_suffix(".vtt").write_text(ROLLING.replace("~", " "))
    assert times_and_words(read_source(episode)[0]) == [
        (0.0, 1.0, "unknown", "dit is"),
        (1.01, 2.0, "unknown", "wat er"),
        (2.01, 3.0, "unknown", "gezegd is"),
    ]


def test_what_is_said_twice_stays_said_twice(episode):
    cues = ["ja", "ja", "ja\nnee", "eh\ndan"]
    blocks = [f"{n}\n00:00:0{n},0 --> 00:00:0{n + 1},0\n{cue}\n" for n, cue in enumerate(cues)]
    episode.with_suffix(".srt").write_text("\n".join(blocks))
    assert [turn.text for turn in read_source(episode)[0].turns] == ["ja", "ja", "ja nee", "eh dan"]
