from __future__ import annotations

import pytest

from rosella import devices
from rosella.errors import UserError
from rosella.training.plan import hardware


@pytest.mark.parametrize(
    ("name", "chip", "chips", "lies"),
    [
        ("v4-32", "v4", 16, "v4:2x2x4"),
        ("v5p-16", "v5p", 8, "v5:2x2x2"),
        ("v5e-16", "v5e", 16, "v5e:4x4"),
        ("V6E-16", "v6e", 16, "v6e:4x4"),
    ],
)
def test_a_slice_has_as_many_chips_as_google_means(name, chip, chips, lies):
    found = hardware.find(name)
    assert (found.chip.name, found.chips) == (chip, chips)
    assert found.topology is not None and found.topology["topology_name"] == lies


@pytest.mark.parametrize(
    ("name", "cards"), [("h100", 1), ("h200x8", 8), ("a100x8", 8), ("rtx4090", 1), ("rtx4090x2", 2)]
)
def test_a_card_leaves_pytorch_its_part(name, cards):
    found = hardware.find(name)
    whole = found.chip.room + devices.for_torch(found.chip.room)
    assert found.chips == cards and found.topology is None
    assert found.chip.room < whole and 0.7 < found.chip.room / whole < 0.95


def test_every_chip_has_a_peak_and_says_who_claims_its_use():
    for name in hardware.names():
        chip = hardware.find(name).chip
        assert chip.peak > 1e14 and 0 < chip.utilisation < 1 and chip.source


def test_float32_is_slower_on_a_card():
    assert hardware.find("h100", "float32").chip.peak < hardware.find("h100").chip.peak / 10


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("h10", "No hardware is called 'h10': did you mean h100"),
        ("v7-4", "No hardware is called 'v7-4': did you mean"),
        ("v4-33", "no slice v4-33: of v4 there are v4-8, v4-16, v4-32"),
        ("abacus", "No hardware is called 'abacus': it may be v4-8"),
        ("", "No hardware is called ''"),
        ("h100x0", "No hardware is called 'h100x0': did you mean"),
        ("h100xmany", "No hardware is called 'h100xmany': did you mean"),
    ],
)
def test_a_wrong_name_is_refused_with_what_comes_near(name, sentence):
    with pytest.raises(UserError, match=sentence):
        hardware.find(name)


def test_here_is_what_jax_finds():
    found = hardware.find("here", "float32")
    assert found.chips >= 1 and found.chip.peak > 1e9 and found.chip.room > 1e9
