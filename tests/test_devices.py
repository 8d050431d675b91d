from __future__ import annotations

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
