"""A stand-in for tpu.googleapis.com: version 2 of its REST over real HTTP, for the real client, with a world behind it.

As a process of its own: `python -m cloud.fake_google DIRECTORY` with tests/ on the path. It writes key.json there, a
service account, and prints the environment of programs that are to speak with it. Its clock runs `--speed` times as
fast as ours. POST /world with {"do": "preempt", "with": ["NAME"]} does to its world what a test would, GET /world tells
what became of it.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.cloud.tpu_v2.types import Node, QueuedResourceState

from cloud.fake_faults import Fault, Verb
from cloud.fake_world import Clock, FakeNode, FakeOperation, FakeRequest, Refusal, World, Zone

Answer = dict[str, Any]
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
"""Where a program on a host asks for a token."""
_PATH = re.compile(r"/v2/projects/([^/]+)/locations/([^/]+)/(queuedResources|nodes|operations)(?:/([^/:]+))?")
_VERBS: dict[tuple[str, str, bool], Verb] = {
    ("POST", "queuedResources", False): "create-request",
    ("DELETE", "queuedResources", True): "delete-request",
    ("GET", "queuedResources", True): "get-request",
    ("GET", "queuedResources", False): "list-requests",
    ("GET", "nodes", True): "get-node",
    ("GET", "nodes", False): "list-nodes",
    ("PATCH", "nodes", True): "update-node",
    ("DELETE", "nodes", True): "delete-node",
    ("GET", "operations", False): "list-operations",
}
_STATUS = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}


class FakeGoogle:
    """Serves a world at `address` while it is entered."""

    def __init__(self, world: World, port: int = 0) -> None:
        self.world = world
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", port), type("Handler", (_Handler,), {"google": self})
        )
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeGoogle:
        threading.Thread(target=lambda: self._server.serve_forever(0.02), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def sign_in(self, directory: Path) -> dict[str, str]:
        """The environment of a program that speaks with this one instead of Google, with its key in `directory`."""
        key = directory / "key.json"
        key.write_text(json.dumps(service_account(self.address, self.world.project)))
        return {
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU": self.address,
            "NO_GCE_CHECK": "true",
        }


def service_account(address: str, project: str) -> Answer:
    """What stands in a service account's key file."""
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "1",
        "private_key": _private_key(),
        "client_email": f"trainer@{project}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{address}/token",
    }


@cache
def _private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class _Broken(Exception):
    """The connection ends without an answer; where it hangs, not before this server does."""

    def __init__(self, hangs: bool = False) -> None:
        super().__init__()
        self.hangs = hangs


class _Raw(Exception):
    """An answer that is not the API's."""

    def __init__(self, code: int, body: str) -> None:
        super().__init__(body)
        self.code, self.body = code, body


