"""The cache of codes, from which exports are made, and the codec of the latest run.

It has one file per recording and codec, `cache/codes/<fingerprint>/<recording>.npz`, whose members carry CRC-32 sums.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rosella.codec.facts import CodecFacts, CodecLike
from rosella.errors import RosellaError, UserError
from rosella.files import replacing, write_json

CACHE = Path("cache", "codes")
VERSION = "1"


def version(codec: CodecLike) -> str:
    """The version of the tokenize stage, which makes them; another value makes them stale."""
    return f"{VERSION}:{codec.fingerprint}"


def cached_codes(corpus: Path, recording: str = "*") -> Iterator[Path]:
    """The files of one recording's codes, or of all, by whatever codec."""
    return (corpus / CACHE).glob(f"*/{recording}.npz")


class CodesCache:
    """Codes of utterances by recording, for one codec."""

    def __init__(self, corpus: Path, fingerprint: str) -> None:
        self.folder = corpus / CACHE / re.sub(r"[^\w.-]", "_", fingerprint)

    def path(self, recording: str) -> Path:
        return self.folder / f"{recording}.npz"

    @contextmanager
    def writing(self, recording: str) -> Generator[Callable[[str, np.ndarray], None]]:
        """What stores codes, uint16 `[frames, codebooks]`, by utterance id, in a file that is there when the block ends."""
        with replacing(self.path(recording)) as temporary, zipfile.ZipFile(temporary, "w") as archive:

            def add(utterance: str, codes: np.ndarray) -> None:
                with archive.open(f"{utterance}.npy", "w") as member:
                    np.lib.format.write_array(member, codes, allow_pickle=False)

            yield add

    def read(self, recording: str) -> Iterator[tuple[str, np.ndarray]]:
        """Utterance ids with their codes, one after another; a RosellaError where the file is missing or damaged."""
        path = self.path(recording)
        try:
            with np.load(path, allow_pickle=False) as stored:
                for utterance in stored.files:
                    if not utterance.startswith(recording):
                        raise KeyError(utterance)
                    yield utterance, stored[utterance]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError):
            raise RosellaError(
                f"The codes in {path} are missing or damaged: delete the file and run "
                "`rosella corpus run` again."
            ) from None


def remember_codec(corpus: Path, codec: CodecLike) -> None:
    """Note the codec of the latest run, for `corpus export`."""
    write_json(corpus / "cache" / "codec.json", asdict(CodecFacts.of(codec)), indent=None)


def remembered_codec(corpus: Path) -> CodecFacts:
    """The codec of the latest run."""
    try:
        return CodecFacts(**json.loads((corpus / "cache" / "codec.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise UserError(
            f"Nothing in {corpus} has been turned into codes: run `rosella corpus run` first."
        ) from None
