from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from foreign_homes import model, nari_state, parkiet_tree, weights, write_nari_config, write_parkiet
from rosella.convert import conversion
from rosella.convert.conversion import convert
from rosella.errors import UserError
from rosella.model.config import DiaConfig
from rosella.weights import load_model, open_home, save_model
from rosella.weights.configs import read_config
from rosella.weights.tensors import WEIGHTS
from tiny_dia import ATTEND, CONFIG


@pytest.fixture
def home(tmp_path):
    save_model(tmp_path / "home", model(), CONFIG)
    return tmp_path / "home"


@pytest.fixture
def pickled(tmp_path):
    """Nari's `.pth` and its config.json."""
    state = {name: torch.tensor(value) for name, value in nari_state().items()}
    torch.save(state, tmp_path / "dia.pth")
    write_nari_config(tmp_path / "config.json")
    return tmp_path / "dia.pth"


@pytest.fixture
def parkiet(tmp_path):
    write_parkiet(tmp_path / "parkiet")
    write_nari_config(tmp_path / "parkiet" / "config.json")
    return tmp_path / "parkiet"


def assert_same_model(path, config=CONFIG):
    loaded, found = load_model(path)
    assert found == config
    for name, value in weights(model()).items():
        np.testing.assert_array_equal(weights(loaded)[name], value, err_msg=str(name))


def test_a_way_through_every_home_changes_nothing(home, tmp_path):
    """Every pair of kinds, in both directions."""
    road = ("nari", "reference", "rosella", "reference", "nari", "rosella")
    for number, kind in enumerate(road):
        home, source = tmp_path / str(number), home
        convert(source, home, kind)
        assert open_home(home).kind == kind
    assert_same_model(home)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("config", [CONFIG, ATTEND])
def test_how_padding_is_treated_travels_along(tmp_path, config):
    save_model(tmp_path / "0", model(), config)
    for number, kind in enumerate(("nari", "reference", "rosella")):
        convert(tmp_path / str(number), tmp_path / str(number + 1), kind)
        assert open_home(tmp_path / str(number + 1)).config == config
    attends = config is ATTEND
    assert bool(conversion.find_warning(config, "nari")) == attends
    assert bool(conversion.find_warning(config, "reference")) != attends
    assert not conversion.find_warning(config, "transformers")


def test_a_pickle_of_nari(pickled, tmp_path):
    assert open_home(pickled).kind == "nari"
    assert_same_model(pickled, replace(CONFIG, codec="descript/dac_44khz"))
    convert(pickled, tmp_path / "attending", "rosella", trained_text_length=32)
    wanted = replace(ATTEND, codec="descript/dac_44khz")
    assert_same_model(tmp_path / "attending", wanted)


def test_the_first_release_of_nari_had_other_names_in_its_config(pickled):
    encoder, decoder = CONFIG.encoder, CONFIG.decoder
    values = {
        "version": "0.1",
        "model": {
            "encoder": {"n_layer": 2, "n_embd": 16, "n_hidden": 24, "n_head": 2, "head_dim": 8},
            "decoder": {
                "n_layer": 2,
                "n_embd": 24,
                "n_hidden": 40,
                "gqa_query_heads": 4,
                "kv_heads": 2,
                "gqa_head_dim": 8,
                "cross_query_heads": 2,
                "cross_head_dim": 4,
            },
            "src_vocab_size": 256,
            "tgt_vocab_size": 20,
            "normalization_layer_epsilon": 1e-6,
            "rope_max_timescale": 500,
        },
        "data": {
            "text_length": 64,
            "audio_length": 128,
            "channels": 3,
            "audio_eos_value": 16,
            "audio_pad_value": 17,
            "audio_bos_value": 18,
            "delay_pattern": [0, 2, 3],
        },
    }
    path = pickled.parent / "config.json"
    path.write_text(json.dumps(values))
    same = {"norm_eps": 1e-6, "rope_theta": 500}
    cross = {"cross_num_attention_heads": 2, "cross_num_key_value_heads": 2}
    wanted = DiaConfig(replace(encoder, **same), replace(decoder, **same, **cross), CONFIG.delay_pattern)
    assert read_config(path) == wanted
    del values["data"]["channels"]
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="does not say channels"):
        load_model(pickled)


