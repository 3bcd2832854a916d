"""The documents that the service answers, as far as the commands look at them. Unknown members are ignored."""

from typing import Any

import msgspec


class Readiness(msgspec.Struct, frozen=True):
    """GET /readyz."""

    ready: bool
    reasons: list[str] = []


class MemberEntry(msgspec.Struct, frozen=True):
    """One worker of a member."""

    name: str
    state: str
    worker: int | str = 0
    generation: int = 0
    reason: str | None = None
    pid: int | None = None
    priority: int = 0
    breaker: str = ""
    latency_ms: dict[str, list[float | None]] = {}
    """By verb: what half and 99 % of the calls took lately."""


class StatusDocument(msgspec.Struct, frozen=True):
    """GET /api/v1/status."""

    members: list[MemberEntry]
    version: str = ""
    not_ready: list[str] = []
    failovers: int = 0
    quarantined_keys: list[str] = []
    cached_keks: int = 0
    audit_entries: int = 0
    audit_failure: str | None = None


class KeyMetadata(msgspec.Struct, frozen=True, rename="pascal"):
    """KeyMetadata of AWS KMS; ``rest`` has no part in it."""

    key_id: str
    arn: str
    key_state: str
    creation_date: float
    description: str = ""
    origin: str = ""
    key_spec: str = ""
    key_usage: str = ""
    current_key_material_id: str = ""


class KeyMetadataAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    """CreateKey and DescribeKey."""

    key_metadata: KeyMetadata


class KeyEntry(msgspec.Struct, frozen=True, rename="pascal"):
    """One key of ListKeys."""

    key_id: str
    key_arn: str


class KeysAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    """ListKeys."""

    keys: list[KeyEntry]
    truncated: bool = False
    next_marker: str | None = None


class AliasEntry(msgspec.Struct, frozen=True, rename="pascal"):
    """One alias of ListAliases."""

    alias_name: str
    target_key_id: str | None = None


class AliasesAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    """ListAliases."""

    aliases: list[AliasEntry]
    truncated: bool = False
    next_marker: str | None = None


class EncryptAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    """Encrypt."""

    ciphertext_blob: bytes


class DecryptAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    """Decrypt."""

    plaintext: bytes


Anything = dict[str, Any]
"""An answer whose members do not matter."""
