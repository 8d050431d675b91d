from __future__ import annotations

import pytest

from rosella.model.config import dia_1_6b
from rosella.training.order import Bucket
from rosella.training.plan.estimate import GRADIENT, estimate, parameters, state_bytes
from tiny_dia import CONFIG
from training import tiny

ONE, SIXTEEN = (1, 1, 1), (1, 16, 1)


def of(config=CONFIG, mesh=ONE, frames=24, **changes):
    return estimate(tiny.recipe("corpus", **changes), config, mesh, Bucket(1, frames, 16))


def test_parameters_are_those_of_the_model():
    assert parameters(dia_1_6b()) == 1_611_160_576


def test_the_state_of_a_weight_is_three_numbers_split_over_fsdp():
    assert of().arguments == pytest.approx(12 * parameters(CONFIG), abs=8)
    assert of(mesh=SIXTEEN).arguments == pytest.approx(of().arguments / 16, rel=0.01)
    assert of(mesh=(16, 1, 1)).arguments == of().arguments


def test_adafactor_keeps_little_beside_the_weights():
    recipe = tiny.recipe("corpus", optimizer={"kind": "adafactor"})
    assert 1 < state_bytes(recipe, dia_1_6b()) / (4 * parameters(dia_1_6b())) < 1.01


def test_parts_of_a_batch_add_a_second_gradient():
    assert of(accumulate=2).fixed - of().fixed == GRADIENT * parameters(CONFIG)


def test_recomputing_keeps_less_and_longer_rows_more():
    assert of(remat="none").row > 1.1 * of(remat="dots").row > 1.3 * of(remat="full").row
    assert of(frames=48).row > 1.7 * of(frames=24).row


@pytest.mark.slow
@pytest.mark.parametrize(
    ("remat", "mesh", "rows", "gib"),
    [
        ("full", SIXTEEN, 8, 9.52),
        ("full", SIXTEEN, 40, 39.43),
        ("dots", SIXTEEN, 7, 44.13),
        ("none", SIXTEEN, 3, 43.59),
    ],
)
def test_it_agrees_with_what_the_compiler_counted_for_tpus(remat, mesh, rows, gib):
    """Dia-1.6B, 30 s and 1,024 bytes, bfloat16, on v4-32."""
    recipe = tiny.recipe("corpus", remat=remat, compute_dtype="bfloat16")
    found = estimate(recipe, dia_1_6b(), mesh, Bucket(1, 2584, 1024)).needed(rows)
    assert found / 2**30 == pytest.approx(gib, rel=0.07)
