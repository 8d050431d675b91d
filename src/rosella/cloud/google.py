"""Google's TPUs by its own client library: queued resources and nodes of tpu.googleapis.com, version 2, over REST."""

from __future__ import annotations

import os
import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from rosella.cloud.reading import is_ending, joined, lacks_quota, last, without_node
from rosella.cloud.slices import (
    ADOPTED_LABEL,
    LATE,
    POD_LABEL,
    NoQuota,
    Refused,
    SignIn,
    Slice,
    Unreachable,
    Wish,
)
from rosella.errors import UserError

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.tpu_v2 import TpuClient

T = TypeVar("T")

ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU"
"""The environment variable that tells `gcloud` of another address of the service, and us too."""
TIMEOUT = 30.0

_ADDRESS = "https://tpu.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SIGN_IN = "Nobody is signed in to Google any more ({}): gcloud auth application-default login"
_PATHS = {"node": "nodes", "queued_resource": "queuedResources"}
_WAITS = (1.0, 3.0)
"""Seconds before the second and the third try."""
_LONGEST = 30.0
_NOT_NOW = {408, 409, 429, 499}
"""HTTP's codes for what may go better the next time, unless more is said."""
_PAGE, _READINGS = 500, 6
_UNKNOWN_TYPE = "by type_url"
"""In the error of a JSON parser that met metadata of a type it has no description of."""


def connect(
    project: str,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    timeout: float = TIMEOUT,
) -> Google:
    """As whoever is signed in on this machine; raises SignIn where nobody is."""
    try:
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud.tpu_v2 import TpuClient
        from google.cloud.tpu_v2.services.tpu.transports import TpuRestTransport
    except ImportError:
        raise UserError(
            "Google's TPUs are asked for by its library: pip install 'rosella-tts[cloud]'."
        ) from None
    credentials = _credentials()
    address = os.environ.get(ENDPOINT, _ADDRESS).rstrip("/")
    client = TpuClient(transport=TpuRestTransport(host=address, credentials=credentials))
    return Google(project, client, AuthorizedSession(credentials), address, clock, sleep, timeout)


