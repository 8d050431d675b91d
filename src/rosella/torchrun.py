"""What processes that torchrun started tell each other before they have anything else in common."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def agreed_port() -> Generator[str]:
    """A port that the first process finds free, and tells the others in torchrun's own store.

    It is kept from other programs in the block, but not from gRPC, which shares ports of the same user.
    """
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]

    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    key = f"rosella/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
    with socket.socket() as kept:
        if os.environ["RANK"] == "0":
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            kept.bind(("", 0))
            store.set(key, str(kept.getsockname()[1]))
        yield store.get(key).decode()