def test_a_checkpoint_of_parkiet_attends_to_padding(parkiet):
    """That is how its decoder was trained; its own config.json does not say so."""
    wanted = replace(
        CONFIG, codec="descript/dac_44khz", cross_attention_padding="attend", trained_text_length=64
    )
    assert open_home(parkiet).kind == "reference"
    assert_same_model(parkiet, wanted)


def test_the_constants_of_parkiet_are_compared_and_written(parkiet, home, tmp_path):
    import orbax.checkpoint as ocp

    convert(home, tmp_path / "ours", "reference")
    with ocp.StandardCheckpointer() as checkpointer:
        found, wanted = (checkpointer.restore(path) for path in (tmp_path / "ours", parkiet))
    assert json.dumps(found, default=np.ndarray.tolist, sort_keys=True) == json.dumps(
        wanted, default=np.ndarray.tolist, sort_keys=True
    )
    write_parkiet(tmp_path / "other", parkiet_tree(theta=500.0))
    write_nari_config(tmp_path / "other" / "config.json")
    with pytest.raises(UserError, match="not that of a base of 10000"):
        load_model(tmp_path / "other")


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
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | flags)
    write_nari_config(tmp_path / "saved" / "config.json")
    loaded, _ = load_model(tmp_path / "saved")
    for name, value in weights(model()).items():
        np.testing.assert_array_equal(weights(loaded)[name], value)


@pytest.mark.parametrize("kind", ["nari", "reference"])
def test_without_a_config_the_shapes_tell(tmp_path, kind):
    """All but the epsilon, the rotary base and the longest text and audio, which are Dia's own."""
    usual = DiaConfig()
    decoder = replace(CONFIG.decoder, num_channels=9, max_position_embeddings=3072)
    encoder = replace(CONFIG.encoder, max_position_embeddings=1024)
    config = replace(usual, encoder=encoder, decoder=decoder)
    save_model(tmp_path / "home", model(config), config)
    convert(tmp_path / "home", tmp_path / kind, kind)
    (tmp_path / kind / "config.json").unlink()
    found = open_home(tmp_path / kind).config
    attend = {"cross_attention_padding": "attend", "trained_text_length": 1024}
    assert found == (replace(config, **attend) if kind == "reference" else config)
    loaded, wanted = weights(load_model(tmp_path / kind)[0]), weights(model(config))
    assert all((loaded[name] == value).all() for name, value in wanted.items())


def test_other_codebooks_need_a_config(pickled):
    (pickled.parent / "config.json").unlink()
    with pytest.raises(UserError, match="model of 3 codebooks.*put its config.json into"):
        load_model(pickled)


@pytest.mark.parametrize("to", ["nari", "reference", "rosella"])
def test_types_stay_as_they_are_stored(home, tmp_path, to):
    """Matrices in bfloat16 beside norms in float32, as Nari's code makes them."""
    tensors = {
        name: value if value.ndim == 1 else value.astype(ml_dtypes.bfloat16)
        for name, value in load_file(home / WEIGHTS).items()
    }
    save_file(tensors, home / WEIGHTS)
    convert(home, tmp_path / "there", to)
    convert(tmp_path / "there", tmp_path / "back", "rosella")
    back = load_file(tmp_path / "back" / WEIGHTS)
    for name, value in tensors.items():
        assert back[name].dtype == value.dtype
        np.testing.assert_array_equal(back[name], value)
    assert json.loads((tmp_path / "back" / "config.json").read_text())["dtype"] == "float32"


def test_a_type_that_is_asked_for(home, tmp_path):
    convert(home, tmp_path / "half", "rosella", dtype="bfloat16")
    before, after = load_file(home / WEIGHTS), load_file(tmp_path / "half" / WEIGHTS)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value.astype(ml_dtypes.bfloat16))
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "bfloat16"


