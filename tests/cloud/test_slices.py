"""What slices are called, and how many machines they have."""

from __future__ import annotations

import pytest

from rosella.cloud.slices import POD_LABEL, Slice, generation_of, host_count, name_of, of_pod


def test_a_name_tells_the_generation_of_its_own_pod_and_zone_only() -> None:
    name = name_of("dutch", 12, "us-central2-b")
    assert generation_of(name, "dutch", "us-central2-b") == 12
    assert generation_of(name, "dutch", "europe-west4-a") is None
    assert generation_of(name, "dut", "us-central2-b") is None
    assert generation_of(name_of("dutch-2", 1, "us-central2-b"), "dutch", "us-central2-b") is None


@pytest.mark.parametrize(
    ("accelerator", "hosts"),
    [("v4-8", 1), ("v4-32", 4), ("v3-8", 1), ("v5p-16", 2), ("v5litepod-8", 1), ("v5litepod-16", 4), ("v6e-1", 1),
     ("v6e-64", 16), ("v9-32", None), ("cpu", None)],
)  # fmt: skip
def test_a_kind_and_size_has_so_many_machines(accelerator: str, hosts: int | None) -> None:
    assert host_count(accelerator) == hosts


def test_the_pods_are_known_by_their_label_or_their_name() -> None:
    ours = [Slice("mine", "z", "active", labels={POD_LABEL: "a"}), Slice("rosella-a-2-z", "z", "waiting")]
    others = [
        Slice("rosella-b-1-z", "z", "active", labels={POD_LABEL: "b"}),
        Slice("rosella-a-x", "z", "active"),
    ]
    assert of_pod([*ours, *others], "a") == ours
