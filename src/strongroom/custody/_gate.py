"""``ActGate``: the ``ApprovalGate`` of a member worker, which lets a call run when an approved act covers it.

It believes nobody: it verifies the chain from the genesis that its token pins, counts the signatures on each act itself, when
the act comes and again when it is done, and spends it before the call runs. What it knows ends with its process but for what
the pin and ``SpentActs`` keep; main tells it the rest again.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from strongroom.core import ApprovalRequiredError, Clock, HsmKeyNotFoundError, StrongroomError
from strongroom.custody._act_calls import Often, Part, acts_covering, is_free, part_covered
from strongroom.custody._acts import LATE_ACTS, LATE_S, SESSION_S
from strongroom.custody._admitted import ENDS, MAKES, Admitted, CalledObject, act_of, object_of
from strongroom.custody._canonical import canonical_json
from strongroom.custody._chain import Chain
from strongroom.custody._documents import (
    MAX_REQUEST_BYTES,
    ApprovalRequest,
    Record,
    document_hash,
    read_document,
)
from strongroom.custody._errors import ApprovalRefusedError, ChainError, CustodyError, Refusal
from strongroom.custody._pin import Pin
from strongroom.custody._quorum import MAX_CLOCK_SKEW_S, require_quorum, require_standing
from strongroom.custody._requests import OpenRequest
from strongroom.custody._spent_acts import SpentActs
from strongroom.custody._standing import require_covered, use_standing

MAX_ADMITTED: Final = 64


class _WholeRequests:
    """``UsedNonces`` by what a member remembers: as long as it could take an act late."""

    def __init__(self, used: SpentActs) -> None:
        self._used = used

    def spend(self, nonce: str, *, until: int) -> None:
        self._used.spend_part(nonce, "", until=until + LATE_S)


class ActGate:
    """The gate of one member. Safe to use from several threads."""

    def __init__(
        self,
        chain: Chain,
        pinned: Pin,
        *,
        member: str,
        clock: Clock,
        used: SpentActs,
        exists: Callable[[str, bytes], bool],
        allows_sessions: bool = False,
    ) -> None:
        """``pinned`` is what the member remembers. ``exists`` tells whether the token holds a ``key`` or a ``root`` of an id.

        ``allows_sessions``: for workers of ``members add``, which serve nobody. Raises ChainError for another genesis than the
        pinned one.
        """
        if chain.states[0].head != pinned.genesis_sha256:
            raise ChainError("genesis", "it is not the one that the member pinned")
        self._pinned = pinned
        self._member = member
        self._clock = clock
        self._used = used
        self._exists = exists
        self._allows_sessions = allows_sessions
        self._lock = threading.Lock()
        # Of the lock:
        self._chain = chain
        self._admitted: dict[tuple[str, bytes], Admitted] = {}
        self._in_flight: dict[tuple[str, str], tuple[str, str, int]] = {}
        self._unwritten: set[tuple[str, str]] = set()

    @property
    def reached(self) -> Pin:
        """The genesis, and the newest record that the gate was shown."""
        state = self._chain.state
        return Pin(self._chain.states[0].head, state.sequence, state.head)

    def follow(self, records: Sequence[bytes]) -> Pin:
        """Take changes of officers and rules in; returns how far it came. What was admitted before is void then.

        Raises ChainError for a record that nobody approved, and for another one than the member followed in its place; what
        stood before it was taken in.
        """
        with self._lock:
            for data in records:
                self._follow(data)
        return self.reached

    def admit(
        self, request: bytes, signatures: Sequence[bytes], *, executed: int = 0, parameters: bytes = b""
    ) -> None:
        """Hold an act ready for the calls that it covers (``AdmitAct``).

        Raises ApprovalRefusedError and MalformedDocumentError. ``MAX_ADMITTED`` wait at most; the oldest makes room.
        """
        act = act_of(request, signatures, executed, parameters)
        key = (act.request.nonce, canonical_json(act.parameters))
        with self._lock:
            now = int(self._clock.now())
            self._verify(act, now)
            self._admitted = {k: one for k, one in self._admitted.items() if one.executed or one.ends > now}
            self._admitted.pop(key, None)
            while len(self._admitted) >= MAX_ADMITTED:
                del self._admitted[next(iter(self._admitted))]  # the oldest: whoever sent it sends it again
            self._admitted[key] = act

    def reject(self, request: bytes, signature: bytes) -> None:
        """Remember that a request was rejected, or a standing approval taken back (``OpenRequest.rejected``).

        Raises ApprovalRefusedError for a rejection that does not count, or of what was spent before, MalformedDocumentError.
        """
        rejected = read_document(request, ApprovalRequest, max_bytes=MAX_REQUEST_BYTES)
        with self._lock:
            self._require_reached()
            now = int(self._clock.now())
            OpenRequest(rejected).rejected(
                self._chain.state, signature, now=now, used=_WholeRequests(self._used)
            )
            self._admitted = {
                key: act for key, act in self._admitted.items() if act.request.nonce != rejected.nonce
            }

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:
        """Return if the call may run, and spend its approval. Raises ApprovalRequiredError.

        Whoever runs it then tells ``ended``.
        """
        made = object_of(verb, parameters, MAKES)
        is_new = made is not None and not self._exists(made.kind, made.cka_id)
        with self._lock:
            now = int(self._clock.now())
            try:
                self._require(verb, parameters, now)
            except CustodyError as error:
                raise ApprovalRequiredError(
                    f"{verb}: {error.message}",
                    next_step="have officers approve it: strongroom approvals list",
                ) from error
            if made is not None and is_new:
                self._used.note_made(made.name, now=now)

    def ended(self, verb: str, parameters: Mapping[str, object], failure: Exception | None) -> None:
        """Take notice of what became of a call. A destruction that failed, or a change, may be tried again under its approval."""
        destroyed = object_of(verb, parameters, ENDS)
        name = str(parameters.get("change", "")) if destroyed is None else destroyed.name
        with self._lock:
            flight = self._in_flight.pop((verb, name), None)
            if flight is None or not (failure is None or isinstance(failure, HsmKeyNotFoundError)):
                return
            nonce, part, until = flight
            try:
                self._used.spend_part(nonce, part, until=until)
            except StrongroomError:
                # It is done and gone. On a full disk it is spent in this process only: the key's id is never given anew.
                self._unwritten.add((nonce, part))

    def _follow(self, data: bytes) -> None:
        try:
            sequence = read_document(data, Record).sequence
        except CustodyError as error:
            raise ChainError(f"record {len(self._chain.states)}", error.message) from error
        if sequence < len(self._chain.states):
            if self._chain.states[sequence].head != document_hash(data):
                raise ChainError(f"record {sequence}", "this member followed another one in its place")
            return
        chain = self._chain.extended(data)
        if sequence == self._pinned.sequence and chain.state.head != self._pinned.head:
            raise ChainError(f"record {sequence}", "this member followed another one in its place")
        self._chain = chain
        self._admitted.clear()

    def _require(self, verb: str, parameters: Mapping[str, object], now: int) -> None:
        if is_free(verb, parameters):
            return
        destroyed = object_of(verb, parameters, ENDS)
        if destroyed is not None and self._used.was_made(destroyed.name, now=now):
            return
        self._require_reached()
        could = acts_covering(verb)
        refusal = ApprovalRefusedError(
            Refusal.OTHER_VERB if self._admitted else Refusal.NO_APPROVAL,
            ", ".join(sorted({act.verb for act in self._admitted.values()})),
        )
        for act in [act for act in self._admitted.values() if act.verb in could]:
            part = part_covered(act.verb, act.parameters, verb, parameters, member=self._member)
            if part is None:
                refusal = ApprovalRefusedError(Refusal.OTHER_PARAMETERS, act.verb)
                continue
            try:
                self._spend(act, part, verb, destroyed, now)
            except ApprovalRefusedError as error:
                refusal = error
                continue
            return
        raise refusal

    def _require_reached(self) -> None:
        if self._chain.state.sequence < self._pinned.sequence:
            raise ApprovalRefusedError(
                Refusal.BEHIND,
                f"record {self._chain.state.sequence}, not record {self._pinned.sequence}",
            )

    def _verify(self, act: Admitted, now: int) -> None:
        """Count the signatures under the rules that are to be asked. Raises ApprovalRefusedError."""
        self._require_reached()
        state, request = self._chain.state, act.request
        if act.is_standing:
            _, terms = require_standing(state, request, act.signatures)
            require_covered(terms, act.verb, act.parameters, now=now)
        elif act.executed:
            self._verify_late(act, now)
        else:
            require_quorum(state, request, act.signatures, now=now)
        if request.created < self._used.begins:
            raise ApprovalRefusedError(Refusal.FORGOTTEN)
        self._used.require_unspent(request.nonce, "")  # another process of the member may have been told

    def _verify_late(self, act: Admitted, now: int) -> None:
        """Count the signatures as they counted when the act was begun, of which main's word is all there is."""
        state, request = self._chain.state, act.request
        if act.verb not in LATE_ACTS:
            raise ApprovalRefusedError(Refusal.NOT_LATE, act.verb)
        if request.cluster != state.cluster:
            raise ApprovalRefusedError(Refusal.OTHER_CLUSTER)
        if act.executed > now + MAX_CLOCK_SKEW_S:
            raise ApprovalRefusedError(Refusal.NOT_YET)
        if now >= request.expires + LATE_S:
            raise ApprovalRefusedError(Refusal.EXPIRED, "long ago")
        try:
            then = self._chain.state_named(request.state)
        except ChainError as error:
            raise ApprovalRefusedError(Refusal.POLICY_CHANGED, error.message) from error
        if then is not state and act.executed > self._chain.state_at(then.sequence + 1).at:
            raise ApprovalRefusedError(Refusal.POLICY_CHANGED, "before it was begun")
        require_quorum(then, request, act.signatures, now=act.executed)

    def _spend(self, act: Admitted, part: Part, verb: str, destroyed: CalledObject | None, now: int) -> None:
        self._verify(act, now)
        nonce = act.request.nonce
        if act.is_standing:
            self._use(act, part, now)
        elif part.often in {Often.SESSION, Often.RUN}:
            if part.often is Often.SESSION and not self._allows_sessions:
                raise ApprovalRefusedError(Refusal.NOT_COVERED, "this member serves")
            began = self._used.begin_session(nonce, until=act.until, now=now)
            if not began <= now < began + SESSION_S:
                raise ApprovalRefusedError(Refusal.EXPIRED, "its hour is over")
        elif part.often is Often.EACH_ONCE and destroyed is not None:
            if (nonce, part.name) in self._unwritten:
                raise ApprovalRefusedError(Refusal.ALREADY_USED)
            if (verb, destroyed.name) in self._in_flight:
                raise ApprovalRefusedError(Refusal.UNDER_WAY)
            self._used.require_unspent(nonce, part.name)
            self._in_flight[verb, destroyed.name] = (nonce, part.name, act.until)
        elif part.often is Often.CHANGE:
            self._used.begin_change(nonce, part.name, until=act.until)
            self._in_flight[verb, part.name] = (nonce, "", act.until)
        else:
            self._used.spend_part(nonce, "", until=act.until)

    def _use(self, act: Admitted, part: Part, now: int) -> None:
        """Use a standing approval: each call on a member is a use of it there, or each hour of them (``Often.RUN``)."""
        if part.often is Often.SESSION:
            raise ApprovalRefusedError(Refusal.NOT_COVERED, "no standing approval covers a session")
        if part.often is Often.RUN:
            last = self._used.last_use(act.request.nonce)
            if last is not None and last <= now < last + SESSION_S:
                return  # it is of the use that was counted then
        use_standing(
            self._chain.state,
            act.request,
            act.signatures,
            verb=act.verb,
            parameters=act.parameters,
            now=now,
            uses=self._used,
        )
