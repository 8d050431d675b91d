"""Standard output and error that outlive whoever reads them: a closed terminal or pipe must not end the work."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any


def outlive_readers() -> None:
    """Have what nobody reads any more vanish, for the rest of this process."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _lasting(stream))


def _lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    file = _Lasting(stream.fileno())
    unbuffered = isinstance(stream.buffer, io.RawIOBase)  # python -u
    return io.TextIOWrapper(
        file if unbuffered else io.BufferedWriter(file),  # type: ignore[arg-type]
        stream.encoding,
        stream.errors,
        line_buffering=True,  # what is printed is out at once, and a full disk is an error of the verb
        write_through=stream.write_through,
    )


class _Lasting(io.FileIO):
    def __init__(self, number: int) -> None:
        super().__init__(number, "wb", closefd=False)
        # What a disk says with EIO is no closed terminal.
        self._gone = {errno.EPIPE, errno.EIO} if os.isatty(number) else {errno.EPIPE}

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in self._gone:
                raise
            return memoryview(data).nbytes
