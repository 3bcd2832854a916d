"""From a call on the wire to a method of the token, and back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from strongroom.core import (
    ApprovalGate,
    BatchAnswer,
    BatchItem,
    HsmRequestError,
    RootId,
    Secret,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.token import KeyCheckValue, Token, TokenBatch
from strongroom.hsm.wire import (
    Batch,
    DestroyImportPair,
    DestroyRoot,
    DestroyTrustedPublic,
    GenerateImportPair,
    GenerateRoot,
    HoldsDirect,
    ImportTrustedPublic,
    InspectDirect,
    KeyCheck,
    ListObjects,
    ObjectEntry,
    Random,
    ReadBack,
    ReadObject,
    RootCheck,
    Unwrap,
    UnwrapInRoot,
    Wrap,
    WrapOutRoot,
    Wrapped,
)
from strongroom.hsm.worker._batch_job import BatchRun
from strongroom.hsm.worker._custody_performer import CustodyDoor, custody_calls
from strongroom.hsm.worker._direct_performer import direct_admin_calls, direct_use_calls
from strongroom.hsm.worker._transport_performer import transport_calls

READ_ONLY_ADMIN_CALLS = (ListObjects, ReadBack, RootCheck, HoldsDirect, InspectDirect)
"""Admin calls that change nothing and show no key: the gate is not asked."""
_ALGORITHMS: Final[Mapping[int, WrapAlgorithm]] = {int(algorithm): algorithm for algorithm in WrapAlgorithm}


class Performer(Protocol):
    """Does what a call asks. Called by HSM threads, never by the event loop."""

    def perform(self, call: msgspec.Struct, *, within_s: float | None = None) -> object:
        """Do it and return the answer; who asked waits so long for it. Raises StrongroomError."""
        ...

    def batch(self, items: Sequence[BatchItem]) -> BatchRun:
        """Begin many use calls at once; nothing is done before the first ``advance``."""
        ...

    def limit_s(self, call: msgspec.Struct) -> float:
        """How long the call may run before the worker counts as hung."""
        ...

    @property
    def is_broken(self) -> bool:
        """Whether only a new worker can help."""
        ...

    def close(self) -> None:
        """Let go of what it works on. Called once, when no call is under way and none will come."""
        ...


class TokenPerformer:
    """Performs calls on a token; admin calls pass the gate first."""

    def __init__(
        self,
        token: Token,
        gate: ApprovalGate,
        *,
        use_limit_s: float,
        admin_limit_s: float,
        custody: CustodyDoor | None = None,
    ) -> None:
        """``custody`` is told what becomes of what the gate let through, and takes what the gate judges by."""
        self._token = token
        self._gate = gate
        self._custody = custody
        self._admin_limit_s = admin_limit_s
        self._use: Mapping[type, Callable[[Any], object]] = {
            Wrap: self._wrap,
            Unwrap: self._unwrap,
            Random: self._random,
            **direct_use_calls(token.direct),
        }
        self._limits = dict.fromkeys(
            (*self._use, Batch), use_limit_s
        )  # of a batch: a slice and what it is at
        self._admin: Mapping[type, Callable[[Any], object]] = {
            GenerateRoot: self._generate_root,
            GenerateImportPair: self._generate_import_pair,
            ImportTrustedPublic: self._import_trusted_public,
            DestroyImportPair: self._destroy_import_pair,
            DestroyTrustedPublic: self._destroy_trusted_public,
            DestroyRoot: self._destroy_root,
            WrapOutRoot: self._wrap_out_root,
            UnwrapInRoot: self._unwrap_in_root,
            RootCheck: self._root_check,
            ReadBack: self._read_back,
            ListObjects: self._list_objects,
            **direct_admin_calls(token.direct),
            **transport_calls(token.transport),
        }
        self._custody_calls = {} if custody is None else custody_calls(custody)

    @property
    def is_broken(self) -> bool:
        """Whether the token saw an error that only a new worker can cure."""
        return self._token.is_broken

    def limit_s(self, call: msgspec.Struct) -> float:
        """Use verbs have the profile's limit; key generation may take longer."""
        return self._limits.get(type(call), self._admin_limit_s)

    def close(self) -> None:
        """Log out and close every session of the token."""
        self._token.close()

    def perform(self, call: msgspec.Struct, *, within_s: float | None = None) -> object:
        """Do what the call asks. Raises StrongroomError, and HsmRequestError for a call it does not know."""
        self._token.have_time(within_s)
        use = self._use.get(type(call))
        if use is not None:
            return use(call)
        admin = self._admin.get(type(call))
        if admin is not None:
            return admin(call) if isinstance(call, READ_ONLY_ADMIN_CALLS) else self._gated(admin, call)
        custody = self._custody_calls.get(type(call))
        if custody is None:
            raise HsmRequestError(f"this worker does not perform {type(call).__name__}")
        return custody(call)

    def _gated(self, admin: Callable[[Any], object], call: msgspec.Struct) -> object:
        """Do what the gate lets through, and say what became of it."""
        name, parameters = type(call).__name__, msgspec.structs.asdict(call)
        self._gate.check(name, parameters)
        failure: Exception | None = None
        try:
            return admin(call)
        except Exception as error:
            failure = error
            raise
        finally:
            if self._custody is not None:
                self._custody.ended(name, parameters, failure)

    def batch(self, items: Sequence[BatchItem]) -> BatchRun:
        """Begin a batch; see ``Token.batch``."""
        return _TokenRun(self._token, self._token.batch(items))

    def _wrap(self, call: Wrap) -> Wrapped:
        made = self._token.wrap(_root_id(call.root_id), Secret(call.key_bytes), call.aad)
        return Wrapped(int(made.algorithm), made.iv, made.ciphertext, made.tag)

    def _unwrap(self, call: Unwrap) -> bytes:
        algorithm = _ALGORITHMS.get(call.algorithm)
        if algorithm is None:
            raise HsmRequestError(f"wrap algorithm {call.algorithm} is not known")
        wrapped = WrappedBytes(algorithm, call.iv, call.ciphertext, call.wrap_tag)
        return self._token.unwrap(_root_id(call.root_id), wrapped, call.aad).reveal()

    def _random(self, call: Random) -> bytes:
        return self._token.random(call.n_bytes).reveal()

    def _generate_root(self, call: GenerateRoot) -> KeyCheck:
        return _check(self._token.generate_root(_root_id(call.root_id), call.label))

    def _generate_import_pair(self, call: GenerateImportPair) -> bytes:
        return self._token.generate_import_pair(call.cka_id, call.label)

    def _import_trusted_public(self, call: ImportTrustedPublic) -> None:
        self._token.import_trusted_public(call.cka_id, call.label, call.spki_der)

    def _destroy_import_pair(self, call: DestroyImportPair) -> None:
        self._token.destroy_import_pair(call.cka_id)

    def _destroy_trusted_public(self, call: DestroyTrustedPublic) -> None:
        self._token.destroy_trusted_public(call.cka_id)

    def _destroy_root(self, call: DestroyRoot) -> None:
        self._token.destroy_root(_root_id(call.root_id))

    def _wrap_out_root(self, call: WrapOutRoot) -> bytes:
        return self._token.wrap_out_root(_root_id(call.root_id), wrapping_cka_id=call.wrapping_cka_id)

    def _unwrap_in_root(self, call: UnwrapInRoot) -> KeyCheck:
        return _check(
            self._token.unwrap_in_root(
                _root_id(call.root_id),
                call.label,
                import_cka_id=call.import_cka_id,
                wrapped=call.wrapped,
                expected=KeyCheckValue(call.expected.kind, call.expected.value),
            )
        )

    def _root_check(self, call: RootCheck) -> KeyCheck:
        return _check(self._token.root_check_value(_root_id(call.root_id)))

    def _read_back(self, call: ReadBack) -> list[ReadObject]:
        found = self._token.read_back(call.cka_id)
        return [ReadObject(object_class, dict(attributes)) for object_class, attributes in found]

    def _list_objects(self, _call: ListObjects) -> list[ObjectEntry]:
        return [
            ObjectEntry(str(found.object_class), found.cka_id, found.label, found.is_ghost)
            for found in self._token.list_objects()
        ]


class _TokenRun:
    """``TokenBatch`` as a ``BatchRun``."""

    def __init__(self, token: Token, batch: TokenBatch) -> None:
        self._token = token
        self._batch = batch

    @property
    def answers(self) -> Sequence[BatchAnswer]:
        return self._batch.answers

    def advance(self, slice_s: float, *, within_s: float) -> None:
        self._token.have_time(within_s)
        self._batch.advance(slice_s)


def _root_id(raw: bytes) -> RootId:
    if len(raw) != 16:
        raise HsmRequestError(f"a root id has 16 bytes, not {len(raw)}")
    return RootId(raw)


def _check(value: KeyCheckValue) -> KeyCheck:
    return KeyCheck(value.kind, value.value)
