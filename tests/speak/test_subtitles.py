from __future__ import annotations

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosella.corpus.sources import subtitles as reader
from rosella.speak.provenance import STATEMENT
from rosella.speak.subtitles import Cue, srt, vtt

LONG = "Dit is een lange zin, die over meer dan twee regels gaat omdat er zo veel in staat dat niet op twee past."
CUES = [
    Cue(0, 1.5, "Anna", "Goedemorgen."),
    Cue(1.5, 3, "Tom & <Jerry>", "Is 1 < 2 && 3 > 2 --> ja?"),
    Cue(3599.9996, 3605.25, "Anna", "Een\nregel  verder, één."),
    Cue(360000, 360001.0004, "", "1984"),
]


def parsed(text: str, kind: str) -> list[tuple[float, float, str]]:
    """Start, end and text of the cues as FFmpeg reads them."""
    found = []
    with av.open(io.BytesIO(text.encode()), format=kind) as container:
        for packet in container.demux(container.streams.subtitles[0]):
            for subtitle in packet.decode():
                start, length = packet.pts / 1000, packet.duration / 1000
                found.append((start, start + length, subtitle.dialogue.decode()))
    return found


@pytest.mark.parametrize(
    ("write", "kind", "arrow"), [(srt, "srt", "→"), (vtt, "webvtt", "-->")], ids=["srt", "vtt"]
)
def test_a_player_reads_times_and_texts(write, kind, arrow):
    assert parsed(write(CUES), kind) == [
        (0, 1.5, "Goedemorgen."),
        (1.5, 3, f"Is 1 < 2 && 3 > 2 {arrow} ja?"),
        (3600, pytest.approx(3605.25), "Een regel verder, één."),
        (360000, 360001, "1984"),
    ]


def test_files_are_as_written():
    assert srt(CUES[2:]) == (
        "1\n01:00:00,000 --> 01:00:05,250\nEen regel verder, één.\n\n2\n100:00:00,000 --> 100:00:01,000\n1984\n"
    )
    assert vtt(CUES[1:2]) == (
        f"WEBVTT\n\nNOTE {STATEMENT}\n\n00:00:01.500 --> 00:00:03.000\n"
        "<v Tom &amp; &lt;Jerry&gt;>Is 1 &lt; 2 &amp;&amp; 3 &gt; 2 --&gt; ja?\n"
    )
    assert (
        vtt([]) == f"WEBVTT\n\nNOTE {STATEMENT}\n" and srt([]) == "" and srt([Cue(0, 1, "Anna", " \n")]) == ""
    )


def test_speakers_are_read_back(tmp_path):
    (tmp_path / "a.vtt").write_text(vtt(CUES), "utf-8")
    turns = reader.read(tmp_path / "a.vtt")
    assert [(turn.speaker, turn.text) for turn in turns[::2]] == [
        ("Anna", "Goedemorgen."),
        ("Anna", "Een regel verder, één."),
    ]


def test_what_is_divided_is_told_by_its_words_where_their_times_are_known():
    said = LONG.split()
    words = tuple(Cue(n, n + 0.5, "Anna", word) for n, word in enumerate(said))
    (_, end, text), (start, last, _) = parsed(srt([Cue(0, len(said), "Anna", LONG, words)]), "srt")
    assert (end, start) == (len(text.split()) - 0.5, len(text.split()))
    assert last == len(said) - 0.5


def test_long_cues_are_divided_evenly_and_their_time_by_characters():
    cues = parsed(srt([Cue(10, 20, "Anna", LONG)]), "srt")
    assert [text.split("\n") for _, _, text in cues] == [
        ["Dit is een lange zin, die", "over meer dan twee regels"],
        ["gaat omdat er zo veel in", "staat dat niet op twee past."],
    ]
    assert [(start, end) for start, end, _ in cues] == [(10, 14.904), (14.904, 20)]


def test_words_are_divided_only_where_they_are_longer_than_a_line():
    words = f"{'a' * 15} {'b' * 10}-{'c' * 10} {'d' * 15}"
    assert parsed(vtt([Cue(0, 1, "", words)]), "webvtt")[0][2].replace("\n", " ") == words
    assert parsed(vtt([Cue(0, 1, "", "我" * 50)]), "webvtt")[0][2] == "我" * 42 + "\n" + "我" * 8


def test_a_cue_without_length_is_shown_for_a_millisecond():
    assert "00:00:05,000 --> 00:00:05,001" in srt([Cue(5, 5, "", "Ja.")])


@given(st.text(st.sampled_from("aé。   \u00a0-(<&"), max_size=400))
def test_no_cue_is_too_wide_and_no_character_lost(text):
    blocks = srt([Cue(0, 60, "", text)]).split("\n\n")
    lines = [block.strip("\n").split("\n")[2:] for block in blocks if block]
    if all(len(word) <= 42 for word in text.split()):
        assert [word for each in lines for line in each for word in line.split()] == text.split()
    assert all(len(each) <= 2 and all(0 < len(line) <= 42 for line in each) for each in lines)
    assert "".join("".join("".join(each).split()) for each in lines) == "".join(text.split())