def test_transformers_folders_are_completed(home, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(conversion.huggingface, "complete", lambda *given: calls.append(given))
    convert(home, tmp_path / "there", "transformers", trained_text_length=32, codec="my/codec")
    ((directory, config, *codec),) = calls
    assert directory.parent == tmp_path and config == ATTEND and codec == ["my/codec", True]
    assert load_model(tmp_path / "there")[1] == ATTEND


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_that_runs_a_program_is_refused(tmp_path, save):
    marker, path = tmp_path / "executed", tmp_path / "dia.pth"
    save({"encoder.norm.weight": Malicious(marker)}, path)
    with pytest.raises(UserError, match="is refused; ask its author|ask its author for safetensors"):
        convert(path, tmp_path / "out", "rosella")
    assert not marker.exists() and not (tmp_path / "out").exists()


def test_pickles_of_something_else_are_refused(tmp_path):
    torch.save({"model": {"encoder.norm.weight": torch.ones(3)}}, tmp_path / "nested.pth")
    with pytest.raises(UserError, match="state_dict"):
        load_model(tmp_path / "nested.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UserError, match="not a state dictionary"):
        load_model(tmp_path / "text.pth")


@pytest.mark.parametrize("kind", ["nari", "reference"])
def test_missing_unexpected_and_misshaped_tensors_are_all_named(tmp_path, kind):
    tree = parkiet_tree() if kind == "reference" else nari_state()
    leaf = tree["encoder"]["layers"][1]["mlp"]["wo"] if kind == "reference" else tree
    name = "kernel" if kind == "reference" else "encoder.layers.1.mlp.wo.weight"
    leaf[name] = np.ascontiguousarray(leaf[name].T)
    (tree["decoder"]["norm"] if kind == "reference" else tree).pop(
        "scale" if kind == "reference" else "decoder.norm.weight"
    )
    tree["extra"] = np.ones(3, np.float32)
    if kind == "reference":
        write_parkiet(tmp_path / "home", tree)
        wanted = ["missing decoder/norm/scale", "encoder/layers/1/mlp/wo/kernel is (16, 24), not (24, 16)"]
    else:
        (tmp_path / "home").mkdir()
        save_file(tree, tmp_path / "home" / WEIGHTS)
        wanted = ["missing decoder.norm.weight", "encoder.layers.1.mlp.wo.weight is (16, 24), not (24, 16)"]
    write_nari_config(tmp_path / "home" / "config.json")
    with pytest.raises(UserError) as error:
        convert(tmp_path / "home", tmp_path / "out", "rosella")
    for part in [*wanted, "unexpected extra"]:
        assert part in str(error.value)


def test_types_that_no_weight_has_are_refused(home):
    tensors = load_file(home / WEIGHTS)
    name = "model.encoder.norm.weight"
    save_file(tensors | {name: tensors[name].astype(np.int32)}, home / WEIGHTS)
    with pytest.raises(UserError, match=f"{name} is none of float64, float32"):
        load_model(home)


@pytest.mark.parametrize("to", ["nari", "reference", "rosella"])
def test_weights_that_are_not_finite_are_refused_and_nothing_is_left(home, tmp_path, to):
    tensors = load_file(home / WEIGHTS)
    for name in ("model.encoder.norm.weight", "model.decoder.norm.weight"):
        tensors[name][3] = np.nan
    save_file(tensors, home / WEIGHTS)
    with pytest.raises(
        UserError, match=r"\(decoder.norm.*, encoder.norm|\(model.decoder.norm.*, model.encoder"
    ):
        convert(home, tmp_path / "made" / "for" / "out", to)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_what_float16_cannot_hold_is_refused(home, tmp_path):
    tensors = load_file(home / WEIGHTS)
    tensors["model.encoder.norm.weight"][3] = 1e6
    save_file(tensors, home / WEIGHTS)
    with pytest.raises(UserError, match="as float16.*wider --dtype"):
        convert(home, tmp_path / "out", "rosella", dtype="float16")


def test_nothing_is_overwritten(home, tmp_path):
    before = (home / WEIGHTS).read_bytes()
    for destination in (home, home / WEIGHTS):
        with pytest.raises(UserError, match="exists already"):
            convert(home, destination, "nari")
    assert (home / WEIGHTS).read_bytes() == before
    (tmp_path / "empty").mkdir()
    convert(home, tmp_path / "empty", "nari")
    assert open_home(tmp_path / "empty").kind == "nari"


def test_an_ambiguous_directory_is_refused(pickled):
    (pickled.parent / "other.pth").write_bytes(pickled.read_bytes())
    with pytest.raises(UserError, match=r"holds dia.pth, other.pth; give the file"):
        load_model(pickled.parent)


@pytest.mark.parametrize("to", ["nari", "reference", "rosella"])
def test_only_a_few_tensors_are_in_memory_at_once(tmp_path, to):
    decoder = replace(CONFIG.decoder, hidden_size=256, num_hidden_layers=12, intermediate_size=512)
    large = replace(CONFIG, decoder=decoder)
    save_model(tmp_path / "home", model(large), large)
    tracemalloc.start()
    convert(tmp_path / "home", tmp_path / "out", to)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * (tmp_path / "home" / WEIGHTS).stat().st_size
