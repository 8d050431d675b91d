from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from rosella import devices
from rosella.errors import UserError
from support import rosella


@pytest.fixture
def cards(monkeypatch):
    """A machine with one card, or as many as are set."""

    def there(kind, count):
        found = kind and torch.device(kind)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: found)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)

    return there


@pytest.mark.parametrize(
    ("kind", "count", "best"), [(None, 0, "cpu"), ("cuda", 1, "cuda"), ("cuda", 8, "cuda"), ("mps", 1, "mps")]
)
def test_the_best_device_is_the_accelerator(cards, kind, count, best):
    cards(kind, count)
    assert devices.device() == torch.device(best)
    for name in devices.names():
        assert devices.device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda:7", "cuda:-1", "gpu", "", "meta", "CUDA:0", "mps", "cuda:0:0"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(cards, name):
    cards("cuda", 1)
    with pytest.raises(UserError, match=f"no device '{name}': give cpu or cuda or cuda:0"):
        devices.device(name)
    cards(None, 0)
    with pytest.raises(UserError, match=f"no device '{name}': give cpu"):
        devices.device(name)


def test_a_run_on_a_device_that_is_not_there_ends_in_one_sentence(tmp_path):
    from rosella.corpus.project import Corpus

    Corpus.open(tmp_path, create=True).close()
    for more in ((), ("--device", "cpu")):
        ran = rosella("corpus", "run", "--corpus", str(tmp_path), "--device", "cuda:77", *more)
        assert ran.returncode == 2
        assert "rosella: This machine has no device 'cuda:77': give cpu" in ran.stderr
        assert "Traceback" not in ran.stderr


@pytest.fixture
def driver(monkeypatch, cards):
    """A machine whose driver tells of cards of so many MiB; JAX's part is what the environment then says."""
    monkeypatch.setenv(devices.FRACTION, "to be forgotten after the test")
    monkeypatch.delenv(devices.FRACTION)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)

    def tells(*sizes):
        cards("cuda" if sizes else None, len(sizes))
        monkeypatch.setattr(devices.shutil, "which", lambda name: "/bin/nvidia-smi" if sizes else None)
        told = SimpleNamespace(stdout="".join(f"{size}\n" for size in sizes))
        monkeypatch.setattr(devices.subprocess, "run", lambda *asked, **how: told)

    return tells


@pytest.mark.parametrize(
    ("sizes", "beside", "fraction"),
    [
        ((), None, None),
        ((8192,), "cpu", "0.875"),
        ((24564,), "cuda", "0.750"),
        ((81559,), "cuda", "0.874"),
        ((81559,) * 8, "cuda", "0.874"),
        ((143771, 24564), "cuda", "0.750"),
    ],
)
def test_a_card_is_shared_as_the_smallest_allows(driver, sizes, beside, fraction):
    driver(*sizes)
    assert devices.share_card() == beside
    assert os.environ.get(devices.FRACTION) == fraction


@pytest.mark.parametrize(("size", "beside", "fraction"), [(24564, "cpu", "0.958"), (81559, "cuda", "0.874")])
def test_a_training_has_a_small_card_for_itself(driver, size, beside, fraction):
    driver(size)
    assert devices.share_card(training=True) == beside
    assert os.environ[devices.FRACTION] == fraction
    assert devices.share_card() == beside  # asked again by what listens to the training


@pytest.mark.parametrize("name", [devices.FRACTION, "XLA_PYTHON_CLIENT_MEM_FRACTION"])
def test_what_a_person_says_of_jaxs_part_stays(driver, monkeypatch, name):
    driver(81559)
    monkeypatch.setenv(name, "0.5")
    assert devices.share_card() == "cuda"
    assert os.environ[name] == "0.5"
    assert sum(each in os.environ for each in (devices.FRACTION, "XLA_PYTHON_CLIENT_MEM_FRACTION")) == 1


def test_a_part_that_is_no_number_is_refused(driver, monkeypatch):
    driver(81559)
    monkeypatch.setenv(devices.FRACTION, "most")
    with pytest.raises(
        UserError, match=f"{devices.FRACTION} is 'most': give JAX's part of a card as a number"
    ):
        devices.share_card()


def test_jax_reads_the_name_that_is_set(monkeypatch):
    from jaxlib import xla_client

    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    monkeypatch.setenv(devices.FRACTION, "0.75")
    assert xla_client.generate_pjrt_gpu_plugin_options()["memory_fraction"] == 0.75


@pytest.mark.parametrize(
    ("sizes", "flags", "fast"),
    [
        ((), "flags\t\t: fpu avx2 fma", False),
        ((), "flags\t\t: avx512f avx512_bf16 fma\n", True),
        ((), "Features\t: fp asimd bf16", True),
        ((), None, False),
        ((24564,), "flags\t\t: fpu avx2", True),
    ],
)
def test_a_card_or_a_processor_that_says_so_multiplies_bfloat16(
    driver, monkeypatch, tmp_path, sizes, flags, fast
):
    driver(*sizes)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    assert devices.multiplies_bfloat16() is fast
