"""A fake HSM behind a real ``hsm.worker``."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from strongroom.core import (
    ApprovalGate,
    BatchAnswer,
    BatchItem,
    HsmError,
    HsmRequestError,
    RootId,
    Secret,
    SystemClock,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.wire import (
    DestroyImportPair,
    DestroyRoot,
    DestroyTrustedPublic,
    DirectDecrypt,
    GenerateImportPair,
    GenerateRoot,
    HoldsDirect,
    ImportTrustedPublic,
    InspectDirect,
    KeyCheck,
    ListObjects,
    ObjectEntry,
    Random,
    RootCheck,
    Unwrap,
    UnwrapInRoot,
    Wrap,
    WrapOutRoot,
    Wrapped,
    call_of,
)
from strongroom.hsm.worker import BatchRun, direct_admin_calls, direct_use_calls
from strongroom.testing._events import OpenGate
from strongroom.testing._hsm import FakeHsm

_KIND = "CKA_CHECK_VALUE"
_CLOCK = SystemClock()


class FakePerformer:
    """A ``hsm.worker.Performer`` over a ``FakeHsm``. Called by HSM threads, obeys the switches of ``hsm.faults``.

    ``performed`` lists the calls that were begun, in that order: they are facts about the HSM's work, such as
    that a call which came too late was never begun.
    """

    def __init__(self, hsm: FakeHsm, gate: ApprovalGate | None = None, *, limit_s: float = 5.0) -> None:
        self.performed: list[msgspec.Struct] = []
        self.is_closed = False
        self._hsm = hsm
        self._gate = OpenGate() if gate is None else gate
        self._limit_s = limit_s
        self._use: dict[type, Callable[[Any], object]] = {
            Wrap: self._wrap,
            Unwrap: self._unwrap,
            Random: lambda call: hsm.random(call.n_bytes).reveal(),
            RootCheck: lambda call: KeyCheck(_KIND, hsm.root_check_value(RootId(call.root_id))),
            ListObjects: lambda _: [ObjectEntry(*held, is_ghost=False) for held in hsm.objects()],
            HoldsDirect: lambda call: hsm.direct.holds(call.key),
            InspectDirect: lambda call: hsm.direct.inspect(call.key, may_leave=call.may_leave),
            **direct_use_calls(hsm.direct),
        }
        self._admin: dict[type, Callable[[Any], object]] = {
            GenerateRoot: lambda call: KeyCheck(_KIND, hsm.generate_root(RootId(call.root_id), call.label)),
            GenerateImportPair: lambda call: hsm.generate_import_pair(call.cka_id, call.label),
            ImportTrustedPublic: lambda call: hsm.import_trusted_public(
                call.cka_id, call.label, call.spki_der
            ),
            DestroyImportPair: lambda call: hsm.destroy_import_pair(call.cka_id),
            DestroyTrustedPublic: lambda call: hsm.destroy_trusted_public(call.cka_id),
            DestroyRoot: lambda call: hsm.destroy_root(RootId(call.root_id)),
            WrapOutRoot: lambda call: hsm.wrap_out_root(RootId(call.root_id), call.wrapping_cka_id),
            UnwrapInRoot: lambda call: KeyCheck(
                _KIND,
                hsm.unwrap_in_root(
                    RootId(call.root_id),
                    call.label,
                    call.import_cka_id,
                    call.wrapped,
                    expected=call.expected.value,
                ),
            ),
            **direct_admin_calls(hsm.direct),
        }

    @property
    def is_broken(self) -> bool:
        """What ``faults.is_broken`` says."""
        return self._hsm.faults.is_broken

    def batch(self, items: Sequence[BatchItem]) -> BatchRun:
        """Begin a batch; each item obeys the switches, as a call of its own."""
        return _FakeRun(self, items)

    def limit_s(self, _call: msgspec.Struct) -> float:
        """How long a call may run, in seconds: the same for all."""
        return self._limit_s

    def close(self) -> None:
        """Log out, as far as a fake has to: another worker may go on with the same fake."""
        self.is_closed = True

    def perform(self, call: msgspec.Struct, *, within_s: float | None = None) -> object:  # noqa: ARG002
        """Do what a call asks, or what the switches say. Raises HsmError, ApprovalRequiredError."""
        self.performed.append(call)
        self._hsm.faults.hold_up()
        failing = self._hsm.faults.next_failure()
        if failing is None:
            return self._perform(call)
        if failing.happened:
            self._perform(call)
        raise failing.error()

    def _perform(self, call: msgspec.Struct) -> object:
        use = self._use.get(type(call))
        if use is not None:
            return use(call)
        admin = self._admin.get(type(call))
        if admin is None:
            raise HsmRequestError(f"this worker does not perform {type(call).__name__}")
        self._gate.check(type(call).__name__, msgspec.structs.asdict(call))
        return admin(call)

    def _wrap(self, call: Wrap) -> Wrapped:
        made = self._hsm.wrap(RootId(call.root_id), Secret(call.key_bytes), call.aad)
        return Wrapped(int(made.algorithm), made.iv, made.ciphertext, made.tag)

    def _unwrap(self, call: Unwrap) -> bytes:
        try:
            algorithm = WrapAlgorithm(call.algorithm)
        except ValueError:
            raise HsmRequestError(f"wrap algorithm {call.algorithm} is not known") from None
        wrapped = WrappedBytes(algorithm, call.iv, call.ciphertext, call.wrap_tag)
        return self._hsm.unwrap(RootId(call.root_id), wrapped, call.aad).reveal()


class _FakeRun:
    """A batch of a ``FakePerformer``: at least one item a slice."""

    def __init__(self, performer: FakePerformer, items: Sequence[BatchItem]) -> None:
        self.answers: list[BatchAnswer] = []
        self._performer = performer
        self._items = items

    def advance(self, slice_s: float, *, within_s: float) -> None:
        ends_at = _CLOCK.monotonic() + slice_s
        while len(self.answers) < len(self._items):
            call = call_of(self._items[len(self.answers)])
            try:
                made = self._performer.perform(call, within_s=within_s)
            except HsmError as error:
                self.answers.append(error)
            else:
                self.answers.append(_core_answer(call, made))
            if _CLOCK.monotonic() >= ends_at:
                return


def _core_answer(call: msgspec.Struct, made: Any) -> BatchAnswer:
    if isinstance(made, Wrapped):
        return WrappedBytes(WrapAlgorithm(made.algorithm), made.iv, made.ciphertext, made.wrap_tag)
    answer: BatchAnswer = Secret(made) if isinstance(call, Unwrap | DirectDecrypt) else made
    return answer
