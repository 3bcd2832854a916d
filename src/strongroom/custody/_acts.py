"""Acts, which people approve: the form of their parameters. ``_act_calls`` tells which calls inside a member each covers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec

from strongroom.custody._canonical import Json
from strongroom.custody._documents import Words
from strongroom.custody._errors import ApprovalRefusedError, Refusal

MAX_HSM_KEYS: Final = 1500
"""Keys that one act may destroy: as many as fit into a request."""
SESSION_S: Final = 3600
"""For how long an act that covers a session does so, from its first call on a member."""
LATE_ACTS: Final = frozenset({"DestroyHsmKey", "RetireRoot", "RotatePin"})
"""Acts that a member may be told of after they expired, since it was away when they were begun."""
LATE_S: Final = 400 * 86_400
"""How long after it expired a member takes such an act."""

HsmKeyHex = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
MemberName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_HsmKeys = Annotated[tuple[HsmKeyHex, ...], msgspec.Meta(min_length=1, max_length=MAX_HSM_KEYS)]


class _Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of an act."""


class CreateHsmKey(_Act, frozen=True):
    """Make a Direct key of a kind, whatever it is named."""

    spec: Words
    """As ``core.KeySpec`` names it."""
    usage: Words
    may_leave: bool


class MakeAuditKey(_Act, frozen=True):
    """Make the key that signs checkpoints of the audit log."""

    spec: Literal["ECC_NIST_EDWARDS25519", "ECC_NIST_P256"]


class DestroyHsmKey(_Act, frozen=True):
    """Destroy Direct keys on every member."""

    key_id: Annotated[str, msgspec.Meta(max_length=200)]
    """The key of the service that they are versions of; empty for keys that belong to none."""
    hsm_keys: _HsmKeys
    """Their CKA_IDs: sorted, each once."""


class ReplaceHsmKey(_Act, frozen=True):
    """Destroy Direct keys on one member, where they are not the same as on the others, so that they are copied anew."""

    member: MemberName
    hsm_keys: _HsmKeys


class RotateRoot(_Act, frozen=True):
    """Make a new root."""

    root_id: HsmKeyHex
    """The current one."""


class RetireRoot(_Act, frozen=True):
    """Destroy an old root on every member."""

    root_id: HsmKeyHex


class RotatePin(_Act, frozen=True):
    """Change the PIN of a member's token."""

    member: MemberName
    role: Literal["user", "so"]


class AddMember(_Act, frozen=True):
    """Give a member what it needs to serve."""

    member: MemberName
    token_serial: Words


class ResetMember(_Act, frozen=True):
    """Erase a member's token."""

    member: MemberName
    token_serial: Words


class MakeBackupSet(_Act, frozen=True):
    """Make a backup key, and shares of what opens it."""

    threshold: Annotated[int, msgspec.Meta(ge=2, le=16)]
    count: Annotated[int, msgspec.Meta(ge=2, le=16)]
    members: Annotated[tuple[MemberName, ...], msgspec.Meta(min_length=1, max_length=64)]
    """Those that get transport keys of the set: sorted, each once."""


class CreateBackup(_Act, frozen=True):
    """Take the keys out under a backup set."""

    set_id: HsmKeyHex


class RestoreBackup(_Act, frozen=True):
    """Bring the keys of a bundle into members that have officers."""

    bundle_sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class RetireBackupSet(_Act, frozen=True):
    """Destroy the transport keys of a backup set, so that nothing more is taken out under it."""

    set_id: HsmKeyHex


class PrunedLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes of one writer's audit log: all up to the end of a segment."""

    writer: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,31}\Z")]
    segment: Annotated[int, msgspec.Meta(ge=1)]
    """The last one that goes."""
    sha256: _Sha256
    """Of that segment."""
    entry: Annotated[int, msgspec.Meta(ge=0)]
    """The last one that goes."""
    chain: _Sha256
    """Chain value after it."""


class PruneAuditLog(_Act, frozen=True):
    """Remove the oldest entries of a host's audit log for good."""

    origin: Words
    """What the log calls itself: it names the host."""
    before: Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
    """Nothing from this day (00:00 UTC) on goes."""
    tree_size: Annotated[int, msgspec.Meta(ge=0)]
    """Of the first checkpoint that covers all that goes."""
    tree_root: _Sha256
    writers: Annotated[tuple[PrunedLog, ...], msgspec.Meta(min_length=1, max_length=256)]
    """Sorted by name, each once."""


ACTS: Final[Mapping[str, type[_Act]]] = MappingProxyType(
    {
        act.__name__: act
        for act in (
            CreateHsmKey,
            MakeAuditKey,
            DestroyHsmKey,
            ReplaceHsmKey,
            RotateRoot,
            RetireRoot,
            RotatePin,
            AddMember,
            ResetMember,
            MakeBackupSet,
            CreateBackup,
            RestoreBackup,
            RetireBackupSet,
            PruneAuditLog,
        )
    }
)
"""The acts whose parameters have a form."""


def read_act(verb: str, parameters: Mapping[str, Json]) -> _Act | None:
    """Return the parameters of an act in their form; None for a verb whose parameters have none.

    Raises ApprovalRefusedError (MALFORMED). Whoever makes a request for such an act calls this first: what is malformed
    would be signed, and then cover nothing.
    """
    kind = ACTS.get(verb)
    if kind is None:
        return None
    try:
        act = msgspec.convert(parameters, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ApprovalRefusedError(Refusal.MALFORMED, f"{verb}: {error}") from error
    for field in ("hsm_keys", "members"):
        names = getattr(act, field, ())
        if list(names) != sorted(set(names)):
            raise ApprovalRefusedError(
                Refusal.MALFORMED, f"{verb}: {field} are not sorted, or one stands twice"
            )
    if isinstance(act, PruneAuditLog):
        logs = [one.writer for one in act.writers]
        if logs != sorted(set(logs)):
            raise ApprovalRefusedError(
                Refusal.MALFORMED, f"{verb}: writers are not sorted, or one stands twice"
            )
    if isinstance(act, MakeBackupSet) and act.threshold > act.count:
        raise ApprovalRefusedError(Refusal.MALFORMED, f"{verb}: the threshold is more than the shares")
    return act
