"""Bodies that are too long."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient

from rosella.web.bodies import limited
from rosella.web.faults import install


def test_a_body_that_is_too_long_is_refused_before_it_is_held():
    routes, held = APIRouter(route_class=limited(1 << 20)), []

    @routes.post("/")
    async def post(request: Request) -> int:
        held.append(await request.body())
        return len(held[-1])

    app = FastAPI()
    install(app, "post to /")
    app.include_router(routes)
    client = TestClient(app)

    def unannounced():
        for _ in range(3):
            yield bytes(1 << 19)

    assert client.post("/", content=bytes(1 << 20)).json() == 1 << 20
    for body in (bytes((1 << 20) + 1), unannounced()):
        answer = client.post("/", content=body)
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "body_too_large"
    assert len(held) == 1
