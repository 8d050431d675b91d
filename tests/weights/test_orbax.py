from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from foreign_homes import model, weights, write_nari_config
from rosella.weights import load_model


@pytest.mark.slow
def test_a_checkpoint_saved_on_several_devices_is_read_on_one(tmp_path):
    program = f"""
import sys; sys.path[:0] = {sys.path!r}
import jax, numpy as np
from foreign_homes import parkiet_tree, write_parkiet
from pathlib import Path
mesh = jax.make_mesh((4,), ("data",))
def place(value):
    split = "data" if value.shape[0] % 4 == 0 else None
    return jax.device_put(value, jax.NamedSharding(mesh, jax.P(split)))
write_parkiet(Path({str(tmp_path / "saved")!r}), jax.tree.map(place, parkiet_tree()))
"""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"XLA_FLAGS": flags})
    write_nari_config(tmp_path / "saved" / "config.json")
    loaded, _ = load_model(tmp_path / "saved")
    for name, value in weights(model()).items():
        np.testing.assert_array_equal(weights(loaded)[name], value)
