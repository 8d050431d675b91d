from __future__ import annotations

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import nnx

from rosella.model import flops
from rosella.model.config import dia_1_6b, mini
from rosella.model.flops import device_peak, training_flops
from rosella.model.transformer import Dia


def test_the_big_model_takes_what_its_shapes_say():
    assert training_flops(dia_1_6b(), 2584, 400) == pytest.approx(22.37e12, rel=2e-3)


@pytest.mark.parametrize("config", [dia_1_6b(), mini()])
def test_one_frame_and_one_byte_cost_each_matrix_once(config):
    shapes = nnx.state(nnx.eval_shape(lambda: Dia(config, nnx.Rngs(0))), nnx.Param)
    sizes = {"/".join(map(str, path)): leaf.size for path, leaf in nnx.to_flat_state(shapes)}
    matrices = sum(size for name, size in sizes.items() if "embedding" not in name and "norm" not in name)
    tiny = 1e-9  # so that attention, which grows with the square, counts nothing
    assert training_flops(config, tiny, tiny) / tiny == pytest.approx(6 * matrices, rel=1e-6)


def test_rows_of_many_lengths_are_summed():
    frames, text = np.array([3, 5]), np.array([7, 2])
    apart = sum(training_flops(mini(), int(f), int(t)) for f, t in zip(frames, text, strict=True))
    assert training_flops(mini(), frames, text).sum() == pytest.approx(apart)
    assert training_flops(mini(), 3, 7, rows=4) == pytest.approx(4 * training_flops(mini(), 3, 7))


@pytest.mark.parametrize(
    ("kind", "dtype", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989e12),
        ("NVIDIA H100 80GB HBM3", "float32", 67e12),
        ("TPU v5 lite", "bfloat16", 197e12),
        ("TPU v5", "bfloat16", 459e12),
        ("TPU v4", "float32", None),
        ("NVIDIA GeForce", "bfloat16", None),
    ],
)
def test_the_peak_of_a_device_is_looked_up(monkeypatch, kind, dtype, peak):
    device = SimpleNamespace(platform="gpu", device_kind=kind)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert device_peak(dtype) == peak


def test_the_peak_of_a_cpu_is_measured(monkeypatch):
    monkeypatch.setattr(flops, "product_rate", lambda dtype: {"float32": 7.0}[dtype])
    assert device_peak("float32") == 7.0
    monkeypatch.undo()
    assert flops.product_rate("float32", 64) > 1e6
