"""Who may speak, who waits, who is refused."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest

from rosella.serve.admission import Admission
from rosella.web.faults import Refusal


def test_who_comes_while_all_speak_waits_in_the_order_of_coming():
    async def scene() -> list[str]:
        admission, order = Admission(1, 2, 60), []
        first = await admission.enter()

        async def come(name: str) -> None:
            ticket = await admission.enter()
            order.append(name)
            admission.leave(ticket)

        comers = [asyncio.create_task(come(name)) for name in ("second", "third")]
        await asyncio.sleep(0)
        assert (admission.speaking, admission.waiting, order) == (1, 2, [])
        admission.leave(first)
        await asyncio.gather(*comers)
        assert (admission.speaking, admission.waiting) == (0, 0)
        return order

    assert asyncio.run(scene()) == ["second", "third"]


def test_who_finds_the_queue_full_is_refused_at_once_and_told_when_to_come_again():
    async def scene() -> Refusal:
        admission = Admission(1, 0, 60)
        await admission.enter()
        with pytest.raises(Refusal) as refused:
            await admission.enter()
        return refused.value

    refusal = asyncio.run(scene())
    assert refusal.status == HTTPStatus.TOO_MANY_REQUESTS and int(refusal.headers["Retry-After"]) >= 1


def test_who_would_wait_too_long_is_refused_at_once():
    async def scene() -> None:
        admission = Admission(1, 100, 3)
        ticket = await admission.enter()
        waiting = [
            asyncio.create_task(admission.enter()) for _ in range(3)
        ]  # a speech takes a second, as it looks
        await asyncio.sleep(0)
        with pytest.raises(Refusal):
            await asyncio.wait_for(admission.enter(), 1)
        for task in waiting:
            admission.leave(ticket)
            ticket = await task

    asyncio.run(scene())


def test_who_waited_too_long_is_refused_and_holds_no_place():
    async def scene() -> None:
        admission = Admission(1, 1, 1)  # as long as a speech takes, as it looks
        ticket = await admission.enter()
        with pytest.raises(Refusal):
            await admission.enter()
        admission.leave(ticket)
        assert (admission.speaking, admission.waiting) == (0, 0)

    asyncio.run(scene())


@pytest.mark.parametrize("too_late", [False, True], ids=["while waiting", "as the turn comes"])
def test_who_leaves_the_queue_takes_no_place(too_late):
    async def scene() -> None:
        admission = Admission(1, 1, 60)
        ticket = await admission.enter()
        waiting = asyncio.create_task(admission.enter())
        await asyncio.sleep(0)
        if too_late:
            admission.leave(ticket)
        waiting.cancel()
        done = (await asyncio.gather(waiting, return_exceptions=True))[0]
        if not isinstance(done, BaseException):  # it was there in time after all
            admission.leave(done)
        if not too_late:
            admission.leave(ticket)
        assert (admission.speaking, admission.waiting) == (0, 0)

    asyncio.run(scene())
