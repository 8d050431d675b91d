"""Scripts of any length: what each piece goes on from, exact pauses, times, limits. A fake model says a frame a byte."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from rosella import dialogue
from rosella.errors import UserError
from rosella.inference.reading import Followed
from rosella.inference.settings import Blocks, Sampling
from rosella.speak import Voice
from rosella.speak.recital import Recital
from rosella.speak.takes import OTHER, TRIES

RATE, HOP, BOOKS, DELAY = 50.0, 4, 3, 2


@pytest.fixture(autouse=True)
def slow(monkeypatch):
    """Speech is heard long before more of it is made, so that there is no time to judge any."""
    now = count(step=1000)
    monkeypatch.setattr("rosella.speak.recital.monotonic", lambda: float(next(now)))


class Codec:
    """Every frame is four samples that spell its first code."""

    sample_rate, frame_rate, hop, num_codebooks, codebook_size, fingerprint = (
        200,
        RATE,
        HOP,
        BOOKS,
        999,
        "tiny",
    )
    context = 2

    def encode(self, waveforms):
        return [np.full((len(wave) // HOP, BOOKS), 5, np.uint16) for wave in waveforms]

    def decode(self, codes):
        return [np.repeat(each[:, 0].astype(np.float32), HOP) for each in codes]


class Running:
    """Says `made` codes, a few steps at a time."""

    def __init__(self, made, stopped):
        self.made, self.stopped, self.known, self.finished = made, stopped, -DELAY, False

    def advance(self, steps):
        self.known += steps
        self.finished = self.known >= len(self.made)

    def so_far(self):
        return SimpleNamespace(codes=[self.made[: self.known]], stopped=[self.stopped])


class Speaker:
    """Frame n of the k-th piece is 100 k + n % 100; remembers what it was asked."""

    def __init__(self, frames=600, read=120, stops=True):
        self.codec, self.asked, self.stops, self.sure = Codec(), [], stops, 0.9
        self.config = SimpleNamespace(
            encoder=SimpleNamespace(max_position_embeddings=read),
            longest_delay=DELAY,
            room=lambda before=0: frames - before,
        )

    def begin(self, ids, prompt, frames, seed, sampling):
        before = np.zeros((0, BOOKS), np.uint16) if prompt is None else prompt.codes
        self.asked.append((dialogue.decode(ids), before[:, 0].tolist(), frames, seed))
        count = min(frames, 30)
        made = (100 * len(self.asked) + np.arange(count) % 100).astype(np.uint16)
        return Running(np.repeat(made[:, None], BOOKS, 1), self.stops)

    def follow(self, ids, codes):
        """Every byte takes as long as the others."""
        places = np.arange(len(codes)) * len(ids) // len(codes)
        return Followed(places, np.full(len(codes), self.sure, np.float32))


def recite(text, speaker=None, voice=None, max_seconds=None, seed=7):
    speaker = speaker or Speaker()
    recital = Recital(speaker, text, voice, seed, max_seconds, Sampling())
    return recital, list(recital), speaker


@pytest.mark.parametrize(("blocks", "frames"), [(None, 5), (Blocks(2), 5), (Blocks(16), 16)])
def test_the_first_that_is_heard_lasts_while_the_next_block_is_made(blocks, frames):
    first = next(iter(Recital(Speaker(), "[S1] Een zin.", None, 7, None, Sampling(blocks=blocks))))
    assert len(first) == frames * HOP


def test_a_short_text_is_said_at_once():
    recital, pieces, speaker = recite("[S1] Een. [S2] Twee.")
    assert speaker.asked == [("[S1] Een. [S2] Twee.", [], 600, 7)]
    np.testing.assert_array_equal(np.concatenate(pieces), np.repeat(100.0 + np.arange(30), HOP))
    assert [len(piece) for piece in pieces[:3]] == [5 * HOP, 5 * HOP, 10 * HOP]
    assert recital.stopped


def test_steps_that_another_thread_takes_meanwhile_are_heard_to_the_last():
    """A generation that goes on by itself, and ends just after one has looked how far it is."""

    class GoingOn(Running):
        def so_far(self):
            made = super().so_far()
            self.advance(3)  # so that the last of them come between two looks
            return made

    speaker = Speaker()
    begin = speaker.begin
    speaker.begin = lambda *order: GoingOn((made := begin(*order)).made, made.stopped)
    _, pieces, _ = recite("[S1] Een. [S2] Twee.", speaker)
    np.testing.assert_array_equal(np.concatenate(pieces), np.repeat(100.0 + np.arange(30), HOP))


def test_each_piece_goes_on_from_a_turn_of_each_of_its_speakers():
    turns = [
        f"[S{1 + n % 2}] Zin nummer {'een twee drie vier vijf zes'.split()[n]} is dit." for n in range(6)
    ]
    _, _, speaker = recite(" ".join(turns), Speaker(read=120))
    assert [text for text, *_ in speaker.asked] == [
        " ".join(turns[:2]),
        " ".join(turns[:4]),
        " ".join([*turns[:2], *turns[4:]]),
    ]
    for _, before, *_ in speaker.asked[1:]:
        first, breath, second = before[:13], before[13:18], before[18:]
        assert first == [*range(102, 115)] and breath == [5] * 5 and second == [*range(117, 130)]
    assert [seed for *_, seed in speaker.asked] == [7, 8, 9]


def begun(before: list[int]) -> list[int]:
    """The pieces of which the codes are, in hundreds; those of clips and of the breaths between are 5."""
    return list(dict.fromkeys(code // 100 for code in before if code != 5))


def test_one_speaker_goes_on_from_what_he_said_first():
    turns = " ".join(f"[S1] Dit is de zin van nummer {n} en niets meer dan dat." for n in "abcd")
    _, _, speaker = recite(turns, Speaker(read=1000, frames=460))
    assert [begun(before) for _, before, *_ in speaker.asked] == [[], [1], [1], [1]]
    assert speaker.asked[2][0] == "[S1] " + " ".join(
        f"Dit is de zin van nummer {n} en niets meer dan dat." for n in "ac"
    )


class Slow(Speaker):
    """Says every piece in fourteen seconds."""

    def begin(self, ids, prompt, frames, seed, sampling):
        running = super().begin(ids, prompt, frames, seed, sampling)
        return Running(np.repeat(running.made[:1], 700, 0), True)


def test_no_more_of_a_turn_is_gone_on_from_than_shows_a_voice():
    """Six seconds are three hundred frames; a word stays whole."""
    _, _, speaker = recite("[S1] Een twee drie vier vijf zes. [pause:1s] Zeven.", Slow(frames=2000))
    text, before, *_ = speaker.asked[1]
    assert text == "[S1] Een twee Zeven." and 150 < len(before) <= 300


def test_what_the_model_was_not_followed_in_is_gone_on_from_whole():
    speaker = Speaker(read=1000, frames=900)
    speaker.sure = 0.1
    recite("[S1] Een. [S2] Twee. [pause:1s] Drie.", speaker)
    assert speaker.asked[1][:2] == ("[S1] Een. [S2] Twee. Drie.", [*range(100, 130)])


def test_voices_that_leave_no_room_are_left_out():
    said = "[S1] Een twee drie vier vijf zes zeven. [pause:1s] Een twee drie vier vijf zes zeven acht. [pause:1s] Ja."
    _, _, speaker = recite(said, Slow(read=1000, frames=400))
    assert [begun(before) for _, before, *_ in speaker.asked] == [[], [], [1]]


def test_who_is_shown_by_a_clip_goes_on_from_it_alone():
    turns = " ".join(f"[S1] Dit is de zin van nummer {n} en niets meer dan dat." for n in "abcd")
    voice = Voice(np.ones(40, np.float32), 200, "[S1] Hoi.")
    _, _, speaker = recite(turns, Speaker(read=1000, frames=460), voice)
    assert all(before == [5] * 10 for _, before, *_ in speaker.asked)
    assert all(text.startswith("[S1] Hoi. ") for text, *_ in speaker.asked)


def test_who_has_no_clip_goes_on_from_what_he_said_himself():
    turns = " [pause:10ms] ".join(f"[S{1 + n % 2}] Zin {n}." for n in range(5))
    _, _, speaker = recite(turns, Speaker(read=1000, frames=900), {"S1": voice_of("Hoi.")})
    assert [(text, begun(before)) for text, before, *_ in speaker.asked] == [
        ("[S1] Hoi. Zin 0.", []),
        ("[S1] Hoi. [S2] Zin 1.", []),
        ("[S1] Hoi. Zin 2.", []),
        ("[S1] Zin 1. Zin 3.", [2]),
        ("[S1] Hoi. Zin 4.", []),
    ]


def voice_of(text):
    return Voice(np.ones(40, np.float32), 200, f"[S1] {text}")


def test_pauses_are_exact_and_times_follow():
    recital, pieces, _ = recite("[pause:1s] [S1] Een. [pause:500ms] Twee. [S2] Drie! [pause:0.25s]")
    wave = np.concatenate(pieces)
    said = 30 * HOP
    assert len(wave) == 200 + said + 100 + said + 50
    assert not wave[:200].any()
    assert wave[200:][:said].all()
    assert not wave[200 + said :][:100].any()
    assert not wave[-50:].any()
    assert [(cue.speaker, cue.text) for cue in recital.cues] == [
        ("S1", "Een."),
        ("S1", "Twee."),
        ("S2", "Drie!"),
    ]
    times = [(cue.start_s, cue.end_s) for cue in recital.cues]
    np.testing.assert_allclose(times, [(1.18, 1.6), (2.18, 2.38), (2.5, 2.7)], atol=1.1 / RATE)


@pytest.mark.parametrize("sure", [0.9, 0.1])
def test_words_are_told_by_where_the_model_looked(sure):
    """By their share of the bytes where it looked nowhere, which in this fake is the same."""
    speaker = Speaker()
    speaker.sure = sure
    recital, _, _ = recite("[S1] Een ja, [S2] (eh, hm) twee! [S2] Drie. [pause:1s] Vier", speaker)
    assert [(word.speaker, word.text) for word in recital.words] == [
        *(("S1", "Een"), ("S1", "ja,"), ("S2", "(eh, hm)"), ("S2", "twee!")),
        *(("S2", "Drie."), ("S2", "Vier")),
    ]
    frames = [(word.start_s * RATE, word.end_s * RATE) for word in recital.words]
    expected = [(2, 5), (6, 8), (11, 19), (20, 24), (25, 30), (90, 110)]
    np.testing.assert_allclose(frames, expected, atol=1.1)
    starts = [word.start_s for word in recital.words]
    assert [cue.start_s for cue in recital.cues] == [starts[n] for n in (0, 2, 4, 5)]


def test_another_pace_scales_speech_and_times_and_leaves_pauses_alone():
    recital, _, _ = recite("[S1] Een ja. [pause:1s] Twee.")
    faster = Recital(Speaker(), "[S1] Een ja. [pause:1s] Twee.", None, 7, None, Sampling(), 1.5)
    samples = sum(map(len, faster))
    assert samples / 200 == pytest.approx(2 * 0.6 / 1.5 + 1, abs=0.03)
    (first, second), (quick, late) = recital.cues, faster.cues
    assert (quick.start_s, quick.end_s) == pytest.approx((first.start_s / 1.5, first.end_s / 1.5))
    assert late.start_s == pytest.approx((second.start_s - 1) / 1.5 + 1)
    assert faster.frames == 60
    with pytest.raises(UserError, match="pace is 5"):
        Recital(Speaker(), "[S1] Een.", None, 7, None, Sampling(), 5)


def test_the_limit_is_that_of_all_pieces_together():
    recital, pieces, speaker = recite("[S1] Een. [pause:500ms] Twee. [pause:1s] Drie.", max_seconds=0.9)
    assert [frames for _, _, frames, _ in speaker.asked] == [45, 15]
    assert sum(map(len, pieces)) == 45 * HOP + 300
    assert not recital.stopped


def test_who_does_not_end_is_told_of():
    assert not recite("[S1] Een.", Speaker(stops=False))[0].stopped


def test_a_piece_that_ends_at_once_is_said_again():
    """With other seeds, and at last without what came before it."""

    class Mute(Speaker):
        def begin(self, ids, prompt, frames, seed, sampling):
            made = super().begin(ids, prompt, frames, seed, sampling)
            return made if len(self.asked) in (1, 4) else Running(made.made[:0], True)

    recital, pieces, speaker = recite("[S1] Een. [pause:1s] Twee.", Mute())
    assert [(text, len(before), seed) for text, before, _, seed in speaker.asked] == [
        ("[S1] Een.", 0, 7),
        ("[S1] Een. Twee.", 20, 8),
        ("[S1] Een. Twee.", 20, 8 + OTHER),
        ("[S1] Twee.", 0, 8 + 2 * OTHER),
    ]
    assert len(np.concatenate(pieces)) == 60 * HOP + 200
    assert recital.stopped
    silent, pieces, speaker = recite("[S1] Een.", Silent())
    assert not pieces
    assert not silent.stopped
    assert not silent.cues


class Silent(Speaker):
    def begin(self, *arguments):
        return Running(super().begin(*arguments).made[:0], True)


def test_a_piece_that_stays_silent_is_gone_on_from_by_nobody():
    """Those after it go on from what was said."""

    class Mute(Speaker):
        def begin(self, ids, prompt, frames, seed, sampling):
            made = super().begin(ids, prompt, frames, seed, sampling)
            return Running(made.made[:0], True) if "Twee" in self.asked[-1][0] else made

    recital, _, speaker = recite("[S1] Een. [pause:1s] [S2] Twee. [pause:1s] Drie. [pause:1s] Vier.", Mute())
    assert [text for text, *_ in speaker.asked[4:]] == [
        "[S1] Een. [S2] Drie.",
        "[S1] Drie. Vier.",
    ]
    assert not recital.stopped
    assert [cue.text for cue in recital.cues] == ["Een.", "Drie.", "Vier."]


class Flawed(Speaker):
    """Every take but the fifth of all is one that the model did not follow; several may be begun at once."""

    right = (5,)

    def rows(self, ids, prompt, frames, seeds, sampling):
        made = [self.begin(ids, prompt, frames, seed, sampling) for seed in seeds]
        return Rows(made)

    def follow(self, ids, codes):
        self.sure = 0.9 if codes[0, 0] // 100 in self.right else 0.1
        return super().follow(ids, codes)


class Rows(Running):
    def __init__(self, rows):
        super().__init__(rows[0].made, True)
        self.rows = rows

    def so_far(self):
        known = max(self.known, 0)
        return SimpleNamespace(codes=[row.made[:known] for row in self.rows], stopped=[True] * len(self.rows))


def test_what_has_a_fault_is_made_anew_before_it_is_heard():
    speaker = Flawed()
    recital = Recital(speaker, "[S1] Een zin.", None, 7, None, Sampling(), 1.0, speaker.rows, 2)
    wave = np.concatenate(list(recital))
    assert [seed for *_, seed in speaker.asked] == [7 + n * OTHER for n in range(6)]
    np.testing.assert_array_equal(wave, np.repeat(500.0 + np.arange(30), HOP))
    assert recital.frames == 30


def test_what_has_a_fault_is_made_anew_in_the_same_voice():
    speaker = Flawed(read=1000, frames=4000)
    speaker.right = (1, 2, 4)
    text = "[S1] Een zin. [pause:1s] Nog een. [pause:1s] En drie."
    list(Recital(speaker, text, None, 7, None, Sampling(), 1.0, speaker.rows))
    assert [begun(before) for _, before, *_ in speaker.asked] == [[], [1], [1], [1]]
    assert [seed for *_, seed in speaker.asked] == [7, 8, 9, 9 + OTHER]


def test_of_takes_that_all_have_faults_the_best_is_heard():
    speaker = Flawed()
    speaker.right = ()
    heard = list(Recital(speaker, "[S1] Een zin.", None, 7, None, Sampling(), 1.0, speaker.rows))
    assert len(speaker.asked) == TRIES
    np.testing.assert_array_equal(np.concatenate(heard)[::HOP], 100.0 + np.arange(30))


def test_a_stream_makes_a_piece_anew_only_where_there_is_time(monkeypatch):
    """What is heard first is never made twice; the clock goes as fast as the test says."""
    text = "[S1] Een zin is dit. [pause:2s] En dit is er nog een."
    for seconds, asked in ((0, 4), (1, 2)):
        now = count(step=seconds)
        monkeypatch.setattr("rosella.speak.recital.monotonic", lambda now=now: float(next(now)))
        speaker = Flawed()
        speaker.right = (1,)
        list(Recital(speaker, text, None, 7, None, Sampling()))
        assert len(speaker.asked) == asked


def test_more_than_half_a_minute_is_said_where_it_is_asked_for():
    for max_seconds, frames in ((None, 1500), (35, 1750)):
        _, _, speaker = recite("[S1] Een.", Speaker(frames=4000), max_seconds=max_seconds)
        assert speaker.asked[0][2] == frames


def test_nothing_is_made_before_it_is_asked_for():
    speaker = Speaker()
    pieces = iter(Recital(speaker, "[S1] Een. [pause:1s] Twee.", None, 0, None, Sampling()))
    assert not speaker.asked
    next(pieces)
    assert len(speaker.asked) == 1


def test_a_text_that_is_still_written_is_said_as_far_as_it_is_known():
    speaker, read = Speaker(), []

    def written():
        for fragment in ("[S1] Dit is de één. [S2", "] Dit is nu twee", ". En", " dit is drie."):
            read.append(fragment)
            yield fragment

    recital = Recital(speaker, written(), None, 7, None, Sampling())
    assert not read
    heard = iter(recital)
    samples = len(next(heard))
    assert (len(read), [text for text, *_ in speaker.asked]) == (2, ["[S1] Dit is de één."])
    samples += sum(map(len, heard))
    assert [text for text, *_ in speaker.asked[1:]] == [
        "[S1] Dit is de één. [S2] Dit is nu twee.",
        "[S1] Dit is nu twee. En dit is drie.",
    ]
    assert [seed for *_, seed in speaker.asked] == [7, 8, 9]
    assert [(cue.speaker, cue.text) for cue in recital.cues] == [
        ("S1", "Dit is de één."),
        ("S2", "Dit is nu twee."),
        ("S2", "En dit is drie."),
    ]
    assert (recital.bytes_read, recital.frames, samples) == (len("".join(read).encode()), 90, 90 * HOP)


def test_a_speech_goes_on_from_an_earlier_one_which_stays_small():
    speaker = Speaker(read=1000, frames=4000)
    turns = " ".join(f"[S{1 + n % 2}] Dit is de zin van nummer {n}. [pause:10ms]" for n in range(9))
    said = recite(turns, speaker)[0].said
    assert [turn.text for turn in said.shown] == [f"[S{n + 1}] Dit is de zin van nummer {n}." for n in (0, 1)]
    speaker.asked.clear()
    again, _, _ = recite("[S2] En dit is nieuw.", speaker, said)
    assert [(text, begun(before)) for text, before, *_ in speaker.asked] == [
        ("[S1] Dit is de zin van nummer 1. En dit is nieuw.", [2])
    ]
    assert again.bytes_read == len("[S2] En dit is nieuw.") and again.said is said
    stranger = Speaker()
    stranger.codec.fingerprint = "other"
    with pytest.raises(UserError, match="made with the codec tiny and the model speaks with other"):
        recite("[S1] Een.", stranger, said)


def test_clips_are_what_a_later_speech_goes_on_from():
    voice = Voice(np.ones(40, np.float32), 200, "[S1] Hoi.")
    said = recite("[S1] Dit is een zin.", Speaker(read=1000), voice)[0].said
    _, _, speaker = recite("[S1] En dit nog een.", Speaker(read=1000), said)
    assert speaker.asked[0][:2] == ("[S1] Hoi. En dit nog een.", [5] * 10)


@pytest.mark.parametrize(
    ("text", "settings", "part"),
    [
        ("[S1] Ja.", {"max_seconds": 0}, "max-seconds is 0"),
        ("[S1] Ja.", {"voice": Voice(np.ones(2400, np.float32), 200, "[S1] Hoi.")}, "holds 12.0 s"),
        ("[S1] " + "a" * 300, {}, "put spaces into it"),
    ],
)
def test_what_cannot_be_said_is_refused_at_once(text, settings, part):
    with pytest.raises(UserError, match=part):
        Recital(Speaker(), text, settings.get("voice"), 0, settings.get("max_seconds"), Sampling())