class _Handler(BaseHTTPRequestHandler):
    google: FakeGoogle
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_PATCH = do_GET

    def _serve(self) -> None:
        self.url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(self.url.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._send(200, json.dumps(self._route()).encode())
        except Refusal as refusal:
            error = {"code": refusal.code, "message": refusal.said, "status": refusal.status}
            self._send(refusal.code, json.dumps({"error": error}).encode(), refusal.headers)
        except _Raw as raw:
            self._send(raw.code, raw.body.encode())
        except _Broken as broken:
            self.close_connection = not broken.hangs or self.google.closing.wait()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        kind = "text/html" if body.startswith(b"<") else "application/json"
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _route(self) -> Answer:
        world = self.google.world
        if self.url.path in ("/token", METADATA):
            return self._token()
        if self.url.path == "/world":
            return _command(world, json.loads(self.body)) if self.command == "POST" else report(world)
        match = _PATH.fullmatch(self.url.path)
        verb = match and _VERBS.get((self.command, match[3], bool(match[4])))
        if not match or not verb:
            raise Refusal(404, "NOT_FOUND", f"Method {self.command} {self.url.path} not found.")
        name = match[4] or self.query.get("queuedResourceId", "")
        with world.lock:
            world.settle()
            self._check(match[1], match[2])
            fault = world.fault(verb, match[2], name)
            return self._with(fault, lambda: self._act(verb, match[2], name, fault))

    def _check(self, project: str, zone: str) -> None:
        world = self.google.world
        if self.headers.get("Authorization") != f"Bearer token-{world.token}":
            raise Refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if project != world.project:
            raise Refusal(403, "PERMISSION_DENIED", f"Permission denied on project {project}.")
        if zone not in world.zones:
            raise Refusal(404, "NOT_FOUND", f"Location {zone} is not found or access is unauthorized.")

    def _with(self, fault: Fault | None, act: Callable[[], Answer]) -> Answer:
        if fault is None or fault.kind in ("late", "partial"):
            return act()
        if fault.kind == "status":
            status = fault.status or 503
            state = fault.state or _STATUS.get(status, "UNAVAILABLE")
            raise Refusal(status, state, fault.said, fault.headers)
        if fault.kind == "garbage":
            raise _Raw(
                fault.status or 200, "<html>Welcome to the hotel: please sign in to use the network.</html>"
            )
        if fault.kind != "unheard":
            with suppress(Refusal):
                act()
        raise _Broken(fault.kind == "hang")

    def _act(self, verb: Verb, zone: str, name: str, fault: Fault | None) -> Answer:
        world = self.google.world
        match verb:
            case "create-request":
                late = fault.seconds if fault and fault.kind == "late" else 0
                return self._operation(world.create(zone, name, json.loads(self.body), late))
            case "delete-request":
                return self._operation(
                    world.delete_request(zone, name, self.query.get("force", "").lower() == "true")
                )
            case "delete-node":
                return self._operation(world.delete_node(zone, name))
            case "update-node":
                return self._operation(world.label(zone, name, json.loads(self.body).get("labels", {})))
            case "get-request":
                return self._shown(world.get("queuedResources", zone, name))
            case "get-node":
                return self._shown(world.get("nodes", zone, name))
            case "list-requests":
                return self._list("queuedResources", zone, world.requests, fault)
            case "list-nodes":
                return self._list("nodes", zone, world.nodes, fault)
            case _:
                return self._list("operations", zone, world.operations, fault)

    def _list(self, kind: str, zone: str, among: list[Any], fault: Fault | None) -> Answer:
        """A page from an offset: what is created or deleted between two pages shifts them, as it may."""
        if fault and fault.kind == "partial":
            return {kind: [], "unreachable": [zone]}
        world = self.google.world
        here = [each for each in among if each.zone == zone]
        start = int(self.query.get("pageToken") or 0)
        size = min(int(self.query.get("pageSize") or 1000), world.page_size)
        end = start + size
        page = {
            kind: [
                self._shown(each)
                for each in here[start:end]
                if kind != "nodes" or each.name not in world.hidden
            ]
        }
        world.between_pages()
        return page | ({"nextPageToken": str(end)} if end < len(here) else {})

    def _token(self) -> Answer:
        world = self.google.world
        fault = world.fault("token", "", "")
        if fault and fault.kind in ("unheard", "lost"):
            raise _Broken
        if not world.signed_in:
            raise _Raw(
                400, json.dumps({"error": "invalid_grant", "error_description": "Token has been revoked."})
            )
        return {"access_token": f"token-{world.token}", "expires_in": 3600, "token_type": "Bearer"}

    def _shown(self, each: FakeRequest | FakeNode | FakeOperation) -> Answer:
        if isinstance(each, FakeOperation):
            return self._operation(each)
        return self._request(each) if isinstance(each, FakeRequest) else self._node(each)

    def _enum(self, kind: Any, value: str | int) -> str | int:
        number = kind[value].value if isinstance(value, str) else value
        return number if "enum-encoding=int" in self.query.get("$alt", "") else value

    def _where(self, zone: str, kind: str, name: str) -> str:
        return f"projects/{self.google.world.project}/locations/{zone}/{kind}/{name}"

    def _request(self, each: FakeRequest) -> Answer:
        state: Answer = {"state": self._enum(QueuedResourceState.State, each.state)}
        if each.state == "FAILED":
            state["failedData"] = {"error": {"code": 8, "message": each.error}}
        parent = f"projects/{self.google.world.project}/locations/{each.zone}"
        return {
            "name": self._where(each.zone, "queuedResources", each.name),
            "createTime": _time(each.created),
            "tpu": {"nodeSpec": [{"parent": parent, "nodeId": each.node, "node": each.spec}]},
            "state": state,
            **({"spot": {}} if each.spot else {}),
        }

    def _node(self, each: FakeNode) -> Answer:
        request = self._where(each.zone, "queuedResources", each.request)
        endpoints = [
            {"ipAddress": inside, "port": 8470, "accessConfig": {"externalIp": outside}}
            for inside, outside in each.addresses
        ]
        return {
            **each.spec,
            "name": self._where(each.zone, "nodes", each.name),
            "state": self._enum(Node.State, each.state),
            "health": self._enum(Node.Health, each.health),
            "createTime": _time(each.created),
            "schedulingConfig": {"spot": each.spot},
            "apiVersion": self._enum(Node.ApiVersion, "V2"),
            **({"networkEndpoints": endpoints} if each.finished else {}),
            **({"queuedResource": request} if each.request else {}),
        }

    def _operation(self, each: FakeOperation) -> Answer:
        """As the service has it: metadata of a type that the client library does not bring."""
        metadata = {
            "@type": "type.googleapis.com/google.cloud.common.OperationMetadata",
            "createTime": _time(each.created),
            "target": each.target,
            "verb": each.verb,
            "cancelRequested": False,
            "apiVersion": "v2",
        }
        if each.ended is None:
            return {"name": each.name, "metadata": metadata, "done": False}
        return {"name": each.name, "metadata": metadata | {"endTime": _time(each.ended)}, "done": True}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def report(world: World) -> Answer:
    """What became of a world: what exists, what each name was billed, how many nodes there were at once."""
    nodes = [*world.past, *world.nodes]
    return {
        "now": world.settle(),
        "left": world.left(),
        "seconds": {each.name: world.seconds(each.name) for each in nodes},
        "most_at_once": world.most_at_once(),
        "ready": {each.name: each.addresses for each in world.ready()},
        "asked": world.asked[-100:],
    }


def _command(world: World, command: Answer) -> Answer:
    """{"do": a method of World, "with": [...]} or {"do": "fault", "with": [], "named": {...}}"""
    arguments, named = command.get("with", []), command.get("named", {})
    if command["do"] == "fault":
        world.faults.append(Fault(*arguments, **named))
    else:
        target = world.clock if command["do"] == "advance" else world
        getattr(target, command["do"])(*arguments, **named)
    return report(world)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--zones", nargs="+", default=["us-central2-b", "europe-west4-a"])
    parser.add_argument("--speed", type=float, default=60)
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    world = World(Clock(asked.speed), {zone: Zone() for zone in asked.zones})
    with FakeGoogle(world, asked.port) as google:
        print(json.dumps(google.sign_in(asked.directory)), flush=True)
        google.closing.wait()


if __name__ == "__main__":
    main()
