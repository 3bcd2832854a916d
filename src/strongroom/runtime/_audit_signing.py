"""Who signs checkpoints of the audit log: a key of its own inside the HSMs, and a software key against quantum computers."""

import hashlib
import os
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from strongroom.audit import Checkpoint, KeyKind, LogKey, Signature, mldsa_cosigned
from strongroom.core import (
    AUDIT_KEY_LABEL,
    ApprovalRequiredError,
    Clock,
    ConfigError,
    Deadline,
    HsmError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    NoMemberError,
    random_bytes,
)
from strongroom.custody import ApprovalRequest, read_document
from strongroom.hsm.cluster import Replica, TooFewCopiesError
from strongroom.runtime._custody_keeping import CustodyKeeping
from strongroom.service import JOBS
from strongroom.storage import ApprovalState, HsmKeyRecord, HsmKeyState, Reader
from strongroom.wiring.durable_files import write_new_durably

_SPECS: Final = (KeySpec.ECC_NIST_EDWARDS25519, KeySpec.ECC_NIST_P256)
"""In this order: public witnesses want Ed25519."""
_KINDS: Final = {
    KeySpec.ECC_NIST_EDWARDS25519: KeyKind.ED25519,
    KeySpec.ECC_NIST_P256: KeyKind.ECDSA_P256,
}
_VERB: Final = "MakeAuditKey"
_MOST_REQUESTS: Final = 1000
_MAKE_S: Final = 30.0
_SIGN_S: Final = 5.0
_SEED_BYTES: Final = 32


class CheckpointKeys(Protocol):
    """Whoever makes Direct keys and knows who serves (``Reconciling``)."""

    def serving(self) -> list[Replica]:
        """Return the members that serve, best first."""
        ...

    async def create(
        self,
        spec: KeySpec,
        usage: KeyUsage,
        label: str,
        *,
        may_leave: bool,
        deadline: Deadline,
        made_for: str = "",
    ) -> HsmKeyRecord:
        """Make a Direct key."""
        ...


class HsmSigner:
    """Signs checkpoints inside the HSMs. The key is made when there is none, once some member serves."""

    def __init__(
        self, store: Reader, keys: CheckpointKeys, *, custody: CustodyKeeping | None = None, clock: Clock
    ) -> None:
        """``custody``: where officers approve that the key is made."""
        self._custody = custody
        self._store = store
        self._keys = keys
        self._clock = clock
        self._record: HsmKeyRecord | None = None

    @property
    def can_sign(self) -> bool:
        """Whether some member serves."""
        return bool(self._keys.serving())

    async def sign(self, checkpoint: Checkpoint) -> tuple[LogKey, Signature]:
        """Return a signature of a checkpoint and its key. Raises HsmError, also where nobody serves, and StorageError."""
        record = await self._own_key()
        key = log_key_of(record, checkpoint.origin)
        text = checkpoint.text().encode()
        is_ecdsa = key.kind is KeyKind.ECDSA_P256
        signed = hashlib.sha256(text).digest() if is_ecdsa else text
        (algorithm,) = record.spec.signing_algorithms
        failure: HsmError | None = None
        for member in self._keys.serving():
            try:
                deadline = Deadline.after(self._clock, _SIGN_S)
                data = await member.use.sign(record.key, algorithm, signed, deadline=deadline)
            except HsmError as error:
                failure = error
            else:
                return key, Signature(key.name, key.key_id, data)
        raise NoMemberError("no member could sign a checkpoint of the audit log") from failure

    async def _own_key(self) -> HsmKeyRecord:
        if self._record is None:
            self._record = self._found() or await self._made()
        return self._record

    def _found(self) -> HsmKeyRecord | None:
        active = self._store.list_hsm_keys(HsmKeyState.ACTIVE)
        own = [record for record in active if record.label == AUDIT_KEY_LABEL and record.spec in _KINDS]
        return own[-1] if own else None

    async def _made(self) -> HsmKeyRecord:
        if self._custody is not None:
            return await self._made_as_approved(self._custody)
        failure: HsmError | None = None
        for spec in _SPECS:
            try:
                return await self._make(spec)
            except (
                HsmRequestError,
                TooFewCopiesError,
            ) as error:  # not every member does Ed25519, or copies it
                failure = error
        raise NoMemberError("no member could make the key that signs checkpoints") from failure

    async def _made_as_approved(self, custody: CustodyKeeping) -> HsmKeyRecord:
        """Make the key that officers approved. Nobody is asked here: the home's operators make the request."""
        refusal: ApprovalRequiredError | None = None
        newest = self._store.list_approvals(state=ApprovalState.OPEN, limit=_MOST_REQUESTS)
        for record in (one for one in newest if one.verb == _VERB):
            request = read_document(record.document, ApprovalRequest)
            try:
                act = await custody.claimed(record.id, _VERB, request.parameters, JOBS.requester)
            except ApprovalRequiredError as error:
                refusal = error
                continue
            try:
                with custody.carrying(act, "make", [AUDIT_KEY_LABEL]):
                    return await self._make(KeySpec(str(request.parameters["spec"])))
            except BaseException:
                await custody.release(act)
                raise
        raise ApprovalRequiredError(
            "the key that signs checkpoints of the audit log needs the approval of officers",
            next_step="ask for it: strongroom approvals request MakeAuditKey --parameter spec=ECC_NIST_P256",
        ) from refusal

    async def _make(self, spec: KeySpec) -> HsmKeyRecord:
        deadline = Deadline.after(self._clock, _MAKE_S)
        return await self._keys.create(
            spec, KeyUsage.SIGN_VERIFY, AUDIT_KEY_LABEL, may_leave=True, deadline=deadline
        )


class SoftwareCosigner:
    """Cosigns checkpoints by ML-DSA-44 (C2SP tlog-cosignature), with a key of 32 bytes in a file, mode 0400.

    What the HSM's signature cannot do, it does: be good against quantum computers. Who has the file can make it elsewhere,
    so alone it is worth nothing.
    """

    def __init__(self, path: Path, *, clock: Clock) -> None:
        """Read the key, or make it. Raises ConfigError for a file that holds none, and OSError."""
        if not path.exists():
            write_new_durably(path, random_bytes(_SEED_BYTES), mode=0o400)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, "rb") as file:
            seed = file.read(33)
        if len(seed) != _SEED_BYTES:
            raise ConfigError(
                f"{path} does not hold the {_SEED_BYTES} bytes of the key that cosigns checkpoints",
                next_step="bring it back from a backup; or move it away, and another key is made",
            )
        self._key = MLDSA44PrivateKey.from_seed_bytes(seed)
        self._clock = clock

    def sign(self, checkpoint: Checkpoint) -> tuple[LogKey, Signature]:
        """Return a cosignature of a checkpoint and its key."""
        public = self._key.public_key().public_bytes_raw()
        key = LogKey(checkpoint.origin, KeyKind.MLDSA44_COSIGNER, public)
        timestamp = int(self._clock.now())
        data = self._key.sign(mldsa_cosigned(key.name, checkpoint, timestamp))
        return key, Signature(key.name, key.key_id, timestamp.to_bytes(8, "big") + data)


def log_key_of(record: HsmKeyRecord, origin: str) -> LogKey:
    """Return the public half of a Direct key as the key of a log."""
    kind = _KINDS[record.spec]
    public = record.public_key
    if kind is KeyKind.ED25519:
        loaded = load_der_public_key(public)
        public = loaded.public_bytes_raw()  # type: ignore[union-attr]  # its spec says what it is
    return LogKey(origin, kind, public)
