"""What all routes speak with: the model in its engine, the voices, and how many may speak at once."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from rosella.errors import RosellaError
from rosella.serve.admission import Admission
from rosella.serve.delivery import Delivery
from rosella.serve.engine import Cancelled, Engine, Session
from rosella.serve.metrics import Metrics
from rosella.serve.settings import Limits
from rosella.serve.voices import find
from rosella.speak.recital import Recital
from rosella.web.faults import Refusal, refusing

if TYPE_CHECKING:
    from rosella.inference.settings import Blocks
    from rosella.speak import Speaker, VoiceShelf
    from rosella.speak.voices import Voices

T = TypeVar("T")

REMEMBERED = 256
"""Speeches that others may go on from, the latest."""


@dataclass(frozen=True)
class Order:
    """What is to be spoken: a text, or its fragments while it is written, in one voice or one for each speaker (`S1`)."""

    text: str | Iterable[str]
    voice: str | Mapping[str, str] | None = None
    seed: int | None = None
    continue_from: str | None = None
    pace: float = 1.0


class Speech(Generic[T]):
    """A speech under way: iterate over it once to have what is made of it. Closing it breaks it off."""

    def __init__(
        self, id: str, session: Session, first: T, rest: AsyncIterator[T], closed: Callable[[], None]
    ) -> None:
        self.id, self._session, self._first, self._rest, self._closed = id, session, first, rest, closed

    async def __aiter__(self) -> AsyncIterator[T]:
        yield self._first
        async for made in self._rest:
            yield made

    def close(self, reason: str = "Nobody listens any more.") -> None:
        self._session.cancel(Cancelled(reason))
        self._closed()


class Studio:
    """Shared by all requests; used from one event loop."""

    def __init__(
        self,
        speaker: Speaker,
        engine: Engine,
        name: str,
        shelf: VoiceShelf,
        places: int,
        limits: Limits,
        blocks: Blocks | None = None,
    ) -> None:
        """`name` is what the model is called, `places` how many may speak at once; the engine speaks in these `blocks`."""
        self.speaker, self.name, self.shelf, self.limits = speaker, name, shelf, limits
        self.engine, self.sample_rate = engine, speaker.codec.sample_rate
        self._sampling = speaker.sampling(blocks)
        self.admission = Admission(places, limits.queue, limits.patience)
        self.metrics = Metrics(self.admission)
        self._threads = ThreadPoolExecutor(places, "speech")
        self._said: OrderedDict[str, Recital] = OrderedDict()
        self._unread: set[str] = set()

    async def speak(self, order: Order, make: Callable[[str, Recital], Iterator[T]]) -> Speech[T]:
        """Wait for a place and for the first that `make` makes of the speech, given its id and the recital.

        Raises Refusal for what cannot be spoken, and RosellaError where speaking fails.
        """
        began, voice, seed = monotonic(), *self._voice(order)
        if len(self._unread) >= self.limits.unread:
            raise self.admission.busy()
        ticket = await self.admission.enter()
        id, session = f"speech_{uuid.uuid4().hex}", Session(self.engine, self.speaker)

        def spoken() -> Iterator[T]:
            with session:
                before = voice.said if isinstance(voice, Recital) else voice
                recital = Recital(session, order.text, before, seed, None, self._sampling, order.pace)
                yield from make(id, recital)
                self._remember(id, recital)
                self.metrics.audio.inc(recital.frames / self.speaker.codec.frame_rate)

        delivery = Delivery(self._threads, spoken(), lambda: self.admission.leave(ticket))
        pieces = aiter(delivery)
        try:
            with refusing("input"):
                first = await anext(pieces)
        except StopAsyncIteration:
            raise _failed("The model ended at once and said nothing: try another seed.") from None
        except RosellaError as error:
            raise _failed(str(error)) from error
        except BaseException:
            session.cancel(Cancelled("Nobody listens any more."))
            raise
        self.metrics.first_audio.observe(monotonic() - began)
        self._unread.add(id)
        return Speech(id, session, first, pieces, lambda: self._unread.discard(id))

    def close(self) -> None:
        """Once nobody speaks any more."""
        self._threads.shutdown()
        self.engine.close()

    def _voice(self, order: Order) -> tuple[Voices | Recital | None, int]:
        """What the speech begins in, and its seed: that of a voice which the model has of its own, unless it is said."""
        if order.continue_from is not None:
            return self._earlier(order.continue_from), order.seed or 0
        named = order.voice if isinstance(order.voice, Mapping) else {"": order.voice}
        found = {who: find(self.shelf, name) for who, name in named.items() if name is not None}
        saved = {who: voice for who, voice in found.items() if not isinstance(voice, int)}
        own = sum(voice for voice in found.values() if isinstance(voice, int))
        return saved.get("", saved or None), own if order.seed is None else order.seed

    def _earlier(self, id: str) -> Recital:
        if id not in self._said:
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"There is no speech {id[:64]!r} to go on from (the last {REMEMBERED} are kept): leave continue_from out.",
                param="continue_from",
                code="speech_not_found",
            )
        return self._said[id]

    def _remember(self, id: str, said: Recital) -> None:
        self._said[id] = said
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)


def _failed(sentence: str) -> Refusal:
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, sentence)
