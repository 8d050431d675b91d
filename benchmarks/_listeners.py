"""Listeners for locust: each asks for a sentence, hears it as it comes, and asks for the next.

Every request is a line of JSON in the file that LISTENERS_LOG names.
"""

from __future__ import annotations

import json
import os
from itertools import count
from time import monotonic

import gevent
from locust import FastHttpUser, constant, task

RATE, WIDTH = 16_000, 2
SENTENCES = (
    "The garden was very cold this morning.",
    "Did you see the black cat on the wall?",
    "Vandaag praten we over brood.",
    "Welkom bij de keukentafel, en goedemorgen allemaal.",
    "My brother went to the market with his old red bicycle.",
)
NUMBERS = count()


class Listener(FastHttpUser):
    wait_time = constant(0)

    @task
    def listen(self) -> None:
        number, asked = next(NUMBERS), monotonic()
        text = SENTENCES[number % len(SENTENCES)]
        order = {"input": text, "voice": "alloy", "seed": number, "response_format": "pcm"}
        with self.client.post("/v1/audio/speech", json=order, stream=True, catch_response=True) as answer:
            heard = self._hear(answer, asked) if answer.status_code == 200 else {}
            self._note({"status": answer.status_code, "answered": monotonic() - asked, **heard})
            if answer.status_code == 429:
                answer.success()
                gevent.sleep(int(answer.headers["Retry-After"]))

    def _hear(self, answer, asked: float) -> dict[str, float]:
        """Seconds until the first sound, of sound in all, and by which a player would have run dry the longest."""
        first, seconds, dry = None, 0.0, 0.0
        while piece := answer.stream.read(640):
            now = monotonic()
            first = first or now
            dry = max(dry, now - first - seconds)
            seconds += len(piece) / RATE / WIDTH
        return {"first": (first or monotonic()) - asked, "seconds": seconds, "dry": dry}

    def _note(self, line: dict[str, float]) -> None:
        with open(os.environ["LISTENERS_LOG"], "a") as log:
            log.write(json.dumps(line) + "\n")
