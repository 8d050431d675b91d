"""pyannote's pipelines, on its output made by hand and, where it is installed, on a tiny pipeline made here."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile

from rosella.corpus.diarization.load import load_diarizer
from rosella.corpus.diarization.pyannote import overlaps, translate
from rosella.errors import UserError


def test_overlaps_of_turns():
    assert overlaps([(0, 4), (3, 6), (5, 9), (5.5, 7), (10, 11), (11, 12)]) == [(3, 4), (5, 7)]
    assert overlaps([]) == []


def test_speakers_are_named_by_first_appearance():
    turns = [(5.0, 6.0, "S0"), (0.0, 4.0, "S1"), (7.0, 8.0, "S2")]
    vectors = {"S0": np.array([3.0, 4.0]), "S1": np.array([0.0, 2.0]), "S2": np.zeros(2), "S3": np.ones(2)}
    found = translate(turns, [(0.0, 4.0), (3.5, 6.0)], vectors)
    assert [turn.speaker for turn in found.turns] == ["A", "B", "C"] and found.turns[0].start == 0
    assert found.overlaps == [(3.5, 4.0)]
    assert {name: vector.tolist() for name, vector in found.embeddings.items()} == {
        "A": [0, 1],
        "B": pytest.approx([0.6, 0.8]),
    }


def test_without_pyannote_the_way_to_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyannote.audio", None)
    with pytest.raises(UserError, match=r"rosella-tts\[pyannote\]"):
        load_diarizer("pyannote/speaker-diarization-community-1")


@pytest.fixture
def tiny_pipeline(tmp_path):
    """A folder as the Hub has them: untrained networks, so that what they say means nothing."""
    pytest.importorskip("pyannote.audio")
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(0)
    segmentation = PyanNet(
        lstm={"hidden_size": 8, "num_layers": 1}, linear={"hidden_size": 8, "num_layers": 1}
    )
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=5.0,
        classes=["a", "b", "c"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    segmentation.build()
    embedding = WeSpeakerResNet34()
    embedding.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0
    )
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        save_checkpoint(model, tmp_path / name)
    (tmp_path / "plda").mkdir()
    np.savez(
        tmp_path / "plda" / "xvec_transform.npz",
        mean1=np.zeros(256), mean2=np.zeros(128), lda=np.eye(256, 128),
    )  # fmt: skip
    np.savez(tmp_path / "plda" / "plda.npz", mu=np.zeros(128), tr=np.eye(128), psi=np.linspace(2, 1, 128))
    (tmp_path / "config.yaml").write_text(
        """
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params: {segmentation: $model/segmentation, embedding: $model/embedding, plda: $model/plda, clustering: VBxClustering}
params:
  segmentation: {min_duration_off: 0.0}
  clustering: {threshold: 0.6, Fa: 0.07, Fb: 0.8}
"""
    )
    return tmp_path


def save_checkpoint(model, folder):
    import pytorch_lightning
    import torch

    folder.mkdir()
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": pytorch_lightning.__version__,
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "pytorch_model.bin")


@pytest.mark.slow
def test_a_tiny_pipeline_is_loaded_and_called(tmp_path, tiny_pipeline):
    diarizer = load_diarizer(str(tiny_pipeline))
    assert diarizer.version.startswith("pyannote-")
    wave = 0.1 * np.random.default_rng(0).standard_normal(7 * 16_000)
    soundfile.write(tmp_path / "a.wav", wave, 16_000)
    found = diarizer.diarize(tmp_path / "a.wav")
    assert found.turns and found.turns == sorted(found.turns)
    assert found.turns[0].speaker == "A" and found.turns[-1].end <= 7.1
    assert all(abs(np.linalg.norm(vector) - 1) < 1e-4 for vector in found.embeddings.values())
