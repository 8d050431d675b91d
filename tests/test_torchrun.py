from __future__ import annotations

import os

from torch.distributed import TCPStore

from rosella import torchrun


def test_the_first_process_of_a_torchrun_finds_a_port_and_tells_the_others(monkeypatch):
    """Each start of the same processes anew finds its own."""
    store = TCPStore("localhost", 0, is_master=True)
    told = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(store.port)}
    ports = []
    for index in ("0", "1"):
        for restarts in ("0", "1"):
            started = told | {"RANK": index, "TORCHELASTIC_RESTART_COUNT": restarts}
            monkeypatch.setattr(os, "environ", started)
            with torchrun.agreed_port() as port:
                ports.append(port)
    first, again, *others = ports
    assert others == [first, again] and len({first, again, told["MASTER_PORT"]}) == 3
