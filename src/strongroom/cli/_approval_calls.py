"""Calls of the admin API about officers and approvals, and what it answers as far as the commands look at it."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from strongroom.cli._endpoint import find_service
from strongroom.cli._errors import CliError, NotDoneError
from strongroom.client import ForeignAnswerError, Outgoing, RequestRefusedError, ServiceClient, read_answer
from strongroom.config import Home, home_from_environment
from strongroom.core import SystemClock

_JSON: Final = {"Content-Type": "application/json"}
_ID: Final = re.compile(r"[0-9a-f]{8,64}")
_MAX_PAGES: Final = 10_000
SHOWN: Final = 12
"""Digits of an id that are shown; the service takes them for it."""


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """Who must approve a verb."""

    m: int
    role: str
    expires_s: int
    standing: bool


class Officer(msgspec.Struct, frozen=True, rename="camel"):
    """An officer."""

    id: str
    name: str
    roles: list[str]
    keys: list[str]
    revoked_keys: list[str]
    principals: list[str]
    recipient: str
    is_revoked: bool


class Custody(msgspec.Struct, frozen=True, rename="camel"):
    """Officers and rules."""

    cluster: str
    name: str
    genesis_sha256: str
    record: int
    head: str
    officers: list[Officer]
    rules: dict[str, Rule]


class Signature(msgspec.Struct, frozen=True, rename="camel"):
    """A signature on a request."""

    officer: str
    name: str
    kind: str
    key: str
    at: float


class Approval(msgspec.Struct, frozen=True, rename="camel"):
    """A request for approval. What it asks for is in ``document`` alone."""

    id: str
    verb: str
    requester: str
    created: int
    expires: int
    stands: str
    document: str
    signatures: list[Signature]
    needs: Rule | None = None
    executed_at: float | None = None
    ended_by: str = ""
    uses: int = 0

    @property
    def shown_id(self) -> str:
        """The digits by which people call it."""
        return self.id[:SHOWN]

    @property
    def so_far(self) -> str:
        """How many have approved, of how many."""
        n_approved = sum(signature.kind == "approval" for signature in self.signatures)
        return f"{n_approved} of {self.needs.m} {self.needs.role}" if self.needs else f"{n_approved}"


class ApprovalsPage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of requests."""

    approvals: list[Approval]
    next_marker: str | None = None


class Taken(msgspec.Struct, frozen=True, rename="camel"):
    """What a signature did."""

    approval: str
    officer: str
    did: str


class Evidence(msgspec.Struct, frozen=True, rename="camel"):
    """What proves an act."""

    evidence: str
    sha256: str


@contextmanager
def connect() -> Iterator[ServiceClient]:
    """Lend a client of the service. Raises as ``find_service``, and NotDoneError for a request that there is not."""
    with ServiceClient(find_service(Home(home_from_environment())), clock=SystemClock()) as client:
        try:
            yield client
        except RequestRefusedError as error:
            if error.code != "NotFoundException":
                raise
            said = error.message.partition(": ")[2].removesuffix(f" [{error.code}]").rstrip(".")
            raise NotDoneError(
                f"{said[:1].lower()}{said[1:]}" or "there is no such request",
                next_step="see: strongroom approvals list",
            ) from error


def is_approval_id(text: str) -> bool:
    """Whether this can be the id of a request, or the beginning of one, and is no file that is there."""
    return _ID.fullmatch(text) is not None and not Path(text).exists()


def read_custody(client: ServiceClient) -> Custody:
    """Return officers and rules."""
    return client.read("/api/v1/custody", Custody)


def read_approval(client: ServiceClient, approval: str) -> Approval:
    """Return a request whose document is the one that its id names. Raises ForeignAnswerError for another one."""
    found = client.read(f"/api/v1/approvals/{_segment(approval)}", Approval)
    if hashlib.sha256(found.document.encode()).hexdigest() != found.id or not found.id.startswith(approval):
        raise ForeignAnswerError(
            f"the service shows another request than {approval}",
            next_step="do not sign anything of it: ask who operates the service",
        )
    return found


def list_approvals(client: ServiceClient, stands: str | None) -> Iterator[Approval]:
    """Yield requests, the newest first."""
    marker = None
    for _ in range(_MAX_PAGES):
        query = "limit=100" + (f"&stands={stands}" if stands else "")
        query += f"&marker={quote(marker, safe='')}" if marker else ""
        page = client.read("/api/v1/approvals", ApprovalsPage, query=query)
        yield from page.approvals
        marker = page.next_marker
        if marker is None:
            return
    raise ForeignAnswerError(f"the list of requests does not end after {_MAX_PAGES} pages")


def request_approval(client: ServiceClient, verb: str, parameters: Mapping[str, Any]) -> Approval:
    """Have a request made."""
    body = msgspec.json.encode({"verb": verb, "parameters": parameters})
    return read_answer(client.exchange(Outgoing("/api/v1/approvals", _JSON, body)), Approval)


def send_signature(client: ServiceClient, approval: str, action: str, signature: bytes) -> Taken:
    """Bring a signature; ``action`` is ``approve`` or ``reject``."""
    body = msgspec.json.encode({"signature": signature.decode("ascii")})
    path = f"/api/v1/approvals/{_segment(approval)}/{action}"
    return read_answer(client.exchange(Outgoing(path, _JSON, body)), Taken)


def read_evidence(client: ServiceClient, approval: str, use: int) -> Evidence:
    """Return evidence whose hash is the one that is told with it. Raises ForeignAnswerError."""
    query = f"use={use}" if use else ""
    found = client.read(f"/api/v1/approvals/{_segment(approval)}/evidence", Evidence, query=query)
    if hashlib.sha256(found.evidence.encode()).hexdigest() != found.sha256:
        raise ForeignAnswerError("the service sent other evidence than it names")
    return found


def _segment(approval: str) -> str:
    if _ID.fullmatch(approval) is None:
        raise CliError(
            f"{approval} is no id of a request: at least 8 of its 64 hexadecimal digits are needed",
            next_step="see: strongroom approvals list",
        )
    return approval
