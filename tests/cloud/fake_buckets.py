"""A stand-in for storage.googleapis.com: of its JSON API over real HTTP what gcsfs asks of it, with answers that go wrong.

What gcsfs does with it was compared with Google's own stand-in (github.com/googleapis/storage-testbench, 0.45).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

Answer = dict[str, Any]
Trouble = Literal["refused", "lost", "gone"]
"""503 and nothing was done; done, and 503 all the same; done, and no answer."""
_PATH = re.compile(
    r"/(?:(?P<upload>upload/)|download/)?storage/v1/b/(?P<bucket>[^/]+)(?P<objects>/o)?(?:/(?P<name>[^/]+))?"
)


class Wrong(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


@dataclass
class FakeBuckets:
    """Serves its buckets at `address` while it is entered; `locations` says which there are and where."""

    locations: dict[str, str]
    objects: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    """Of each bucket and name the generation and what it holds."""
    befalls: Callable[[str, str], Trouble | None] = lambda method, path: None
    """Asked of every request, before it is obeyed."""
    page_size: int = 1000

    def __post_init__(self) -> None:
        self._lock, self._generation = threading.Lock(), 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"buckets": self}))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeBuckets:
        threading.Thread(target=lambda: self._server.serve_forever(0.02), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bucket(self, name: str) -> Answer:
        if name not in self.locations:
            raise Wrong(404, "The specified bucket does not exist.")
        return {"kind": "storage#bucket", "name": name, "location": self.locations[name].upper()}

    def create(self, bucket: str, name: str, data: bytes, only: bool) -> Answer:
        """An object, in place of the one that is there; not so where it must be new, of two at once for one of them."""
        self.bucket(bucket)
        with self._lock:
            if only and (bucket, name) in self.objects:
                raise Wrong(412, "At least one of the pre-conditions you specified did not hold.")
            self._generation += 1
            self.objects[bucket, name] = self._generation, data
        return self.shown(bucket, name)

    def delete(self, bucket: str, name: str) -> None:
        with self._lock:
            if self.objects.pop((bucket, name), None) is None:
                raise Wrong(404, f"No such object: {bucket}/{name}")

    def read(self, bucket: str, name: str) -> bytes:
        if (bucket, name) not in self.objects:
            raise Wrong(404, f"No such object: {bucket}/{name}")
        return self.objects[bucket, name][1]

    def shown(self, bucket: str, name: str) -> Answer:
        data = self.read(bucket, name)
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": name,
            "generation": str(self.objects[bucket, name][0]),
            "size": str(len(data)),
            "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),
            "timeCreated": "2026-01-01T00:00:00.000Z",
            "updated": "2026-01-01T00:00:00.000Z",
        }

    def listed(self, bucket: str, prefix: str, delimiter: str, start: str) -> Answer:
        """A page of what begins with `prefix`, after the name `start`; of what has a delimiter later the part before."""
        self.bucket(bucket)
        with self._lock:
            names = sorted(
                name for where, name in self.objects if where == bucket and name.startswith(prefix)
            )
        here = [name for name in names if name > start][: self.page_size]
        depths = {
            name: name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "") for name in here
        }
        page: Answer = {
            "kind": "storage#objects",
            "items": [self.shown(bucket, name) for name in here if not depths[name][1]],
            "prefixes": sorted({prefix + first + delimiter for first, more, _ in depths.values() if more}),
        }
        return page | ({"nextPageToken": here[-1]} if here and here[-1] != names[-1] else {})


class _Handler(BaseHTTPRequestHandler):
    buckets: FakeBuckets
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        trouble = self.buckets.befalls(self.command, self.path)
        try:
            answer = b"" if trouble == "refused" else self._obey(body)
            code = 200 if not trouble else 503
        except Wrong as wrong:
            code, answer = wrong.code, str(wrong).encode()
        if trouble == "gone":
            self.close_connection = True
            return
        if code != 200:
            answer = json.dumps(
                {"error": {"code": code, "message": answer.decode() or "Backend Error"}}
            ).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_DELETE = do_GET

    def _obey(self, body: bytes) -> bytes:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        match = _PATH.fullmatch(url.path)
        if not match:
            raise Wrong(404, "Not Found")
        bucket, name = unquote(match["bucket"]), unquote(match["name"] or "")
        if match["upload"]:
            facts, data = _parts(body)
            only = query.get("ifGenerationMatch") == "0"
            return json.dumps(self.buckets.create(bucket, facts["name"], data, only)).encode()
        if self.command == "DELETE":
            self.buckets.delete(bucket, name)
            return b""
        if query.get("alt") == "media":
            return self.buckets.read(bucket, name)
        if name:
            return json.dumps(self.buckets.shown(bucket, name)).encode()
        if match["objects"]:
            asked = (query.get(key, "") for key in ("prefix", "delimiter", "pageToken"))
            return json.dumps(self.buckets.listed(bucket, *asked)).encode()
        return json.dumps(self.buckets.bucket(bucket)).encode()


def _parts(body: bytes) -> tuple[Answer, bytes]:
    """What an upload in two parts says of the object, and what it holds."""
    boundary, _, rest = body.partition(b"\n")
    facts, _, data = rest.partition(b"\n" + boundary)
    held = data.partition(b"\n\n")[2].removesuffix(b"\n" + boundary + b"--")
    return json.loads(facts.partition(b"\n\n")[2]), held