class Google:
    """A `Cloud`. Calls that fail for a moment are tried three times, then they raise Unreachable."""

    def __init__(
        self,
        project: str,
        client: TpuClient,
        session: AuthorizedSession,
        address: str,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        timeout: float,
    ) -> None:
        self._project, self._client, self._session, self._address = project, client, session, address
        self._clock, self._sleep, self._timeout = clock, sleep, timeout

    def slices(self, zone: str) -> list[Slice]:
        """All of the project in a zone."""
        requests, nodes = self._list(zone, "queued_resources"), self._list(zone, "nodes")
        forgotten = [self._get("node", name, zone) for name in without_node(requests, nodes)]
        return joined(zone, requests, [*nodes, *(each for each in forgotten if each is not None)])

    def create(self, wish: Wish) -> None:
        """Ask for a slice; one that was asked for before by this name is the same. Raises NoQuota and Refused."""
        parent = self._parent(wish.zone)
        request = {
            "parent": parent,
            "queued_resource_id": wish.name,
            "queued_resource": _request(parent, wish),
        }
        with suppress(_Exists):
            self._ask(wish.zone, lambda: self._do(self._client.create_queued_resource, request))

    def delete(self, name: str, zone: str) -> None:
        """Ask for the end of a request and its node, each of which may be there without the other. Raises Refused."""
        node = self._get("node", name, zone)
        request = last(node.queued_resource) if node is not None and node.queued_resource else name
        try:
            self._end("queued_resource", request, zone, force=True)
        finally:  # what costs money goes, whatever is said of its request
            if node is not None:
                self._end("node", name, zone)

    def late(self, name: str, zone: str, asked: float) -> bool:
        """Whether a *create* asked for at `asked` may still bring a slice that is not listed: one whose operation runs, or
        that was never answered and is younger than LATE."""
        operations = [
            each.get("metadata", {}) | each for each in self._ask(zone, lambda: self._operations(zone))
        ]
        done = [
            each.get("done", False)
            for each in operations
            if each.get("verb") == "create" and last(each.get("target", "")) == name
        ]
        return not all(done) if done else self._clock() - asked < LATE

    def adopt(self, name: str, zone: str, pod: str) -> Slice:
        """Label a node that is there as the pod's. Raises Refused where it is not, or is another pod's."""
        node = self._get("node", name, zone)
        if node is None:
            raise Refused(
                f"There is no TPU VM {name} in {zone}: gcloud compute tpus tpu-vm list --zone {zone}"
            )
        owner = node.labels.get(POD_LABEL)
        if owner not in (None, pod):
            raise Refused(
                f"The TPU VM {name} belongs to the pod {owner}: take that down, or name another VM."
            )
        if owner is None:
            labels = {**node.labels, POD_LABEL: pod, ADOPTED_LABEL: "yes"}
            change = {"node": {"name": node.name, "labels": labels}, "update_mask": {"paths": ["labels"]}}
            self._ask(zone, lambda: self._do(self._client.update_node, change))
        return next(each for each in self.slices(zone) if each.name == name)

    def _parent(self, zone: str) -> str:
        return f"projects/{self._project}/locations/{zone}"

    def _path(self, kind: str, name: str, zone: str) -> str:
        return f"{self._parent(zone)}/{_PATHS[kind]}/{name}"

    def _get(self, kind: str, name: str, zone: str) -> Any:
        """The message of a node or queued resource, or None where there is none."""
        request = {"name": self._path(kind, name, zone)}
        try:
            found = self._ask(
                zone, lambda: getattr(self._client, f"get_{kind}")(request, timeout=self._timeout)
            )
        except _Missing:
            return None
        return type(found).pb(found)

    def _end(self, kind: str, name: str, zone: str, **more: bool) -> None:
        request = {"name": self._path(kind, name, zone), **more}
        try:
            self._ask(zone, lambda: self._do(getattr(self._client, f"delete_{kind}"), request))
        except _Missing:
            pass
        except _NotNow as refusal:
            if not is_ending(self._get(kind, name, zone)):
                raise Unreachable(f"{name} cannot be deleted at this moment: {refusal}") from None

    def _do(self, call: Callable[..., Any], request: dict[str, Any]) -> None:
        """Ask for what takes time. What the answer says of it the client cannot always read; it is listed later."""
        from google.protobuf.json_format import ParseError

        try:
            call(request=request, timeout=self._timeout)
        except ParseError as error:
            if _UNKNOWN_TYPE not in str(error):
                raise

    def _list(self, zone: str, kind: str) -> list[Any]:
        """All messages of a kind. What comes or goes between two pages may hide others, so pages are read until two
        readings are the same."""
        before: list[str] | None = None
        for _ in range(_READINGS):
            pages = self._ask(zone, lambda: list(self._pages(zone, kind)))
            found = [each for page in pages for each in page]
            names = [each.name for each in found]
            if len(pages) == 1 or names == before:
                return found
            before = names
        raise Unreachable(f"What there is in {zone} changes faster than it can be listed; it is asked again.")

    def _pages(self, zone: str, kind: str) -> Iterator[list[Any]]:
        from google.api_core.exceptions import ServiceUnavailable

        request = {"parent": self._parent(zone), "page_size": _PAGE}
        for page in getattr(self._client, f"list_{kind}")(request, timeout=self._timeout).pages:
            message = type(page).pb(page)
            if message.unreachable:
                raise ServiceUnavailable("the list is not whole")
            yield list(getattr(message, kind))

    def _operations(self, zone: str) -> list[dict[str, Any]]:
        """As they are written: the client cannot read metadata of every kind."""
        from google.api_core.exceptions import from_http_response

        found: list[dict[str, Any]] = []
        query: dict[str, Any] | None = {"pageSize": _PAGE}
        while query:
            url = f"{self._address}/v2/{self._parent(zone)}/operations"
            answer = self._session.get(url, params=query, timeout=self._timeout)
            if not answer.ok:
                raise from_http_response(answer)
            page = answer.json()
            found += page.get("operations", [])
            token = page.get("nextPageToken")
            query = {"pageSize": _PAGE, "pageToken": token} if token else None
        return found

    def _ask(self, zone: str, call: Callable[[], T]) -> T:
        """Call, and again when that may help; whatever goes wrong is one of our own errors."""
        waits = iter(_WAITS)
        while True:
            try:
                return call()
            except Exception as error:
                trouble = _translated(zone, error)
                if trouble is None:
                    raise
                wait = next(waits, None)
                if wait is None or not isinstance(trouble, Unreachable):
                    raise trouble from error
                self._sleep(_wait(error, wait))


