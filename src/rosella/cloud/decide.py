"""What a pod's supervisor does next, from what it wrote down and what it sees now: no clock, no network, no side effects.

Each round begins from what the cloud lists, so a round may be lost, or repeated by somebody else, at any point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rosella.cloud.acts import Act, Create, Delete, Prepare, Say, Seen, Start, Stop
from rosella.cloud.budget import reckon, spent, with_farewell
from rosella.cloud.changes import backoff, doom, end, given_up, kind_of, lose_one, started, stopped
from rosella.cloud.launch import HostState
from rosella.cloud.pod import Pod
from rosella.cloud.slices import Slice, name_of
from rosella.cloud.state import Attempt, Outcome, PodState, Request
from rosella.errors import MISTAKEN

CONFIRMED = 30.0
"""Seconds for which a slice must have been missing to count as gone: one list may have a hole."""
ASK_AGAIN = 60.0
"""Seconds after which a request that is not listed is made again; the name is the same, so there is still one."""
NO_QUOTA = 3600.0
"""Seconds for which a zone without quota is left out."""
FOR_EVER = 1e12
STUCK = 1800.0
"""Seconds after which a person is told of what was deleted and does not go."""
UNWELL = 900.0
"""Seconds after which a slice that is not whole, or has a host that says nothing, is given up."""
UNREADY = 1800.0
"""Seconds in which every host must have installed what it needs and begun; it takes some minutes."""
HALF = 120.0
"""Seconds after which a command that ended on some hosts is stopped on the others."""
STEADY = 600.0
"""Seconds after which a command that runs counts as getting on, where no metrics tell."""
TRIES = 3
"""Failures of the command without getting on, after which the pod ends."""
TOLD_TO_STOP = (129, 130, 143)
"""Exit codes of a training that was told to stop, as before a preemption: it goes on."""


def zones(pod: Pod, state: PodState) -> list[str]:
    """All that may hold something of the pod: those it names, and those it once asked."""
    asked = [request.zone for request in state.requests]
    billed = [bill.zone for bill in state.bills if bill.open]
    return list(dict.fromkeys([*pod.zones, *asked, *billed]))


def decide(pod: Pod, state: PodState, seen: Seen) -> tuple[PodState, tuple[Act, ...]]:
    """The state to write down first, and what to do then, in this order."""
    this = _Round(pod, state, seen)
    this.take_stock()
    if this.state.ending is None:
        this.check_budget()
    if this.state.ending is None:
        this.give_up_lost()
        this.choose()
        this.train()
    if this.state.ending is None:
        this.ask()
    else:
        this.end()
    this.sweep()
    return this.state, tuple(this.acts)


class _Round:
    def __init__(self, pod: Pod, state: PodState, seen: Seen) -> None:
        self.pod, self.state, self.seen, self.now = pod, state, seen, seen.now
        self.listed = {each.name: each for each in seen.slices}
        self.acts: list[Act] = []

    @property
    def accelerator(self) -> str:
        return self.pod.accelerators[self.state.size % len(self.pod.accelerators)]

    @property
    def chosen(self) -> Slice | None:
        """What the cloud says of the chosen slice, if it says anything."""
        return self.listed.get(self.state.chosen or "")

    def say(self, sentence: str, once: str = "") -> None:
        if once and once in self.state.told:
            return
        if once:
            self.change(told=(*self.state.told, once))
        self.acts.append(Say(sentence))

    def change(self, **values: object) -> None:
        self.state = replace(self.state, **values)  # type: ignore[arg-type]

    def take_stock(self) -> None:
        """Bills, what is listed and what is gone, and whether the training got on."""
        seen, state = self.seen, self.state
        alone = self.pod.orphan_minutes * 60
        bills = reckon(state.bills, seen.slices, seen.answered, state.looked, state.prices, self.now, alone)
        self.change(bills=bills, looked={**state.looked, **dict.fromkeys(seen.answered, self.now)})
        stray = [
            Request(each.name, each.zone, each.accelerator, self.now, listed=True, doomed=self.now)
            for each in seen.slices
            if not each.adopted and each.name not in {request.name for request in state.requests}
        ]
        looked = [(request, self._looked_at(request)) for request in (*state.requests, *stray)]
        self.change(requests=tuple(now for _, now in looked if now))
        if any(before.wanted and not now and before.name != state.chosen for before, now in looked):
            self.state = lose_one(self.state, self.now)
        if seen.training and (seen.training.saved or 0) > (state.training.saved or 0):
            self.change(tries=0, losses=0)
        if seen.training:
            self.change(training=seen.training)

    def _looked_at(self, request: Request) -> Request | None:
        """None once it is proven gone."""
        if request.zone not in self.seen.answered:
            return request
        if request.name in self.listed:
            return replace(request, listed=True, missing=None)
        missing = self.now if request.missing is None else request.missing
        gone = self.now - missing >= CONFIRMED and request.name not in self.seen.late
        return None if gone and (request.listed or not request.wanted) else replace(request, missing=missing)

    def check_budget(self) -> None:
        alone = self.pod.orphan_minutes * 60
        if with_farewell(self.state.bills, self.now, alone, self.pod.grace_seconds).exceeds(self.pod.budget):
            paid = spent(self.state.bills, self.now, alone)
            money = "" if paid.money is None else f"${paid.money:,.2f} and "
            why = f"The budget is used up: {money}{paid.seconds / 3600:,.1f} h of slices"
            self._end("budget", f"{why}, with what saving and deleting will take kept back.")

    def _end(self, outcome: Outcome, why: str) -> None:
        self.state = end(self.state, outcome, why, self.now)
        self.say(why)

    def give_up_lost(self) -> None:
        """Requests that will bring nothing any more, and a slice that is no longer what it was."""
        broken = [
            self.listed[each.name]
            for each in self.state.requests
            if each.wanted and each.name in self.listed and self._hopeless(self.listed[each.name])
        ]
        for each in broken:
            if each.lacks_quota:
                self.change(
                    closed={**self.state.closed, kind_of(each.zone, each.accelerator): self.now + NO_QUOTA}
                )
        losers = [each for each in broken if each.name != self.state.chosen]
        if losers:
            self.state = lose_one(doom(self.state, [each.name for each in losers], self.now), self.now)
            for each in losers:
                self.say(f"The request in {each.zone} came to nothing ({each.said}); it is withdrawn.")
        if self.state.chosen and (why := self._chosen_lost()):
            self._give_up(why)

    def _hopeless(self, told: Slice) -> bool:
        """Whether a slice will not become whole: by its state, or since it has been billed for long and is not yet."""
        billed = next((self.now - bill.since for bill in self.state.bills if bill.name == told.name), 0.0)
        return _broken(told) or (told.name != self.state.chosen and not _whole(told) and billed >= STUCK)

    def _chosen_lost(self) -> str | None:
        """Why the chosen slice counts as lost."""
        name, told = self.state.chosen, self.chosen
        if told:
            return f"was lost ({told.said})" if _broken(told) else None
        asked = self.state.requests if not self.pod.adopt else ()
        if any(each.name == name for each in asked) or self._zone_of_chosen() not in self.seen.answered:
            return None
        if self.pod.adopt and not self._ill_for(CONFIRMED):
            return None
        return "is gone"

    def _zone_of_chosen(self) -> str:
        return next(
            (bill.zone for bill in self.state.bills if bill.name == self.state.chosen), self.pod.zones[0]
        )

    def _give_up(self, why: str) -> None:
        self.change(preemptions=self.state.preemptions + 1)
        name = self.state.chosen
        if self.pod.adopt:
            self._end("failed", f"The adopted slice {name} {why}; Rosella makes no other in its place.")
            return
        self._stop_what_may_run()
        self.state = given_up(self.state, self.now)
        self.say(f"{name} {why}; another slice is asked for{self._when()}.")

    def _stop_what_may_run(self) -> None:
        """Machines that are still there may train on, beside those that take their place."""
        told, attempt = self.chosen, self.state.attempt
        if told and told.billed and told.hosts and attempt:
            self.acts.append(Stop(told, attempt))

    def _when(self) -> str:
        wait = self.state.again - self.now
        return f" in {wait / 60:.0f} min" if wait >= 30 else ""

    def choose(self) -> None:
        """Of the slices that are whole, the first by the order of the wishes; the others have lost."""
        if self.state.chosen:
            return
        whole = [
            (
                self.pod.zones.index(each.zone) if each.zone in self.pod.zones else len(self.pod.zones),
                each.name,
            )
            for each in self.state.requests
            if each.wanted and _whole(self.listed.get(each.name))
        ]
        if not whole:
            return
        name = min(whole)[1]
        losers = [each.name for each in self.state.requests if each.wanted and each.name != name]
        self.state = replace(doom(self.state, losers, self.now), chosen=name, unwell=None, attempt=None)
        got = self.listed[name]
        self.say(f"{got.accelerator or 'A slice'} in {got.zone} is there: {len(got.hosts)} hosts.")

    def train(self) -> None:
        """Bring the command to run on all hosts of the chosen slice, and heed how it ends."""
        told = self.chosen
        if not self.state.chosen or self._zone_of_chosen() not in self.seen.answered:
            return
        if not told or told.state != "active":
            self._wait(UNWELL, "is not whole")
        elif self.state.prepared != told.name:
            if not self._gives_up_unready():
                self.acts.append(Prepare(told))
        elif self.state.trains:
            self._look_after(told)
        else:
            self.change(unwell=None)
            self.say(
                f"{told.name} is ready and runs nothing: `rosella tpu ssh` leads there.",
                once=f"ready {told.name}",
            )

    def _look_after(self, told: Slice) -> None:
        attempt, hosts = self.state.attempt, self.seen.hosts
        if attempt is None:
            self._start(told)
        elif hosts is not None and {host.state for host in hosts} == {"running"}:
            self.state = started(self.state)
            if self.now - attempt.since >= STEADY:
                self.change(losses=0)
        elif hosts is None or any(host.state == "unanswered" for host in hosts):
            silent = [str(host.host.number) for host in hosts or () if host.state == "unanswered"]
            self._wait(UNWELL, f"has hosts that say nothing ({', '.join(silent) or 'all'})")
        elif any(host.state == "running" for host in hosts):
            if self._ill_for(HALF) or any(host.state == "never" for host in hosts):
                self.acts.append(Stop(told, attempt))
        elif all(host.state == "ended" for host in hosts):
            self._ended(told, hosts)
        elif not self._gives_up_unready():
            self._start(told)

    def _gives_up_unready(self) -> bool:
        """Whether a slice was given up whose hosts never got ready."""
        if not self._ill_for(UNREADY):
            return False
        self._give_up("got nothing ready")
        return True

    def _start(self, told: Slice) -> None:
        if self.now < self.state.again:
            return
        number = self.state.jobs + 1
        attempt = Attempt(f"{self.pod.name}-{number}", told.name, self.now)
        self.change(jobs=number, attempt=attempt)
        self.acts.append(Start(told, attempt))

    def _ended(self, told: Slice, hosts: Sequence[HostState]) -> None:
        codes = [host.code for host in hosts]
        self.change(unwell=None)
        if all(code == 0 for code in codes):
            self._end("done", "The command has done its work on all hosts.")
        elif MISTAKEN in codes:
            self._end("mistaken", f"The command was wrongly asked for: {_last_words(hosts, MISTAKEN)}")
        elif any(code in TOLD_TO_STOP for code in codes):
            self.say("The command was told to stop; it goes on.")
            self._retry(told, self.state.losses + 1, losses=self.state.losses + 1)
        elif self.state.tries + 1 > TRIES:
            self._end(
                "failed", f"The command failed {TRIES + 1} times at the same step: {_last_words(hosts)}"
            )
        else:
            self.say(f"The command failed ({_last_words(hosts)}); it is tried again.")
            self._retry(told, self.state.tries + 1, tries=self.state.tries + 1)

    def _retry(self, told: Slice, times: int, **count: int) -> None:
        self.change(attempt=None, again=self.now + backoff(times), **count)
        self._start(told)

    def _ill_for(self, seconds: float) -> bool:
        """Whether something has been wrong with the chosen slice for so long; from now on it has been, if it was not."""
        if self.state.unwell is None:
            self.change(unwell=self.now)
        return self.now - (self.state.unwell or 0) >= seconds

    def _wait(self, seconds: float, why: str) -> None:
        if self._ill_for(seconds):
            self._give_up(f"{why} for {seconds / 60:.0f} min")

    def ask(self) -> None:
        """Have a request in every zone, while nothing is chosen."""
        if self.state.chosen or self.pod.adopt:
            return
        self._lose_patience()
        if self.now < self.state.again or self._still_costs():
            return
        for zone in self.pod.zones:
            if self.state.closed.get(kind_of(zone, self.accelerator), 0.0) <= self.now:
                self._ask_in(zone)
        if not any(request.wanted for request in self.state.requests):
            self._nowhere()

    def _still_costs(self) -> bool:
        """Whether what is not wanted is billed and not yet being deleted: there is never a slice too many."""
        doomed = (self.listed.get(each.name) for each in self.state.requests if not each.wanted)
        return any(each and each.billed and each.state != "deleting" for each in doomed)

    def _ask_in(self, zone: str) -> None:
        for request in self.state.requests:
            if request.wanted and request.zone == zone:
                if (
                    request.missing is not None
                    and not request.listed
                    and self.now - request.asked >= ASK_AGAIN
                ):
                    self._create(replace(request, asked=self.now))
                return
        number = self.state.generation + 1
        self.change(generation=number)
        if self.state.size_since is None:
            self.change(size_since=self.now)
            self.say(f"{self.accelerator} is asked for in {', '.join(self.pod.zones)}.")
        self._create(Request(name_of(self.pod.name, number, zone), zone, self.accelerator, self.now))

    def _create(self, request: Request) -> None:
        others = [each for each in self.state.requests if each.name != request.name]
        self.change(requests=(*others, request))
        self.acts.append(Create(request))

    def _lose_patience(self) -> None:
        """Ask for the next size where this one does not come."""
        since, patience = self.state.size_since, self.pod.patience_minutes * 60
        if since is None or self.now - since < patience or len(self.pod.accelerators) == 1:
            return
        coming = [self.listed.get(each.name) for each in self.state.requests if each.wanted]
        if not any(each and each.state in ("provisioning", "active") for each in coming):
            self._next_size(f"did not come within {self.pod.patience_minutes:g} min")

    def _next_size(self, why: str) -> None:
        before = self.accelerator
        waiting = [each.name for each in self.state.requests if each.wanted]
        self.state = replace(doom(self.state, waiting, self.now), size=self.state.size + 1, size_since=None)
        self.say(f"{before} {why}: {self.accelerator} is asked for instead.")

    def _nowhere(self) -> None:
        """No zone may be asked for this size now."""
        closed = [
            self.state.closed.get(kind_of(zone, each), 0.0)
            for each in self.pod.accelerators
            for zone in self.pod.zones
        ]
        if all(until >= FOR_EVER for until in closed):
            self._end(
                "mistaken",
                f"No zone gives {' or '.join(self.pod.accelerators)} as it was asked for: see above.",
            )
        elif any(until <= self.now for until in closed):
            self._next_size("is granted nowhere")
        else:
            minutes = (min(closed) - self.now) / 60
            self.say(
                f"No zone grants a slice; they are asked again in {minutes:.0f} min.",
                once=f"nowhere {min(closed):.0f}",
            )

    def end(self) -> None:
        """Stop the command, delete everything, and see that it is gone."""
        ending = self.state.ending
        assert ending
        told, attempt = self.chosen, self.state.attempt
        unknown = self.state.chosen and not told and self._zone_of_chosen() not in self.seen.answered
        if unknown and self.now - ending.since < UNWELL:
            return
        over = self.seen.hosts is not None and not any(
            host.state in ("running", "unanswered") for host in self.seen.hosts
        )
        if not ending.stopped and told and told.state == "active" and attempt and not over:
            self.acts.append(Stop(told, attempt))
            return
        self.state = stopped(self.state)
        self.state = replace(
            doom(self.state, [each.name for each in self.state.requests], self.now), chosen=None
        )
        here = any(not each.adopted for each in self.seen.slices)
        if not (here or self.state.requests or self._silent_zones()):
            assert self.state.ending
            self.change(ending=replace(self.state.ending, proven=self.now))
            asked = [zone for zone in zones(self.pod, self.state) if zone in self.seen.answered]
            self.say(f"Nothing of {self.pod.name} is left in {', '.join(asked)}.")

    def _silent_zones(self) -> set[str]:
        """Zones that may hold something and do not tell. One that never did was asked for nothing that it gave."""
        return (set(zones(self.pod, self.state)) & set(self.state.looked)) - self.seen.answered

    def sweep(self) -> None:
        """Delete what is not wanted, before anything else is done but saying and saving."""
        stop = [act for act in self.acts if isinstance(act, Say | Stop)]
        rest = [act for act in self.acts if not isinstance(act, Say | Stop)]
        doomed = [each for each in self.state.requests if not each.wanted and each.name in self.listed]
        deleted = [Delete(e.name, e.zone) for e in doomed if self.listed[e.name].state != "deleting"]
        for each in doomed:
            if self.now - (each.doomed or 0.0) >= STUCK:
                self.acts.clear()
                self.say(_stuck(self.pod.project, each, self.listed[each.name]), once=f"stuck {each.name}")
                stop += [act for act in self.acts if isinstance(act, Say)]
        self.acts = [*stop, *deleted, *rest]


def _broken(told: Slice) -> bool:
    return told.state in ("failed", "suspended", "lost", "deleting")


def _whole(told: Slice | None) -> bool:
    return told is not None and told.state == "active" and told.healthy and bool(told.hosts)


def _last_words(hosts: Iterable[HostState], code: int | None = None) -> str:
    """The last line that a host said which ended so, or any that did not end well."""
    failed = [host for host in hosts if (host.code != 0 if code is None else host.code == code)]
    lines = failed[0].tail.decode("utf-8", "replace").strip().splitlines()
    how = f"exit code {failed[0].code}" if failed[0].code is not None else "killed"
    return f"host {failed[0].host.number}, {how}: {lines[-1] if lines else 'it said nothing'}"


def _stuck(project: str, request: Request, told: Slice) -> str:
    command = f"gcloud compute tpus queued-resources delete {request.name} --force --zone {request.zone} --project {project}"
    return (
        f"{request.name} was deleted half an hour ago, is still there ({told.said}) and may cost money: try `{command}`, "
        f"or https://console.cloud.google.com/compute/tpus?project={project}"
    )
