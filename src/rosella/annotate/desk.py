"""What all routes work with."""

from __future__ import annotations

import threading

from rosella.annotate.accounts import Accounts
from rosella.annotate.attempts import Attempts
from rosella.annotate.audio import Sounds
from rosella.annotate.events import Hub
from rosella.annotate.guard import Gate
from rosella.annotate.sessions import Sessions
from rosella.annotate.settings import Limits
from rosella.annotate.suggestions import Suggestions
from rosella.corpus.catalogue.store import Catalogue


class Desk:
    """A catalogue and who works on it; a `local` one needs no account."""

    def __init__(
        self, catalogue: Catalogue, corpus: str, place: str, local: bool, limits: Limits = Limits()
    ) -> None:
        """`corpus` is its name, `place` what tells it from others."""
        self.catalogue, self.corpus, self.limits = catalogue, corpus, limits
        self.accounts, self.attempts = Accounts(catalogue, limits), Attempts(catalogue, limits)
        self.sessions = Sessions(catalogue, limits)
        self.gate = Gate(self.sessions, limits, place, local)
        self.hub, self.sounds = Hub(catalogue, limits), Sounds(catalogue, limits.sounds)
        self.suggestions = Suggestions(catalogue)
        self.filled = threading.Event()
        """The queue holds all that was there when the server began."""
