from __future__ import annotations

from dataclasses import replace

import pytest

from rosella.errors import UserError
from rosella.model.config import dia_1_6b
from rosella.training import order
from rosella.training.order import Bucket
from rosella.training.plan.workload import of_hours, workload
from training import tiny


def test_an_epoch_of_an_export_is_counted(export):
    recipe = tiny.recipe(export.directory)
    work = workload(recipe, tiny.config(), None)
    split = order.read_split(export, recipe.data, "train")
    assert (work.utterances, work.steps) == (26, 7)
    assert work.hours == pytest.approx(split.frames.sum() / 50 / 3600)
    assert work.filled == pytest.approx(split.frames.sum() / (7 * 4 * work.longest.frames))
    assert work.longest.rows == 4 and work.longest.frames >= split.frames.max() and work.flops > 0


def test_without_an_export_there_are_hours_or_what_the_steps_see(tmp_path):
    recipe = tiny.recipe(tmp_path / "none", steps=90)
    config = replace(tiny.config(), codec="mini")
    assert workload(recipe, config, 11.0).utterances == 1800
    assert workload(recipe, config, None).steps == 90


def test_ten_thousand_hours_of_dia_are_what_the_sizes_of_shards_say():
    recipe = tiny.recipe("none", data={"export": "none", "batch_frames": 330_752, "max_frames": 2584})
    work = of_hours(recipe, dia_1_6b(), 10_000)
    assert work.shards / 1e9 == pytest.approx(35.4, rel=0.01)
    assert work.longest == Bucket(128, 2584, 512) and work.utterances == 1_636_364
    assert work.steps == 10_228  # 160 utterances of 22 s in 92 % of a batch's frames


def test_a_codec_that_is_not_known_needs_an_export():
    with pytest.raises(UserError, match="known only from an export"):
        of_hours(tiny.recipe("none"), tiny.config(), 1.0)
