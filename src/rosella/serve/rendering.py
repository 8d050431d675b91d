"""A recital as what goes over the wire: the bytes of a file, or events that carry them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from rosella.audio.encoding import Encoder, Marks
from rosella.errors import RosellaError, UserError
from rosella.speak.recital import Recital
from rosella.speak.subtitles import Cue
from rosella.web.faults import Refusal


@dataclass(frozen=True)
class Rendering:
    """How a speech is sent: in one of `audio.encoding.FORMATS`, with marks that say where it comes from."""

    format: str
    marks: Marks

    def audio(self, id: str, recital: Recital) -> Iterator[bytes]:
        """The bytes of a file, from the first sound on; nothing where there is none."""
        encoder = Encoder(self.format, recital.sample_rate, self.marks)
        heard = False
        for wave in recital:
            heard = True
            if made := encoder.push(wave):
                yield made
        if (rest := encoder.finish()) and heard:
            yield rest

    def events(self, id: str, recital: Recital) -> Iterator[dict[str, Any]]:
        """Deltas of that file in base64, and at the end what there is to know of it."""
        for made in self.audio(id, recital):
            yield {"type": "speech.audio.delta", "audio": base64.b64encode(made).decode()}
        yield {
            "type": "speech.audio.done",
            "usage": {
                "input_tokens": recital.bytes_read,
                "output_tokens": recital.frames,
                "total_tokens": recital.bytes_read + recital.frames,
            },
            "id": id,
            "stopped": recital.stopped,
            "sample_rate": recital.sample_rate,
            "cues": [_cue(cue) for cue in recital.cues],
        }


def fault(error: RosellaError | Refusal) -> dict[str, Any]:
    """The event of a speech that breaks off."""
    if not isinstance(error, Refusal):
        mistaken = isinstance(error, UserError)
        error = Refusal(HTTPStatus.BAD_REQUEST if mistaken else HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
    return {"type": "error", **error.body}


def server_sent(event: dict[str, Any]) -> bytes:
    """An event as a server sends it (HTML standard, 9.2)."""
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _cue(cue: Cue) -> dict[str, Any]:
    return {
        "start": round(cue.start_s, 3),
        "end": round(cue.end_s, 3),
        "speaker": cue.speaker,
        "text": cue.text,
    }