def _credentials() -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    with warnings.catch_warnings():
        # That a person's own credentials name no project to be billed: what we ask for does.
        warnings.simplefilter("ignore")
        try:
            return google.auth.default(scopes=[_SCOPE])[0]
        except DefaultCredentialsError as error:
            raise SignIn(_SIGN_IN.format(_short(error))) from error


def _request(parent: str, wish: Wish) -> dict[str, Any]:
    """The queued resource of a wish, as the client takes it."""
    startup = {"startup-script": wish.startup} if wish.startup else {}
    node: dict[str, Any] = {
        "accelerator_type": wish.accelerator,
        "runtime_version": wish.runtime,
        "labels": dict(wish.labels),
        "metadata": dict(wish.metadata) | startup,
        "network_config": {
            "network": wish.network,
            "subnetwork": wish.subnetwork,
            "enable_external_ips": wish.external_addresses,
        },
        "service_account": {"email": wish.service_account, "scope": [_SCOPE]},
    }
    spec = {"parent": parent, "node_id": wish.name, "node": node}
    # Without a tier it is on demand; "guaranteed" is for what was reserved.
    return {"tpu": {"node_spec": [spec]}} | ({"spot": {}} if wish.spot else {})


def _translated(zone: str, error: Exception) -> Exception | None:
    """What an error of the library means; None of one that means a mistake of ours."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError, RefreshError
    from google.protobuf.json_format import ParseError

    if isinstance(error, RefreshError) and not error.retryable:
        return SignIn(_SIGN_IN.format(_short(error)))
    if isinstance(error, GoogleAPICallError):
        return _answered(zone, error)
    if isinstance(error, (GoogleAuthError, ParseError, OSError)):
        return _unreachable(zone, type(error).__name__)
    return None


def _answered(zone: str, error: Any) -> Exception:
    status, said = _words(error)
    code = int(error.code or 0)
    if not status or code >= 500:  # without one it is no answer of Google's, but of something on the way
        return _unreachable(zone, said)
    if code == 429 and lacks_quota(said):
        return NoQuota(zone, said)
    if status == "UNAUTHENTICATED":
        return SignIn(_SIGN_IN.format(said))
    known = {"NOT_FOUND": _Missing, "ALREADY_EXISTS": _Exists, "FAILED_PRECONDITION": _NotNow}
    if code in _NOT_NOW and status not in known:
        return _unreachable(zone, said)
    return known.get(status, Refused)(f"Google refuses in {zone}: {said}")


def _unreachable(zone: str, said: str) -> Unreachable:
    return Unreachable(f"Google's TPUs in {zone} gave no answer that counts ({said}).")


def _words(error: Any) -> tuple[str, str]:
    """The status and the text of an answer that is an error."""
    try:
        body = error.response.json()["error"]
        return str(body.get("status", "")), " ".join(str(body.get("message", "")).split())
    except (AttributeError, ValueError, KeyError, TypeError):
        return "", _short(error)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _wait(error: Exception, seconds: float) -> float:
    """As long as the answer asks for, else `seconds` more or less, so that not all who were refused come back at once."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    asked = str(headers.get("Retry-After", ""))
    return min(float(asked), _LONGEST) if asked.isdecimal() else seconds * random.uniform(0.5, 1.5)


class _Missing(Refused):
    """There is no such thing."""


class _Exists(Refused):
    """There is such a thing already."""


class _NotNow(Refused):
    """Not in the state it is in."""
