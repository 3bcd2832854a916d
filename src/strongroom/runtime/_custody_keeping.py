"""Main's part in custody: it carries the chain and approved acts to the members, which judge for themselves.

Nothing here lets anything be done. Main looks at an approval too, before it writes a tombstone or begins to make a key, so that
nothing is begun that members would refuse; but what counts is what each member worker finds. When a worker starts, and when
officers or rules have changed, it is shown the records of the chain that it lacks; right before a call that needs an approval it
is handed the approved act. A member that was away when a key was destroyed is handed the act of then.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from strongroom.core import (
    ApprovalRequiredError,
    AuditUnavailableError,
    Clock,
    EventSink,
    HsmKeyId,
    is_backup_transport,
)
from strongroom.custody import (
    UNDO_S,
    ApprovalRefusedError,
    ApprovalRequest,
    Chain,
    CustodyError,
    Json,
    Refusal,
    document_hash,
    make_evidence,
    read_document,
)
from strongroom.hsm.wire import (
    AdmitAct,
    DestroyDirect,
    DestroyRoot,
    GenerateDirect,
    GenerateRoot,
    RejectAct,
    WireClient,
    WrapOut,
)
from strongroom.runtime._approved_acts import ApprovedAct, approved_act, request_named, signatures_of
from strongroom.runtime._begun_acts import BegunActs
from strongroom.runtime._custody_telling import STEP_LIMIT_S, CustodyTelling, WorkerDoor, show
from strongroom.runtime._late_acts import LateActs
from strongroom.service import JOBS, ApprovalDesk, Asker
from strongroom.storage import HsmKeyRecord, HsmKeyState, Store
from strongroom.wiring.custody_used import UsedRecordError


class CustodyKeeping:
    """Carries custody to the workers. Belongs to the event loop of main."""

    def __init__(
        self,
        store: Store,
        chain: Chain,
        *,
        begun: Path,
        desk: ApprovalDesk | None = None,
        events: EventSink,
        clock: Clock,
    ) -> None:
        """``chain``: verified from the genesis that the home names, up to any record. ``begun``: the file of what main began.

        ``desk``: where main asks officers for what nobody named an approval for; without it that is refused.
        """
        self._store = store
        self._chain = chain
        self._events = events
        self._clock = clock
        self._desk = desk
        self._begun = BegunActs(begun, clock=clock)
        self._late = LateActs(store, self._begun, clock=clock)
        self._trouble = ""
        self._under_way: dict[tuple[str, str], ApprovedAct] = {}
        self._telling: asyncio.Task[None] | None = None

    @property
    def chain(self) -> Chain:
        """The chain as the database has it now, as far as it verifies. Raises StorageError."""
        self._follow_database()
        return self._chain

    def start(self, doors: Callable[[], Iterable[WorkerDoor]]) -> None:
        """Begin to show the workers that run (``doors()``) each change of officers and rules, and what was rejected."""
        telling = CustodyTelling(self._store, self, events=self._events)
        self._telling = asyncio.ensure_future(telling.run(doors))

    def close(self) -> None:
        """End."""
        if self._telling is not None:
            self._telling.cancel()

    def head(self) -> str:
        """Return the hash of the newest document, as the database has it now. Raises StorageError."""
        return self.chain.state.head

    async def introduce(self, door: WorkerDoor, rejections: Iterable[RejectAct] = ()) -> None:
        """Show a worker the chain as far as it lacks it, and what was rejected. Raises HsmError when it does not answer.

        One that remembers a later record than the database has, or another, lets nothing be done that needs an approval; it
        is told as an event, and may serve otherwise.
        """
        self._follow_database()
        client = await WireClient.connect(door.admin_path, only_pid=door.pid)
        try:
            await show(client, door.member, self._chain, self._events)
            for rejection in rejections:
                with contextlib.suppress(ApprovalRequiredError):  # it is over anyway, or was told before
                    await client.call(rejection, timeout_s=STEP_LIMIT_S)
        finally:
            client.close()

    async def before(self, client: WireClient, member: str, call: msgspec.Struct) -> None:
        """Hand a worker what it has to know before a call. Raises ApprovalRequiredError where that does not suffice, HsmError."""
        act = self._act_of(call)
        if act is None and isinstance(call, DestroyDirect):
            act = await self._replacement(member, call.key.key_id)
        if act is None:
            return  # it may need none: what was just made is undone
        self._follow_database()
        await show(client, member, self._chain, self._events)
        await client.call(act.admission, timeout_s=STEP_LIMIT_S)

    def approved(self, approval: str, verb: str, parameters: Mapping[str, Json]) -> ApprovedAct:
        """Return an act as members are to be handed it, if officers approved just this and it can still be done.

        Raises ApprovalRequiredError, and StorageError.
        """
        record = request_named(self._store, approval)
        if record is None:
            raise ApprovalRequiredError(
                f"{verb} needs the approval of officers, and there is none",
                next_step="have it approved: strongroom approvals list",
            )
        self._follow_database()
        try:
            return approved_act(
                self._store, record, verb, parameters, state=self._chain.state, now=int(self._clock.now())
            )
        except CustodyError as error:
            raise ApprovalRequiredError(f"{verb}: {error.message}", next_step=error.next_step) from error

    async def claimed(self, approval: str, verb: str, parameters: Mapping[str, Json], by: str) -> ApprovedAct:
        """Do what ``approved`` does and spend the request, where nobody did before: for who asks main itself.

        Where no approval is named, one that covers the act is looked for, and officers are asked if there is none. Raises
        ApprovalRequiredError, which then names the request, also when another was faster, and StorageError.
        """
        if not approval and self._desk is not None:
            ticket = await self._desk.require(verb, parameters, Asker(by))
            act = self.approved("" if ticket is None else ticket.approval, verb, parameters)
            self.begin(act)
            return act
        act = self.approved(approval, verb, parameters)
        if not act.admission.parameters:
            now = self._clock.now()
            if not await self._store.write(
                lambda tx: tx.claim_approval(act.approval, executed_at=now, by=by)
            ):
                raise ApprovalRequiredError(f"{verb}: {Refusal.ALREADY_USED.value}")
            await self._tell_claimed(act, by)
        self.begin(act)
        return act

    async def _tell_claimed(self, act: ApprovedAct, by: str) -> None:
        """Have it in the audit log that the act begins; where that cannot be, the request can be used again."""
        if self._desk is not None:
            try:
                await self._desk.tell_claimed(act.approval, Asker(by))
            except AuditUnavailableError:
                await self._store.write(lambda tx: tx.release_approval(act.approval))
                raise

    def begin(self, act: ApprovedAct) -> None:
        """Note durably, before it is done, that an act is begun (``BegunActs``). Raises ApprovalRequiredError, UsedRecordError."""
        self._begun.begin(act.admission)

    def begun(self, approval: str) -> ApprovedAct | None:
        """Return a request as members are handed it, with when main began it; None if there is none. Raises StorageError, UsedRecordError."""
        record = request_named(self._store, approval)
        if record is None:
            return None
        began = self._begun.began(read_document(record.document, ApprovalRequest))
        return ApprovedAct(
            record.id, AdmitAct(record.document, signatures_of(self._store, record.id), began or 0)
        )

    def root_named(self, approval: str) -> str:
        """Return the root that a request is about, in hex, as far as it says; nothing is judged by it. Raises StorageError."""
        record = request_named(self._store, approval)
        try:
            request = None if record is None else read_document(record.document, ApprovalRequest)
        except CustodyError:
            return ""
        return "" if request is None else str(request.parameters.get("root_id", ""))

    async def release(self, act: ApprovedAct) -> None:
        """Let a request be used again whose act had no effect. A member that spent it refuses it all the same."""
        if not act.admission.parameters:
            await self._store.write(lambda tx: tx.release_approval(act.approval))

    def evidence_sha256(self, act: ApprovedAct) -> str:
        """Return the hash of the evidence of an act that was claimed; empty for one under a standing approval."""
        record = None if act.admission.parameters else self._store.get_approval(act.approval)
        if record is None or record.executed_at is None:
            return ""
        request, executed = read_document(record.document, ApprovalRequest), int(record.executed_at)
        return document_hash(make_evidence(self._chain, request, act.admission.signatures, executed=executed))

    @contextlib.contextmanager
    def carrying(self, act: ApprovedAct | None, kind: str, names: Iterable[str]) -> Iterator[None]:
        """Hand an act to members before calls that concern these objects, while the block runs. None: there is none.

        ``kind`` and names: ``make`` and the label of a new key, ``make-root`` and nothing, ``key`` or ``root`` and its id in hex,
        ``backup`` and the id of the backup set in hex.
        """
        keys = [(kind, name) for name in names]
        if act is not None:
            self._under_way.update(dict.fromkeys(keys, act))
        try:
            yield
        finally:
            for key in keys if act is not None else ():
                self._under_way.pop(key, None)

    def lets_destroy(self, record: HsmKeyRecord) -> bool:
        """Whether members will let a Direct key be destroyed that belongs to no version. Raises StorageError."""
        is_young = self._clock.now() - record.created_at < UNDO_S / 2
        return is_young or self._find_late("DestroyHsmKey", record.key_id.hex()) is not None

    def _act_of(self, call: msgspec.Struct) -> ApprovedAct | None:
        """Return the act that a call is part of: one under way, or of before."""
        if isinstance(call, GenerateDirect):
            return self._under_way.get(("make", call.label))
        if isinstance(call, GenerateRoot):
            return self._under_way.get(("make-root", ""))
        if isinstance(call, DestroyDirect):
            return self._destruction("key", "DestroyHsmKey", call.key.key_id.hex())
        if isinstance(call, DestroyRoot):
            return self._destruction("root", "RetireRoot", call.root_id.hex())
        if isinstance(call, WrapOut) and is_backup_transport(call.transport_id):
            return next((self._under_way[key] for key in self._under_way if _is_of_set(key, call)), None)
        return None

    def _destruction(self, kind: str, verb: str, name: str) -> ApprovedAct | None:
        under_way = self._under_way.get((kind, name))
        if under_way is not None:
            return under_way
        act = self._find_late(verb, name)
        if act is not None and not act.admission.executed:
            self.begin(act)
        return act

    def _find_late(self, verb: str, name: str) -> ApprovedAct | None:
        self._follow_database()
        try:
            return self._late.find(verb, name, self._chain.state)
        except UsedRecordError as error:
            self._events.emit("custody.broken", cause=error.message)
            return None

    async def _replacement(self, member: str, key_id: HsmKeyId) -> ApprovedAct | None:
        """Ask officers for the end of a key on one member that is to get it anew; None where they have not approved it."""
        record = self._store.get_hsm_key(key_id)
        if self._desk is None or record is None or record.state is not HsmKeyState.ACTIVE:
            return None
        parameters = {"member": member, "hsm_keys": [key_id.hex()]}
        try:
            return await self.claimed("", "ReplaceHsmKey", parameters, JOBS.requester)
        except ApprovalRequiredError as error:  # the member says whether it needs one
            self._events.emit(
                "custody.replacement_waits", member=member, key=key_id.hex(), cause=error.message
            )
            return None

    def _follow_database(self) -> None:
        """Take in what was added to the chain. What does not hold together is told once. Raises StorageError."""
        last = self._store.get_last_custody_sequence()
        if last is not None and last == self._chain.state.sequence:
            return
        try:
            documents = self._store.get_custody_documents()[self._chain.state.sequence + 1 :]
            chain = self._chain
            for record in documents:
                chain = chain.extended(record.document)
            if not documents:
                raise ApprovalRefusedError(Refusal.BEHIND)
        except CustodyError as error:
            if error.message != self._trouble:
                self._trouble = error.message
                self._events.emit("custody.broken", cause=error.message)
            return
        self._chain, self._trouble = chain, ""
        self._events.emit("custody.changed", record=chain.state.sequence, head=chain.state.head)


def _is_of_set(key: tuple[str, str], call: WrapOut) -> bool:
    kind, name = key
    return kind == "backup" and is_backup_transport(call.transport_id, bytes.fromhex(name))
