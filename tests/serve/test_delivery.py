"""What a thread makes arrives in order, with its end, however it ends."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rosella.serve.delivery import Delivery


def deliver(pieces, took=None):
    async def scene():
        done = asyncio.Event()
        with ThreadPoolExecutor(1) as threads:
            delivery = Delivery(threads, pieces, done.set)
            heard = []
            try:
                async for piece in delivery:
                    heard.append(piece)
            finally:
                await asyncio.wait_for(done.wait(), 10)
                if took is not None:
                    took.extend(heard)
        return heard

    return asyncio.run(scene())


def test_pieces_come_in_order_and_then_the_end():
    assert deliver(iter("abc")) == ["a", "b", "c"]


def test_what_ends_the_thread_is_raised_behind_what_it_made():
    def failing():
        yield "a"
        raise RuntimeError("broke")

    took: list[str] = []
    with pytest.raises(RuntimeError, match="broke"):
        deliver(failing(), took)
    assert took == ["a"]


def test_a_listener_who_leaves_does_not_hold_the_thread():
    ended = threading.Event()

    def many():
        yield from range(1000)
        ended.set()

    async def scene():
        with ThreadPoolExecutor(1) as threads:
            async for _ in Delivery(threads, many(), lambda: None):
                break

    asyncio.run(scene())
    assert ended.wait(10)
