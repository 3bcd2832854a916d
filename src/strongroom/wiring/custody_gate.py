"""``MemberCustody``: what a member worker knows of officers, and how it judges calls by it.

| Worker | Without a pin | With a pin |
|---|---|---|
| serves | as homes without officers do (``StandingGate``); refuses to serve where the home has a genesis | what an approved act covers |
| of ``init``, ``members add`` | everything, ``PinCustody`` too | what an approved ``AddMember`` covers, besides |

A worker whose member pinned a genesis does not run at all without that very genesis, so nobody gets round the officers by taking
the file away. The security officer sees no private object, so workers with that login go by the copy of the pin.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from strongroom.core import (
    ApprovalGate,
    ApprovalRequiredError,
    Clock,
    HsmIntegrityError,
    HsmRequestError,
    RootId,
    StrongroomError,
    root_object_ids,
)
from strongroom.custody import ActGate, Chain, CustodyError, Pin, document_hash
from strongroom.hsm.token import Profile, Token
from strongroom.hsm.wire import CustodyPlace
from strongroom.wiring.bootstrap import MemberBootstrap
from strongroom.wiring.custody_pins import MemberPins
from strongroom.wiring.custody_used import UsedActs
from strongroom.wiring.events import LoggedEvents
from strongroom.wiring.standing_gate import StandingGate

_ROOT_ID_BYTES: Final = 16
MakeGate = Callable[[Pin, bytes], ActGate]
"""Makes the gate of a pin and a genesis. Raises HsmIntegrityError when they do not fit each other."""


class InitialisationGate:
    """Lets every admin verb through: for the workers of ``init`` only, before anybody else can reach them.

    Such a worker is started by ``init`` itself, through a pipe, on a home that serves nobody yet.
    """

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:
        """Allow."""


class MemberCustody:
    """The ``ApprovalGate`` and the ``CustodyDoor`` of one worker. Safe to use from several threads."""

    def __init__(
        self,
        make_gate: MakeGate,
        *,
        without: ApprovalGate,
        pins: MemberPins,
        used_path: Path,
        may_pin: bool,
        genesis: bytes,
    ) -> None:
        """``without`` judges where nothing is pinned when the worker starts. ``may_pin``: whether a genesis may be pinned.

        Raises HsmIntegrityError when what is pinned cannot be read or does not fit ``genesis``, and HsmError.
        """
        self._make_gate = make_gate
        self._without = without
        self._pins = pins
        self._used_path = used_path
        self._may_pin = may_pin
        self._genesis = genesis
        self._pinned = pins.read()
        self._gate = None if self._pinned is None else make_gate(self._pinned, genesis)
        self._judge: ActGate | None = self._gate
        self._lock = threading.Lock()  # for what is pinned

    @property
    def pinned(self) -> Pin | None:
        """What the member remembers."""
        return self._pinned

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:
        """Return if the call may run. Raises ApprovalRequiredError."""
        (self._judge or self._without).check(verb, parameters)

    def ended(self, verb: str, parameters: Mapping[str, object], failure: Exception | None) -> None:
        """Take notice of what became of a call."""
        if self._judge is not None:
            self._judge.ended(verb, parameters, failure)

    def place(self) -> CustodyPlace:
        """Where the member stands in the chain."""
        if self._pinned is None or self._gate is None:
            return CustodyPlace("", 0, "", 0)
        reached = self._gate.reached
        return CustodyPlace(reached.genesis_sha256, reached.sequence, reached.head, self._pinned.sequence)

    def follow(self, records: Sequence[bytes]) -> CustodyPlace:
        """Take changes of officers and rules in, and pin the newest. Raises ApprovalRequiredError and HsmError."""
        gate = self._with_officers()
        with self._lock:
            try:
                gate.follow(records)
            except CustodyError as error:
                raise ApprovalRequiredError(error.message, next_step=error.next_step) from error
            finally:
                self._remember(gate.reached)
        return self.place()

    def admit(self, request: bytes, signatures: Sequence[bytes], *, executed: int, parameters: bytes) -> None:
        """Hold an approved act ready. Raises ApprovalRequiredError."""
        gate = self._with_officers()
        try:
            gate.admit(request, signatures, executed=executed, parameters=parameters)
        except CustodyError as error:
            raise ApprovalRequiredError(error.message, next_step=error.next_step) from error

    def reject(self, request: bytes, signature: bytes) -> None:
        """Remember that a request was rejected. Raises ApprovalRequiredError, also for one that was spent before."""
        gate = self._with_officers()
        try:
            gate.reject(request, signature)
        except CustodyError as error:
            raise ApprovalRequiredError(error.message, next_step=error.next_step) from error

    def pin(self, genesis: bytes) -> CustodyPlace:
        """Pin a genesis for good. Raises ApprovalRequiredError for one that its officers did not sign, or another one.

        From then on this worker follows the chain; it lets be done what it let be done before, until it ends.
        """
        if not self._may_pin:
            raise HsmRequestError("a genesis is pinned while members are initialised, by their users")
        if self._genesis and genesis != self._genesis:
            raise ApprovalRequiredError("it is not the genesis of this home")
        try:
            chain = Chain.from_documents(genesis)
        except CustodyError as error:
            raise ApprovalRequiredError(error.message, next_step=error.next_step) from error
        name = chain.states[0].head
        with self._lock:
            if self._pinned is None:
                UsedActs.begin(self._used_path)
                pin = Pin(name, 0, name)
                self._pins.write(pin)
                self._gate = self._make_gate(pin, genesis)
                self._pinned = pin
            elif self._pinned.genesis_sha256 != name:
                raise ApprovalRequiredError("the member pinned another genesis, which it keeps for good")
        return self.place()

    def _remember(self, reached: Pin) -> None:
        if self._pinned is None or reached.sequence > self._pinned.sequence:
            self._pins.write(reached)
            self._pinned = reached

    def _with_officers(self) -> ActGate:
        if self._gate is None:
            raise HsmRequestError("this member has no officers: no genesis is pinned in it")
        return self._gate


def member_custody(
    bootstrap: MemberBootstrap, token: Token, profile: Profile, *, clock: Clock
) -> MemberCustody:
    """Build what judges the calls of a worker.

    Raises HsmIntegrityError where pin and genesis do not fit each other, for then the member is not to run, and HsmError.
    """
    name, folder, serves = bootstrap.name, Path(bootstrap.custody_folder), bootstrap.mode == "serve"
    keeps_data = profile.data_objects and bootstrap.mode != "officer"
    custody = MemberCustody(
        gates_of_member(
            bootstrap,
            # The security officer sees no private object: what it does not see may have been there all the time.
            _exists(token) if bootstrap.mode != "officer" else lambda _kind, _cka_id: True,
            clock=clock,
            allows_sessions=not serves,
        ),
        without=StandingGate() if serves else InitialisationGate(),
        pins=MemberPins(
            name,
            folder / "pins" / name if bootstrap.custody_folder else None,
            token.data if keeps_data else None,
            is_new=bootstrap.mode == "administer",
        ),
        used_path=used_path_of(bootstrap),
        may_pin=bootstrap.mode == "administer" and bool(bootstrap.custody_folder),
        genesis=bootstrap.genesis,
    )
    if serves and bootstrap.genesis and custody.pinned is None:
        raise HsmIntegrityError(
            f"the home has officers, and member {name} never pinned their genesis",
            next_step="its initialisation did not end, or somebody changed its token: docs/custody.md",
        )
    return custody


def used_path_of(bootstrap: MemberBootstrap) -> Path:
    """Where a member remembers what was done under approvals (``UsedActs``)."""
    return Path(bootstrap.custody_folder) / "used" / bootstrap.name


def gates_of_member(
    bootstrap: MemberBootstrap,
    exists: Callable[[str, bytes], bool],
    *,
    clock: Clock,
    allows_sessions: bool = False,
) -> MakeGate:
    """Return what makes the gate of a pin and a genesis, for this member. ``exists``: as ``ActGate`` asks."""
    name, events = bootstrap.name, LoggedEvents(bootstrap.name)

    def not_kept(cause: str) -> None:
        events.emit("custody.note_not_kept", cause=cause)

    def make(pinned: Pin, genesis: bytes) -> ActGate:
        if document_hash(genesis) != pinned.genesis_sha256:
            found = "another one" if genesis else "none"
            raise HsmIntegrityError(
                f"member {name} pinned the genesis {pinned.genesis_sha256}, and the home has {found}",
                next_step="put that very file in its place, custody/genesis.json: the officers have copies",
            )
        try:
            return ActGate(
                Chain.from_documents(genesis),
                pinned,
                member=name,
                clock=clock,
                used=UsedActs(used_path_of(bootstrap), clock=clock, not_kept=not_kept),
                exists=exists,
                allows_sessions=allows_sessions,
            )
        except StrongroomError as error:
            raise HsmIntegrityError(f"member {name}: {error.message}", next_step=error.next_step) from error

    return make


def _exists(token: Token) -> Callable[[str, bytes], bool]:
    def exists(kind: str, cka_id: bytes) -> bool:
        ids: tuple[bytes, ...] = (cka_id,)
        if kind == "root" and len(cka_id) == _ROOT_ID_BYTES:
            ids = root_object_ids(RootId(cka_id), token.wrap_algorithm)
        return any(map(token.holds_object, ids))

    return exists
