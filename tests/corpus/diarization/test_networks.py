from __future__ import annotations

import numpy as np

from rosella.corpus.diarization.networks import SAMPLE_RATE, SpeakerEncoder, VoiceActivity


def babble() -> np.ndarray:
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 2.1 * time)) / SAMPLE_RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 25)) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * time))
    return (0.1 * buzz + 1e-3 * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)


def test_voice_activity_is_that_of_the_published_model():
    """Expected: silero_vad_16k_op15.onnx of silero-vad 6.2.3 under onnxruntime, every sixth frame."""
    published = [0.2003, 0.1967, 0.0589, 0.0068, 0.0091, 0.0433, 0.0102, 0.0100, 0.0082, 0.0053, 0.0031]
    activity, wave = VoiceActivity(), babble()
    found = np.concatenate([activity(wave[:10240]), activity(wave[10240:])])
    np.testing.assert_allclose(found[::6], published, atol=2e-3)


def test_embeddings_are_those_of_the_published_model():
    """Expected: the largest of resemblyzer 0.1.4's pretrained.pt in single precision."""
    places = [246, 36, 218, 158, 113, 163, 51, 168]
    published = [0.2880, 0.2333, 0.2245, 0.2186, 0.1843, 0.1787, 0.1722, 0.1705]
    encoder, wave = SpeakerEncoder(), babble()[:25_600]
    (found,) = encoder([wave])
    np.testing.assert_allclose(found[places], published, atol=2e-3)
    np.testing.assert_allclose(
        encoder([wave[:9000], 0.1 * wave])[1], found, atol=1e-4
    )  # neither company nor level
