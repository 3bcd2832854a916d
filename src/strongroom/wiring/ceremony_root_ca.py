"""``make-root-ca``: a Direct key that may not leave its HSM, its own certificate, and a request for a certificate."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives import serialization

from strongroom.ceremony import Artefact, Console, MakeRootCa, Outcome, Step
from strongroom.config import MemberConfig, load_config
from strongroom.core import (
    Deadline,
    HsmError,
    HsmKeyNotFoundError,
    KeySpec,
    KeyUsage,
    SigningAlgorithm,
    WrapAlgorithm,
)
from strongroom.custody import Json, spoken
from strongroom.hsm.cluster import KeyReplication, RemoteAdmin, RemoteKeys, RemoteMember, Replica, Turns
from strongroom.storage import HsmKeyRecord, HsmKeyState, Store, Transaction
from strongroom.wiring.ceremony_approval import approved_step, hand_over
from strongroom.wiring.ceremony_events import QuietEvents
from strongroom.wiring.ceremony_signing import (
    Authority,
    check_certificate,
    root_certificate,
    root_request,
    signed_by_hsm,
)
from strongroom.wiring.ceremony_workplace import Workplace, administering, parameters_of, told
from strongroom.wiring.replication_rules import replication_rules
from strongroom.wiring.workers import admin_worker, member_environment

CERTIFICATE: Final = "root-ca.pem"
REQUEST: Final = "root-ca-request.pem"
_LIMIT_S: Final = 120.0


class _Opened(NamedTuple):
    """The member that has the key."""

    admin: RemoteAdmin
    replica: Replica


class MakingRootCa:
    """Makes the key once for each ceremony, known by its label; certificate and request may be made again from it."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Make the key unless this ceremony has made it, and what it signs."""
        wanted = parameters_of(step, MakeRootCa)
        with self._place.store() as store:
            async with told(console) as progress:
                record = self._made(step, store)
                if record is None:
                    progress(f"making the key ({wanted.spec}), which may not leave its HSM")
                    record = await self._place.approved(lambda: self._make(step, wanted, store))
                (holder,) = (
                    copy.member for copy in store.list_hsm_key_copies(record.key_id) if copy.state == "held"
                )
                progress(f"member {holder} signs the certificate and the request")
                return await self._signed(wanted, record, holder)

    async def resume(self, step: Step, console: Console) -> Outcome | None:
        """Go on with the key if it is there; else destroy what was not made to its end, and begin again."""
        with self._place.store() as store:
            if self._made(step, store) is not None:
                return await self.perform(step, console)
            await self._undo(step, store)
        return None

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Say which key is there: who wants it gone has it destroyed by the officers."""
        with self._place.store() as store:
            await self._undo(step, store)
            record = self._made(step, store)
        if record is None:
            return Outcome()
        facts = {"key-that-stays": record.key_id.hex()}
        said = "the key of the certificate authority stays in its HSM until officers have it destroyed (DestroyHsmKey)"
        return Outcome(facts, deviations=(said,))

    def _label(self, step: Step) -> str:
        return f"root-ca {self._place.setting.ceremony[:32]} {step.id}"[:120]

    def _made(self, step: Step, store: Store) -> HsmKeyRecord | None:
        label = self._label(step)
        return next((one for one in store.list_hsm_keys(HsmKeyState.ACTIVE) if one.label == label), None)

    async def _make(self, step: Step, wanted: MakeRootCa, store: Store) -> HsmKeyRecord:
        place, spec = self._place, KeySpec(wanted.spec)
        kind: dict[str, Json] = {"spec": str(spec), "usage": str(KeyUsage.SIGN_VERIFY), "may_leave": False}
        approved = await approved_step(place.home, store, "CreateHsmKey", kind, clock=place.clock)
        config = load_config(place.home.root)
        async with self._opened(config.cluster.members[0], store) as opened:
            await hand_over(approved, opened.admin)
            replication = KeyReplication(
                store,
                lambda: [opened.replica],
                rules=replication_rules(config.cluster),
                turns=Turns(),
                events=QuietEvents(),
                clock=place.clock,
            )
            deadline = Deadline.after(place.clock, _LIMIT_S)
            return await replication.create(
                spec, KeyUsage.SIGN_VERIFY, self._label(step), may_leave=False, deadline=deadline
            )

    async def _undo(self, step: Step, store: Store) -> None:
        """Bury what an interrupted run was making, and destroy what there is of it."""
        label, place = self._label(step), self._place
        for record in store.list_hsm_keys(HsmKeyState.PENDING):
            if record.label != label:
                continue
            buried = record._replace(state=HsmKeyState.DESTROYED, destroyed_at=place.clock.now())
            await store.write(partial(Transaction.move_hsm_key, record=buried, was=HsmKeyState.PENDING))
            async with self._opened(load_config(place.home.root).cluster.members[0], store) as opened:
                with contextlib.suppress(HsmKeyNotFoundError):
                    deadline = Deadline.after(place.clock, _LIMIT_S)
                    await opened.replica.keys.destroy_direct(record.key, deadline=deadline)

    async def _signed(self, wanted: MakeRootCa, record: HsmKeyRecord, holder: str) -> Outcome:
        place, spki = self._place, record.public_key
        authority = Authority(wanted.common_name, wanted.organisation, wanted.country, wanted.valid_years)
        (member,) = (one for one in place.members() if one.name == holder)
        with place.store() as store:
            async with self._opened(member, store) as opened:

                async def sign(algorithm: SigningAlgorithm, digest: bytes) -> bytes:
                    deadline = Deadline.after(place.clock, _LIMIT_S)
                    return await opened.replica.use.sign(record.key, algorithm, digest, deadline=deadline)

                deadline = Deadline.after(place.clock, _LIMIT_S)
                changed = await opened.replica.keys.inspect_direct(
                    record.key, may_leave=False, deadline=deadline
                )
                if changed:
                    raise HsmError(f"the key is not as it was made: {', '.join(changed)}")
                builder = root_certificate(authority, spki, now=place.clock.now())
                certificate = await signed_by_hsm(builder, record.spec, spki, sign)
                check_certificate(certificate, spki)
                request = await signed_by_hsm(root_request(authority, spki), record.spec, spki, sign)
        artefacts = (_kept(place, CERTIFICATE, certificate), _kept(place, REQUEST, request))
        return Outcome(_facts(record, holder, certificate), artefacts)

    @contextlib.asynccontextmanager
    async def _opened(self, member: MemberConfig, store: Store) -> AsyncIterator[_Opened]:
        home = self._place.home
        algorithm = WrapAlgorithm(store.list_roots()[-1].wrap_algorithm)
        bootstrap = administering(home, member, algorithm)
        async with admin_worker(bootstrap, member_environment(member, home)) as admin:
            use = RemoteMember(member.name, bootstrap.use_path)
            keys = RemoteKeys(member.name, bootstrap.admin_path)
            with contextlib.closing(use), contextlib.closing(keys):
                yield _Opened(admin, Replica(member.name, keys, use))


def _kept(place: Workplace, name: str, made: Any) -> Artefact:
    return place.keep(name, made.public_bytes(serialization.Encoding.PEM))


def _facts(record: HsmKeyRecord, holder: str, certificate: Any) -> dict[str, Json]:
    digest = hashlib.sha256(record.public_key).hexdigest()
    return {
        "key-id": record.key_id.hex(),
        "spec": str(record.spec),
        "member": holder,
        "may-leave": False,
        "attributes-read-back": "as it was made: inside the HSM, sensitive, not extractable, for signing only",
        "public-key-sha256": digest,
        "public-key-in-words": " ".join(spoken(digest)),
        "certificate-serial": f"{certificate.serial_number:x}",
        "certificate-subject": certificate.subject.rfc4514_string(),
        "certificate-ends": certificate.not_valid_after_utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
    }
