"""`rosella parity`: that it finds our exports the same, and each known way to spoil a model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

import tiny_dia
from parity.learnt import CONFIG, FRAMES, quiet
from project.test_production import write_dia
from rosella.cli import main
from rosella.convert import huggingface
from rosella.errors import UserError
from rosella.model.config import DiaConfig, EncoderConfig
from rosella.model.transformer import Dia
from rosella.parity import compare, trace
from rosella.parity.trace import Greedy
from rosella.parity.transformers_trace import trace_folder
from rosella.weights import load_model, save_model
from rosella.weights.tensors import WEIGHTS

pytestmark = pytest.mark.parity


@pytest.fixture
def table(ours, inputs):
    """The rows of our model against a Transformers folder."""

    def compared(folder):
        rows = compare.compare_traces(ours, trace_folder(folder, inputs, "float32", quiet), compare.BOUND)
        return compare.Parity(("", ""), rows)

    return compared


def test_an_export_is_the_same_model(table, exported):
    found = table(exported)
    assert found.divergence is None, found.divergence
    layers = [trace.layer_name(number) for number in range(2)]
    stages = [trace.TEXT_IDS, trace.AUDIO_IDS, trace.ENCODER, *layers, trace.LOGITS, trace.LOSS]
    assert [row.stage for row in found.rows] == stages + [str(case) for case in trace.CASES]
    assert all(row.error > 0 for row in found.rows[2:6])
    assert not any("tie" in row.remark for row in found.rows)


def test_what_is_at_work_is_told(model, exported, tmp_path):
    save_model(tmp_path / "ours", model, CONFIG)
    told: list[tuple[int, str]] = []
    compare.compare(
        tmp_path / "ours", exported, FRAMES, progress=lambda done, note="": told.append((done, note))
    )
    homes = f"{tmp_path / 'ours'} (Rosella)", f"{exported} (Transformers)"
    begun = [(number, f"{homes[number // 5]}: {trace.PARTS[number % 5]}") for number in range(10)]
    assert [each for each in told if each in begun] == [each for each in begun if each[0] < 6]
    for number in range(6, 10):
        frames = [f"{begun[number][1]}, {frame} of {FRAMES} frames" for frame in range(FRAMES + 1)]
        assert list(dict.fromkeys(note for done, note in told if done == number)) == frames
    assert told[-1] == (10, "")


def through_bfloat16(folder):
    tensors = load_file(folder / WEIGHTS)
    rounded = {name: each.astype(ml_dtypes.bfloat16).astype(np.float32) for name, each in tensors.items()}
    save_file(rounded, folder / WEIGHTS, metadata={"format": "pt"})


def test_an_export_without_its_codec_is_the_same_model(table, spoilt):
    shutil.rmtree(spoilt / "codec")
    assert table(spoilt).divergence is None


def test_the_mask_bug_of_parkiet_is_found_in_cross_attention(table, exported, monkeypatch):
    from transformers.models.dia.modeling_dia import DiaCrossAttention

    masked = DiaCrossAttention.forward

    def unmasked(self, *arguments, attention_mask=None, **settings):
        return masked(self, *arguments, attention_mask=None, **settings)

    monkeypatch.setattr(DiaCrossAttention, "forward", unmasked)
    found = table(exported)
    assert found.divergence.stage == "decoder layer 1"
    assert found.divergence.error > 0.01
    assert found.divergence.remark == "texts 2, 4"  # 1 has no padding, and all of 3 is like padding
    assert not any(row.broken for row in found.rows if row.stage == trace.ENCODER)


def test_a_tokenizer_of_two_tags_is_found_in_the_text_ids(table, spoilt):
    from transformers import DiaTokenizer

    DiaTokenizer(model_max_length=64).save_pretrained(spoilt)
    found = table(spoilt)
    assert found.divergence.stage == trace.TEXT_IDS
    assert found.divergence.remark.endswith("3 and 91")


def test_weights_rounded_to_bfloat16_are_found_in_the_encoder(table, spoilt):
    through_bfloat16(spoilt)
    found = table(spoilt)
    assert found.divergence.stage == trace.ENCODER
    assert 1e-4 < found.divergence.error < 1e-1


def test_a_wrong_delay_is_found_in_the_audio_ids(table, spoilt):
    path = spoilt / "processor_config.json"
    settings = json.loads(path.read_text())
    settings["audio_settings"]["delay_pattern"] = [0, 1, 3, 4, 5, 6, 7, 8]
    path.write_text(json.dumps(settings))
    assert table(spoilt).divergence.stage == trace.AUDIO_IDS


def test_the_command(model, exported, spoilt, tmp_path, capfd):
    """Ours against the export, as JSON; against a spoilt one, as a table and with exit code 1."""
    save_model(tmp_path / "ours", model, CONFIG)
    arguments = ["parity", str(tmp_path / "ours"), "--frames", str(FRAMES)]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, str(exported), "--json"])
    assert not stop.value.code
    found = json.loads(capfd.readouterr().out)
    assert found["same"]
    assert [home.split("(")[1] for home in found["homes"]] == ["Rosella)", "Transformers)"]
    through_bfloat16(spoilt)
    with pytest.raises(SystemExit) as stop:
        main([*arguments, str(spoilt)])
    assert stop.value.code == 1
    out, err = capfd.readouterr()
    assert "differ from the encoder output on" in err
    marked = [line.split()[:3] for line in out.splitlines() if ">" in line]
    assert marked == [[">", "encoder", "output"]]


def test_homes_of_different_sizes_are_refused(tmp_path):
    wide = replace(CONFIG, decoder=replace(CONFIG.decoder, intermediate_size=44))
    save_model(tmp_path / "wide", tiny_dia.model(wide), wide)
    with pytest.raises(UserError, match="decoder intermediate_size 40 and 44"):
        compare._check_sizes(CONFIG, load_model(tmp_path / "wide")[1])


def test_a_tie_ends_the_comparison_of_its_row_alone():
    a, margin = np.zeros((2, 4, 2), int), np.ones((2, 4, 2))
    b = a.copy()
    b[0, 1:] = 5
    b[1, 3, 0] = 5
    margin[0, 1] = 1e-7
    row = compare.compare_greedy(trace.CASES[0], Greedy(a, margin), Greedy(b), 1e-6, 1e-5)
    assert (row.error, row.remark) == (1 / 10, "10 ids, 1 rows up to a tie")
    assert row.broken
    assert compare.compare_greedy(trace.CASES[0], Greedy(a, margin), Greedy(b), 0.0, 1e-5).error == 7 / 16
    short = Greedy(a[:, :2], margin)
    assert compare.compare_greedy(trace.CASES[0], short, Greedy(a[:, :3]), 0.0, 1e-5).error == 0
    assert compare.compare_greedy(trace.CASES[0], short, Greedy(a), 0.0, 1e-5).broken


def test_what_is_no_number_breaks_the_bound():
    nothing = [np.full((2, 3), np.nan, np.float32)]
    row = compare._compare_stage(trace.LOGITS, nothing, nothing, 1e-5)
    assert row.broken
    assert json.loads(json.dumps(compare.Parity(("", ""), [row]).to_dict()))["rows"][0]["error"] is None


MIDDLE = DiaConfig(
    encoder=EncoderConfig(
        192, 4, 6, 2, 32, intermediate_size=384, max_position_embeddings=512, initializer_range=0.04
    ),
    decoder=replace(
        CONFIG.decoder,
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=32,
        cross_num_attention_heads=6,
        cross_num_key_value_heads=3,
        cross_head_dim=32,
        cross_hidden_size=192,
        intermediate_size=640,
        max_position_embeddings=512,
        initializer_range=0.04,
    ),
    delay_pattern=CONFIG.delay_pattern,
    codec="mini",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mini", "middle", "attend"])
def test_whole_models_speak_the_same_for_200_frames(name, tmp_path):
    """The embedded model, whose rows end by themselves, and random ones with grouped keys; a minute each."""
    if name == "mini":
        model, config = load_model("mini")
    else:
        attend = {"cross_attention_padding": "attend", "trained_text_length": 400}
        config = replace(MIDDLE, **(attend if name == "attend" else {}))
        model = Dia(config, nnx.Rngs(0))
    save_model(tmp_path, model, config)
    huggingface.complete(tmp_path, config)
    found = compare.compare(tmp_path, tmp_path)
    assert found.divergence is None, found.divergence
    assert [home.rsplit("(")[-1] for home in found.homes] == ["Rosella)", "Transformers)"]
    compared = [int(row.remark.split()[0]) for row in found.rows[-len(trace.CASES) :]]
    assert min(compared) > 3000


@pytest.mark.slow
def test_the_full_size_with_the_stock_processor(tmp_path):
    """1.6 B random parameters of Dia-1.6B's configuration: 3 GB on disk, 14 in memory, minutes on two cores."""
    from transformers import AddedToken, DiaTokenizer

    write_dia(tmp_path, {}, {}, deviation=0.01)  # at 0.02 attention is so sharp that rounding grows by layers
    DiaTokenizer(added_tokens_decoder={3: AddedToken("[S3]"), 4: AddedToken("[S4]")}).save_pretrained(
        tmp_path
    )
    found = compare.compare(tmp_path, tmp_path, frames=4)
    assert found.divergence is None, found.divergence
    assert {row.bound for row in found.rows} == {0.0, 1e-4}
