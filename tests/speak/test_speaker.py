from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rosella.errors import UserError
from rosella.inference.layout import Generation
from rosella.inference.reading import Followed
from rosella.inference.settings import Blocks
from rosella.speak import MAX_BATCH, Speaker, Voice, takes
from rosella.speak.takes import OTHER
from training import tiny


class Codec:
    """Every frame is four samples that spell its first code."""

    sample_rate, frame_rate, hop, num_codebooks, codebook_size, fingerprint = 200, 50.0, 4, 3, 16, "tiny"

    def encode(self, waveforms):
        return [np.full((len(wave) // 4, 3), 5, np.uint16) for wave in waveforms]

    def decode(self, codes):
        assert all(len(each) for each in codes), "a codec cannot decode nothing"
        return [np.repeat(each[:, 0].astype(np.float32), 4) for each in codes]


@pytest.fixture(scope="module")
def speaker():
    return Speaker(tiny.model(), replace(tiny.config(), blocks=4), Codec())


@pytest.fixture
def asked(speaker, monkeypatch):
    """What generations are asked for, answered by two frames a row; the second row has none."""
    calls = []

    def running(text_ids, lengths, max_frames, prompts, sampling, seeds):
        settings = {"max_frames": max_frames, "prompts": prompts, "sampling": sampling, "seeds": seeds}
        calls.append((text_ids, lengths, settings))
        codes = [np.full((2 * (row != 1), 3), row % 16, np.uint16) for row in range(len(lengths))]
        tokens = np.zeros((len(lengths), 2, 3), np.int32)
        made = Generation(codes, np.arange(len(lengths)) != 1, tokens)
        return SimpleNamespace(advance=lambda steps: None, so_far=lambda: made)

    monkeypatch.setattr(speaker, "_running", running)
    return calls


def said(row, lengths):
    return bytes(int(i) for i in row[:lengths]).decode()


def voice_of(wave):
    return Voice(wave.astype(np.float32), 200, "[S2] hoi")


VOICE = voice_of(np.ones(40))


def test_the_same_seed_speaks_the_same(speaker):
    first, again, other = (
        speaker.speak(["een", "[S2] twee drie"], seed=s, max_seconds=0.4, tries=1) for s in (3, 3, 4)
    )
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.codes, same.codes)
        assert one.codes.dtype == np.uint16 and one.codes.shape[1] == 3 and len(one.codes) <= 20
        assert len(one.waveform) == 4 * len(one.codes) and one.sample_rate == 200
    assert not np.array_equal(first[0].codes, other[0].codes)


def test_a_voice_is_said_before_the_text_and_not_returned(speaker, asked):
    first, second = speaker.speak(["[S1] een", "[S2] twee"], VOICE, seed=7, max_seconds=0.5, tries=1)
    text_ids, lengths, settings = asked[0]
    assert [said(row, n) for row, n in zip(text_ids, lengths, strict=True)] == [
        "\1 hoi \2 een",
        "\1 hoi twee",
    ]
    assert settings["seeds"] == [7, 8] and settings["max_frames"] == 25 and settings["sampling"].top_k == 50
    for prompt in settings["prompts"]:
        np.testing.assert_array_equal(prompt.codes, np.full((10, 3), 5))
        assert prompt.said == len("\1 hoi")
    assert len(first.waveform) == 8 and first.stopped
    assert len(second.waveform) == 0 and not second.stopped


def test_clips_at_another_rate_are_resampled(speaker, asked):
    speaker.speak("een", Voice(np.ones(80, np.float32), 400, "hoi"), tries=1)
    assert len(asked[0][2]["prompts"][0].codes) == 10


def test_many_texts_are_spoken_in_equal_batches(speaker, asked):
    texts = [f"tekst {number}" for number in range(MAX_BATCH + 5)]
    assert len(speaker.speak(texts, tries=1)) == len(texts)
    assert [len(lengths) for _, lengths, _ in asked] == [11, 11]
    assert [seed for call in asked for seed in call[2]["seeds"]][: len(texts)] == list(range(len(texts)))
    assert said(asked[1][0][0], asked[1][1][0]) == "\1 tekst 11"


def test_texts_of_several_voices_are_spoken_together(speaker, asked):
    """Each after its own clip, the shortest first, by its own seed, and given back in their order."""
    other, done = Voice(np.ones(20, np.float32), 200, "[S1] hallo"), []
    texts = ["[S1] lange tekst", "[S1] kort", "[S1] tekst"]
    first, second, third = speaker.speak(
        texts, [VOICE, None, other], seed=7, tries=1, progress=lambda made, note="": done.append(made)
    )
    (text_ids, lengths, settings), *more = asked
    assert not more and done == [3]
    assert [said(row, n) for row, n in zip(text_ids, lengths, strict=True)] == [
        "\1 kort",
        "\1 hallo tekst",
        "\1 hoi \2 lange tekst",
    ]
    assert settings["seeds"] == [8, 9, 7]
    assert [len(prompt.codes) for prompt in settings["prompts"]] == [0, 5, 10]
    assert [len(speech.codes) for speech in (first, second, third)] == [2, 2, 0]
    assert [speech.codes[0, 0] for speech in (first, second)] == [2, 0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"texts": ["a", "b"], "voice": [VOICE]}, "1 voices for 2 texts: give one for each"),
        ({"texts": "a" * 70}, "has 72 bytes and the model reads at most 64"),
        ({"texts": "[S5] a"}, r"speaker tag \[S5\] is unknown"),
        ({"texts": " "}, "The text is empty"),
        ({"texts": " ", "voice": VOICE}, "The text is empty"),
        ({"texts": []}, "no text to speak"),
        ({"texts": "a", "voice": voice_of(np.zeros(0))}, "clip is empty"),
        ({"texts": "a", "voice": voice_of(np.full(9, np.nan))}, "clip is empty or holds NaN"),
        ({"texts": "a", "voice": voice_of(np.ones(400))}, r"clip lasts 2\.0 s, and the model holds 1\.2 s"),
        ({"texts": "a", "max_seconds": 3}, r"max-seconds is 3, .* more than 0 and at most 1\.2 s: choose"),
        ({"texts": "a", "max_seconds": -1}, r"max-seconds is -1"),
        ({"texts": "a", "best_of": 17}, "best-of is 17: choose 1 to 16 takes"),
        ({"texts": "a", "guidance": 0.5}, r"guidance is 0\.5: choose 1"),
    ],
)  # fmt: skip
def test_what_the_model_cannot_take_is_one_sentence(speaker, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        speaker.speak(**arguments)


def test_a_text_with_a_fault_is_said_again_and_the_best_is_kept(speaker, asked, monkeypatch):
    """The second row of the first batch says nothing."""
    looked = []

    def follow(ids, codes):
        looked.append(codes[0, 0])
        places = np.linspace(0, len(ids) - 1, len(codes)).astype(int)
        return Followed(places, np.full(len(codes), 0.8 - 0.1 * looked[-1]))

    monkeypatch.setattr(speaker, "follow", follow)
    monkeypatch.setattr(takes, "SHORT", 0.0)
    speeches = speaker.speak(["een", "twee", "drie"], seed=7, tries=3)
    assert [call[2]["seeds"] for call in asked] == [[7, 8, 9], [8 + OTHER]]
    assert [len(speech.codes) for speech in speeches] == [2, 2, 2]
    asked.clear()
    (best,) = speaker.speak("een", seed=7, best_of=3)
    assert [call[2]["seeds"] for call in asked] == [[7, 7 + OTHER, 7 + 2 * OTHER]]
    assert best.codes[0, 0] == 0, "the first row is the surest"


def test_a_codec_of_another_shape_is_refused():
    other = Codec()
    other.num_codebooks = 9
    with pytest.raises(UserError, match="9 codebooks of 16 entries, the model speaks 3 of 16"):
        Speaker(tiny.model(), tiny.config(), other)


@pytest.mark.parametrize(("blocks", "first"), [(None, 5), (Blocks(4, 2), 7)])
def test_a_stream_is_what_is_spoken_at_once(speaker, monkeypatch, blocks, first):
    """In pieces, the first after the delay and the context; an end between two of them is no piece."""
    monkeypatch.setattr(Codec, "context", 3, raising=False)
    whole = speaker.speak("[S1] ja, eh", max_seconds=0.5, seed=4, tries=1, blocks=blocks)[0]
    pieces = list(speaker.stream("[S1] ja, eh", max_seconds=0.5, seed=4, blocks=blocks))
    np.testing.assert_array_equal(np.concatenate(pieces), whole.waveform)
    assert all(map(len, pieces))
    assert len(pieces) > 1
    assert len(pieces[0]) == first * Codec.hop  # a tenth of a second, with blocks what is left of one besides


def test_a_stream_refuses_before_its_first_piece(speaker):
    with pytest.raises(UserError, match="max-seconds"):
        speaker.stream("[S1] ja", max_seconds=-1)


def test_blocks_are_made_of_all_texts_and_refused_where_pytorch_computes(speaker, asked):
    speaker.speak(["een", "twee"], tries=1, blocks=Blocks(4, 2))
    assert asked[0][2]["sampling"].blocks == Blocks(4, 2)
    other = Speaker(SimpleNamespace(follow=None), tiny.config(), Codec())
    with pytest.raises(UserError, match="Blocks are computed by JAX alone"):
        other.stream("een", blocks=Blocks(4, 2))


def test_longer_blocks_than_were_learnt_are_refused(speaker):
    with pytest.raises(
        UserError, match="learnt blocks of 4, and would babble in blocks of 8: leave them out"
    ):
        speaker.speak("een", blocks=Blocks(8))
    with pytest.raises(UserError, match="would babble in blocks of 8"):
        speaker.table(2, Blocks(8))
    with pytest.raises(UserError, match="learnt one step after another"):
        Speaker(tiny.model(), tiny.config(), Codec()).stream("een", blocks=Blocks(2))


def test_each_speaker_of_a_dialogue_has_a_voice(speaker, asked):
    given = {"S2": voice_of(np.ones(40)), "S1": Voice(np.ones(20, np.float32), 200, "een")}
    speaker.speak(["[S1] ja", "[S2] nee [S1] ja"], given, tries=1)
    text_ids, lengths, settings = asked[0]
    assert [said(row, n) for row, n in zip(text_ids, lengths, strict=True)] == [
        "\1 een ja",
        "\1 hoi \2 een \1 nee \2 ja",
    ]
    assert [(len(prompt.codes), prompt.said) for prompt in settings["prompts"]] == [(5, 5), (20, 11)], (
        "and a breath"
    )
