"""Joined pieces of a stream are what the codec makes of all codes at once, however they come."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import DacConfig, DacModel

from evaluate.synthetic_speech import sentence
from rosella.codec import load_codec
from rosella.codec.dac import DacCodec
from rosella.codec.interface import Codec
from rosella.codec.streaming import StreamDecoder


def dac(ratios: list[int]) -> DacCodec:
    import torch

    torch.manual_seed(0)
    small = {"encoder_hidden_size": 8, "decoder_hidden_size": 64, "n_codebooks": 3, "codebook_size": 32}
    config = DacConfig(
        downsampling_ratios=ratios[::-1], upsampling_ratios=ratios, sampling_rate=16_000, **small
    )
    model = DacModel(config)
    for parameter in model.parameters():
        parameter.data *= 2  # far frames shall count
    return DacCodec(model)


@pytest.fixture(scope="module", params=["mel", "dac", "dac with odd strides"])
def codec(request: pytest.FixtureRequest) -> Codec:
    if request.param == "mel":
        return load_codec("mini")
    return dac([8, 8, 4, 2] if request.param == "dac" else [8, 5, 2, 2])


def codes_of(codec: Codec) -> np.ndarray:
    if codec.codebook_size == 32:
        return np.random.default_rng(1).integers(0, 32, (90, 3)).astype(np.uint16)
    return codec.encode([np.concatenate([sentence("aeioua", 120), sentence("uoiyea", 180)])])[0]


@pytest.mark.parametrize("sizes", [(1,), (7, 20), (200,), (30, 1, 0, 2)])
def test_pieces_join_to_the_whole(codec: Codec, sizes: tuple[int, ...]) -> None:
    codes, stream, pieces, at = codes_of(codec), StreamDecoder(codec), [], 0
    whole = codec.decode([codes])[0]
    for number in range(1000):
        size = sizes[number % len(sizes)]
        pieces.append(stream.push(codes[at : at + size]))
        at += size
        settled = max(min(at, len(codes)) - codec.context, 0) * codec.hop
        assert sum(map(len, pieces)) == settled, "what is settled comes at once"
        if at >= len(codes):
            break
    joined = np.concatenate([*pieces, stream.finish()])
    assert joined.shape == whole.shape
    assert np.abs(joined - whole).max() < 1e-4 * max(1.0, np.abs(whole).max())
    assert not len(stream.finish())


def test_its_memory_does_not_grow(codec: Codec) -> None:
    stream = StreamDecoder(codec)
    for _ in range(8):
        stream.push(codes_of(codec)[:40])
    assert len(stream._recent) <= 2 * codec.context + 40


def test_a_shorter_context_is_not_enough(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it changes what is heard, so the number is not larger than need be."""
    codes = codes_of(codec)
    whole = codec.decode([codes])[0]
    monkeypatch.setattr(codec, "context", codec.context // 2)
    stream = StreamDecoder(codec)
    joined = np.concatenate(
        [*(stream.push(codes[at : at + 5]) for at in range(0, len(codes), 5)), stream.finish()]
    )
    assert np.abs(joined - whole).max() > 1e-4
