from __future__ import annotations

import json
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rosella.errors import RosellaError, explain
from rosella.files import MANIFEST, find_damage, seal, seal_part
from rosella.training import state as checkpoints
from rosella.training.optimizer import make_optimizer
from rosella.training.recipe import SpeakingOptimizer
from training import tiny


def state_at(step: int):
    params = {"a.kernel": jnp.arange(6.0).reshape(2, 3) + step, "b.scale": jnp.full(3, float(step))}
    state = checkpoints.fresh_state(params, make_optimizer(SpeakingOptimizer()), seed=5)
    return state._replace(step=jnp.int32(step))


@pytest.fixture
def saved(tmp_path):
    for step in (3, 6, 9):
        checkpoints.save(tmp_path, state_at(step), {"step": step}, tiny.recipe("x"), tiny.config())
    return tmp_path


def restore(directory):
    warnings = []
    return checkpoints.restore(directory, state_at(0), warnings.append), warnings


def test_the_newest_comes_back_whole_and_old_ones_go(saved):
    (state, progress), warnings = restore(saved)
    jax.tree.map(np.testing.assert_array_equal, state, state_at(9))
    assert progress == {"step": 9} and not warnings and checkpoints.steps(saved) == [9, 6]
    assert restore(saved / "nowhere") == (None, [])


def test_a_flipped_bit_anywhere_falls_back_to_the_one_before(saved):
    newest = saved / "00000009"
    files = [path for path in newest.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 5
    for path in files:
        original = path.read_bytes()
        path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        (state, progress), warnings = restore(saved)
        assert progress == {"step": 6} and int(state.step) == 6, path
        assert len(warnings) == 1 and "00000009 is damaged" in warnings[0]
        path.write_bytes(original)
    assert restore(saved)[0][1] == {"step": 9}


def test_missing_and_extra_files_are_damage(saved):
    newest = saved / "00000009"
    (newest / "stray").write_text("?")
    assert "stray" in (find_damage(newest) or "")
    (newest / "stray").unlink()
    (newest / MANIFEST).unlink()
    assert restore(saved)[0][1] == {"step": 6}


def test_nothing_intact_is_an_error_and_not_a_fresh_start(saved):
    for step in ("00000009", "00000006"):
        (saved / step / "progress.json").write_text("{}")
    with pytest.raises(RosellaError, match="No checkpoint in .* is intact"):
        restore(saved)


def test_a_damaged_checkpoint_is_replaced_when_training_reaches_it_again(saved):
    (saved / "00000009" / "progress.json").write_text("{}")
    checkpoints.save(saved, state_at(9), {"step": 9}, tiny.recipe("x"), tiny.config())
    assert find_damage(saved / "00000009") is None


def test_an_interrupted_save_leaves_no_checkpoint(saved, monkeypatch):
    def explode(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "seal", explode)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(saved, state_at(12), {"step": 12}, tiny.recipe("x"), tiny.config())
    assert checkpoints.steps(saved) == [9, 6] and sorted(p.name for p in saved.iterdir()) == [
        "00000006",
        "00000009",
    ]


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    may_end = threading.Event()
    monkeypatch.setattr(checkpoints, "seal", lambda new: (may_end.wait(60), seal(new)))
    state = state_at(3)
    expected = jax.device_get(state)
    saver = checkpoints.Saver(tmp_path)
    saver.save(state, {"step": 3}, tiny.recipe("x"), tiny.config())
    advance = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf + 1, state), donate_argnums=0)
    for _ in range(3):
        state = advance(state)
    jax.block_until_ready(state)
    assert saver.busy and checkpoints.steps(tmp_path) == []
    may_end.set()
    saver.wait()
    assert not saver.busy
    jax.tree.map(np.testing.assert_array_equal, restore(tmp_path)[0][0], expected)


def test_what_fails_in_the_background_is_raised_by_the_next_save(tmp_path, monkeypatch):
    def explode(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "seal", explode)
        saver = checkpoints.Saver(tmp_path / "checkpoints")
        saver.save(state_at(3), {"step": 3}, tiny.recipe("x"), tiny.config())
        with pytest.raises(OSError) as error:
            saver.save(state_at(6), {"step": 6}, tiny.recipe("x"), tiny.config())
    assert explain(error.value)[0].startswith("The disk is full: ")
    assert not (tmp_path / "checkpoints").exists() or not list((tmp_path / "checkpoints").iterdir())
    saver.save(state_at(6), {"step": 6}, tiny.recipe("x"), tiny.config())
    saver.wait()
    assert checkpoints.steps(tmp_path / "checkpoints") == [6]


def test_each_host_hashes_what_it_wrote_and_looks_at_its_share(tmp_path):
    for host in (0, 1, 2):
        (tmp_path / "state" / f"ocdbt.process_{host}").mkdir(parents=True)
        (tmp_path / "state" / f"ocdbt.process_{host}" / "data").write_text(str(host))
    for host in (1, 2):
        seal_part(tmp_path, host, f"state/ocdbt.process_{host}")
    seal(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, "state"] and find_damage(tmp_path) is None
    (tmp_path / "state" / "ocdbt.process_1" / "data").write_text("?")
    assert [find_damage(tmp_path, host, 3) is not None for host in (0, 1, 2)] == [False, True, False]
    assert "process_1" in (find_damage(tmp_path) or "")


def test_the_manifest_lists_every_file(saved):
    listed = json.loads((saved / "00000009" / MANIFEST).read_text())
    assert {"progress.json", "recipe.yaml", "config.json", "state/_METADATA"} <= listed.keys()


def test_a_model_is_taken_apart_and_put_together():
    model = tiny.model()
    skeleton, params = checkpoints.Skeleton.of(model)
    assert skeleton.shapes.keys() == params.keys() and "decoder.layers.self_norm.scale" in params
    again = checkpoints.Skeleton.of(skeleton.join({name: 2 * value for name, value in params.items()}))[1]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(2 * a, b), params, again)
