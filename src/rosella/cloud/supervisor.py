"""Looks after a pod until it has ended: looks, decides, writes down what it will do, does it, and looks again.

Killed at any point it loses nothing: whoever comes next sees what is there and goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rosella.cloud.acts import Act, Create, Delete, Prepare, Say, Seen, Start, Stop
from rosella.cloud.boot import at_boot
from rosella.cloud.changes import denied, end, given_up, prepared, refused, started, stopped, unprepared
from rosella.cloud.crew import Crew
from rosella.cloud.decide import FOR_EVER, NO_QUOTA, decide, zones
from rosella.cloud.hosts import BadHost, NotReady
from rosella.cloud.pod import Pod
from rosella.cloud.slices import POD_LABEL, Cloud, NoQuota, Refused, SignIn, Slice, Unreachable, Wish, of_pod
from rosella.cloud.state import LEASE, Attempt, Away, Held, Overtaken, PodState, Request, Store
from rosella.cloud.switch import Switch
from rosella.errors import RosellaError, UserError, explain
from rosella.failpoints import failpoint

ROUND = 15.0
"""Seconds between two looks."""
BEAT = 30.0
"""Seconds between two signs of life while one act takes long."""

Talk = Callable[[str], None]


class Supervisor:
    """Of one pod, from `take` on; `crew` speaks to the hosts, which `keys` open to people.

    `runs` hears in every round what runs.
    """

    def __init__(
        self,
        pod: Pod,
        cloud: Cloud,
        crew: Crew,
        store: Store,
        say: Talk,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        keys: str = "",
        runs: Callable[[Slice, Attempt], None] = lambda slice, attempt: None,
    ) -> None:
        self.pod, self._cloud, self._crew, self._store = pod, cloud, crew, store
        self._say, self._clock, self._sleep, self._keys = say, clock, sleep, keys
        self._runs = runs
        self._troubles: set[str] = set()
        self._overtaken = threading.Event()
        self.state = PodState({})

    def take(self, state: PodState, after: Held | None) -> None:
        """Become the one who looks after the pod, after what was seen last; raises Overtaken where another was faster."""
        self._store.take(after, state)
        self.state = state

    def run(self) -> PodState:
        """Until the pod has ended and nothing of it is left. Raises SignIn and Overtaken, which leave all as it is."""
        with self._showing_life():
            while not self.state.ended:
                self._round()
                if not self.state.ended:
                    self._sleep(ROUND)
        return self.state

    def take_down(self) -> None:
        """Have the pod end because a person wants it; written down with the next round."""
        self.state = end(self.state, "asked", "It is taken down.", self._clock())

    def _round(self) -> None:
        try:
            seen = self._look()
            state, acts = decide(self.pod, self.state, seen)
            self._keep(state)
            for act in acts:
                self._do(act)
        except Away as trouble:
            self._note("the bucket", str(trouble))
        else:
            self._forget("the bucket")

    def _keep(self, state: PodState) -> None:
        if self._overtaken.is_set():
            raise Overtaken(
                "Somebody else looks after this pod now; this one stops and leaves everything as it is."
            )
        self._store.commit(state)
        self.state = state

    # Looking

    def _look(self) -> Seen:
        slices: list[Slice] = []
        answered: set[str] = set()
        for zone in zones(self.pod, self.state):
            try:
                slices += of_pod(self._cloud.slices(zone), self.pod.name)
                answered.add(zone)
                self._forget(zone)
            except (Unreachable, Refused) as trouble:
                self._note(zone, f"{trouble} It is asked again.")
        late = frozenset(each.name for each in self.state.requests if self._may_come(each, slices, answered))
        now = self._clock()
        chosen = next(
            (each for each in slices if each.name == self.state.chosen and each.state == "active"), None
        )
        if chosen is None:
            return Seen(now, tuple(slices), frozenset(answered), late)
        if self.state.prepared == chosen.name:
            self._crew.beat(chosen)
        attempt = self.state.attempt
        if attempt and attempt.begun:
            self._runs(chosen, attempt)
        hosts = tuple(self._crew.look(chosen, attempt)) if attempt else None
        training = self._crew.training(chosen) if attempt and self.pod.run else None
        return Seen(now, tuple(slices), frozenset(answered), late, hosts, training)

    def _may_come(self, request: Request, slices: list[Slice], answered: set[str]) -> bool:
        """Whether a request that is not listed may still bring a slice; where nobody can tell, it may."""
        if request.zone not in answered or any(each.name == request.name for each in slices):
            return False
        try:
            return self._cloud.late(request.name, request.zone, request.asked)
        except Unreachable:
            return True

    # Doing

    def _do(self, act: Act) -> None:
        """Do one thing. What fails for a while is seen and done again in the next round."""
        if isinstance(act, Say):
            self._say(act.sentence)
            return
        what, where = type(act).__name__.lower(), _where(act)
        failpoint("before-act", what)
        try:
            self._carry_out(act)
            self._forget(where)
        except (SignIn, Overtaken, Away):
            raise
        except (NotReady, Unreachable) as trouble:
            self._note(where, f"{trouble}")
            if isinstance(act, Start):
                self._keep(unprepared(self.state))
        except BadHost as trouble:
            self._say(f"{trouble}: the slice is left, and another is asked for.")
            self._keep(given_up(self.state, self._clock()))
        except Exception as trouble:
            if isinstance(act, Delete) or (
                isinstance(trouble, RosellaError) and not isinstance(trouble, UserError)
            ):
                self._note(where, explain(trouble)[0])
            else:
                self._end_badly(trouble)
        failpoint("after-act", what)

    def _carry_out(self, act: Create | Delete | Prepare | Start | Stop) -> None:
        match act:
            case Create(request):
                self._create(request)
            case Delete(name, zone):
                self._cloud.delete(name, zone)
            case Prepare(slice):
                self._crew.prepare(slice)
                self._keep(prepared(self.state))
            case Start(slice, attempt):
                self._crew.start(slice, attempt)
                self._keep(started(self.state))
                self._say(f"The command runs on {len(slice.hosts)} hosts.")
            case Stop(slice, attempt):
                self._crew.stop(slice, attempt)
                self._keep(stopped(self.state))

    def _create(self, request: Request) -> None:
        wish = Wish(
            request.name,
            request.zone,
            request.accelerator,
            self.pod.image(request.accelerator),
            self.pod.spot,
            {POD_LABEL: self.pod.name},
            startup=at_boot(
                Switch(self.pod.orphan_minutes, self.pod.project, self.pod.grace_seconds),
                request.name,
                request.zone,
            ),
            metadata={"ssh-keys": self._keys} if self._keys else {},
            network=self.pod.network,
            subnetwork=self.pod.subnetwork,
            external_addresses=not self.pod.ssh.internal,
            service_account=self.pod.service_account,
        )
        now = self._clock()
        try:
            self._cloud.create(wish)
        except NoQuota as trouble:
            self._note(f"{request.zone} {request.accelerator}", str(trouble))
            self._keep(refused(self.state, request, now, now + NO_QUOTA))
        except Refused as trouble:
            self._note(f"{request.zone} {request.accelerator}", str(trouble))
            self._keep(denied(self.state, request, FOR_EVER))

    def _end_badly(self, trouble: Exception) -> None:
        """What nobody can make good ends the pod, so that it costs no more."""
        sentence, _ = explain(trouble)
        self._say(sentence)
        outcome = "mistaken" if isinstance(trouble, UserError) else "failed"
        self._keep(end(self.state, outcome, sentence, self._clock()))

    # Telling

    def _note(self, about: str, sentence: str) -> None:
        """Say a trouble once, until it is over."""
        if about not in self._troubles:
            self._troubles.add(about)
            self._say(sentence)

    def _forget(self, about: str) -> None:
        self._troubles.discard(about)

    @contextmanager
    def _showing_life(self) -> Generator[None]:
        """Write now and then that somebody looks after the pod, also while an act takes minutes."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT):
                try:
                    self._store.renew()
                except Overtaken:
                    self._overtaken.set()
                    return
                except RosellaError:
                    pass

        beating = threading.Thread(target=beat, name="signs of life", daemon=True)
        beating.start()
        try:
            yield
        finally:
            over.set()
            beating.join()


def wait_for_silence(
    store: Store, say: Talk, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Held | None:
    """What the pod's supervisor wrote last, once it has been silent for LEASE; None where there is no pod.

    Raises Overtaken, saying who it is, where it is not.
    """
    held = store.newest()
    if held is None or held.state.ended:
        return held
    silent = max(0.0, clock() - held.written)
    if silent >= LEASE:
        return held
    say(
        f"{held.who} looked after this pod {silent:.0f} s ago; whether it still does shows within {LEASE - silent:.0f} s."
    )
    sleep(LEASE - silent)
    now = store.newest()
    if now and now.number != held.number and not now.state.ended:
        raise Overtaken(
            f"{now.who} looks after this pod: stop it there first, or take it from there with --take."
        )
    return now


def _where(act: Create | Delete | Prepare | Start | Stop) -> str:
    name = (
        act.request.name
        if isinstance(act, Create)
        else act.name
        if isinstance(act, Delete)
        else act.slice.name
    )
    return f"{type(act).__name__} {name}"
