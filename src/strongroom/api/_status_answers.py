"""The forms of what is told of the service: the operator's view (``HealthSource.status``), its members, whether it is ready."""

from msgspec import Struct

from strongroom.api._admin import AdminAnswer


class MemberStatus(Struct, frozen=True):
    """A worker of a member of the HSM cluster, as the process that answers sees it."""

    name: str
    worker: int
    state: str
    priority: int
    generation: int
    reason: str
    """Why it is in that state; empty when there is nothing to say."""
    pid: int | None
    breaker: str
    latency_ms: dict[str, list[float | None]]
    """By verb: what half and 99 % of the calls took lately."""


class StatusAnswer(Struct, frozen=True):
    """The operator's view."""

    version: str
    not_ready: list[str]
    """Why callers had better go elsewhere; empty when all is well."""
    members: list[MemberStatus]
    failovers: int
    quarantined_keys: list[str]
    """Direct keys (CKA_ID, in hex) that nobody may use, since no member shows the key of their record; "" stands for all."""
    cached_keks: int
    cached_domains: int
    audit_entries: int
    audit_failure: str | None


class WorkerState(AdminAnswer, frozen=True):
    """A worker of a member of the HSM cluster, as the process that answers sees it."""

    name: str
    """Of the member."""
    worker: int
    state: str
    priority: int
    reason: str
    breaker: str


class MembersAnswer(AdminAnswer, frozen=True):
    """The members of the HSM cluster, by their workers."""

    members: list[WorkerState]
    quarantined_keys: list[str]
    """Direct keys (CKA_ID, in hex) that nobody may use, as ``/api/v1/status`` tells them."""


class HealthAnswer(AdminAnswer, frozen=True):
    """Whether the process that answers can serve."""

    is_ready: bool
    reasons: list[str]
    """Why it cannot; empty when all is well."""
