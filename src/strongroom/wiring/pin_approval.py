"""Whether officers approved that a PIN is set: judged by the process that calls C_SetPIN, between its login and that call.

What counts is what the token pinned, which its user's login shows; workers of the security officer, who sees no private object,
go by the copy of the pin, as where the token keeps none. Where nothing is pinned and the home has no genesis, nobody is asked.
"""

from pathlib import Path

from strongroom.core import ApprovalRequiredError, Clock, HsmIntegrityError
from strongroom.custody import ActGate, CustodyError
from strongroom.hsm.token import KeptValues, Profile
from strongroom.wiring.bootstrap import MemberBootstrap
from strongroom.wiring.custody_gate import gates_of_member
from strongroom.wiring.custody_pins import pin_of_member

SET_PIN = "SetPin"


class PinApproval:
    """What one worker that changes a PIN asks before it does."""

    def __init__(self, bootstrap: MemberBootstrap, profile: Profile, *, clock: Clock) -> None:
        self._bootstrap = bootstrap
        self._profile = profile
        self._clock = clock
        self._gate: ActGate | None = None

    def require(self, change_id: str, kept: KeptValues) -> None:
        """Return if this change may set the PIN; the approval is then this change's alone, until ``was_set`` ends it.

        Raises ApprovalRequiredError, HsmIntegrityError where genesis and pin do not fit each other, UsedRecordError and HsmError.
        """
        self._gate = self._gate_of_pinned(kept)
        if self._gate is None:
            return
        change = self._bootstrap.approved_change
        if change is None:
            raise ApprovalRequiredError(
                f"changing a PIN of member {self._bootstrap.name} takes an approved RotatePin"
            )
        try:
            self._gate.follow(change.records)
            self._gate.admit(
                change.request, change.signatures, executed=change.executed, parameters=change.parameters
            )
        except CustodyError as error:
            raise ApprovalRequiredError(error.message, next_step=error.next_step) from error
        self._gate.check(SET_PIN, self._call(change_id))

    def was_set(self, change_id: str) -> None:
        """The approval is used up."""
        if self._gate is not None:
            self._gate.ended(SET_PIN, self._call(change_id), None)

    def _call(self, change_id: str) -> dict[str, str]:
        return {"member": self._bootstrap.name, "role": self._bootstrap.pin_role, "change": change_id}

    def _gate_of_pinned(self, kept: KeptValues) -> ActGate | None:
        bootstrap = self._bootstrap
        copy = Path(bootstrap.custody_folder) / "pins" / bootstrap.name if bootstrap.custody_folder else None
        sees = self._profile.data_objects and bootstrap.pin_role == "user"
        pinned = pin_of_member(bootstrap.name, copy, kept if sees else None)
        if pinned is not None:
            make = gates_of_member(bootstrap, lambda _kind, _cka_id: True, clock=self._clock)
            return make(pinned, bootstrap.genesis)
        if bootstrap.genesis:
            raise HsmIntegrityError(
                f"the home has officers, and member {bootstrap.name} never pinned their genesis",
                next_step="its initialisation did not end, or somebody changed its token: docs/custody.md",
            )
        return None
