"""What the owner of a home does about principals and their access keys, beside the running service.

The database and the audit log (its writer is called ``principals``) are opened as the service does; secrets are wrapped
through the members' use sockets, which the service's control socket names. API processes notice every change.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple, Self, TypeVar

import msgspec

from strongroom.audit import AuditLog
from strongroom.config import Config, Home
from strongroom.core import Clock, EventSink, NoMemberError, Secret, StrongroomError
from strongroom.hsm.cluster import ClusterTable, HsmCluster
from strongroom.hsm.wire import FrameBuffer, peer_uid
from strongroom.keyring import (
    CREDENTIALS,
    CacheLimits,
    DomainStateError,
    KekCiphers,
    make_access_key,
    store_access_key,
)
from strongroom.service import Counted
from strongroom.storage import AccessKeyRecord, Store
from strongroom.wiring.home import runtime_folder_path
from strongroom.wiring.principal_duties import PrincipalDuties, PrincipalError

T = TypeVar("T")

MAX_ACCESS_KEYS: Final = 10
"""Access keys that one principal may have."""
_WRITER: Final = "principals"
_PRINCIPAL: Final = re.compile(r"(?:user|role)/[A-Za-z0-9+=,.@_-]{1,64}")
_TABLE_WAIT_S: Final = 5.0
_HSM_LIMIT_S: Final = 15.0
_READ_BYTES: Final = 1 << 16
_ALL: Final = 1_000_000_000
_TRIES: Final = 3


class NewAccessKey(NamedTuple):
    """An access key and its secret, which is shown this once."""

    record: AccessKeyRecord
    secret: Secret


class KnownAccessKey(NamedTuple):
    """An access key as the database has it."""

    record: AccessKeyRecord
    used_at: float | None
    """When it was last used, as far as that was noted; a few minutes late."""


class _Published(msgspec.Struct, frozen=True, array_like=True, tag="PublishedTable"):
    """The table of members, as ``runtime`` publishes it at the control socket to whoever connects."""

    table: ClusterTable


class Principals:
    """Makes and changes access keys, each change with an intent and an outcome in the audit log."""

    def __init__(self, home: Home, store: Store, audit: AuditLog, *, config: Config, clock: Clock) -> None:
        self._home = home
        self._store = store
        self._audit = audit
        self._config = config
        self._clock = clock

    @classmethod
    @contextmanager
    def opened(cls, home: Home, config: Config, clock: Clock) -> Iterator[Self]:
        """Open what is needed, within an event loop. Raises StrongroomError, such as when another command is at it."""
        store = Store.open(home.database)
        try:
            audit = AuditLog.open(home.audit, _WRITER, clock=clock)
            try:
                yield cls(home, store, audit, config=config, clock=clock)
            finally:
                audit.close()
        finally:
            store.close()

    async def create(self, principal: str, roles: tuple[str, ...], events: EventSink) -> NewAccessKey:
        """Make an access key; an officer's principal has the roles of the chain, with or without ``roles``.

        Raises PrincipalError, also for roles that are kept apart (the refusal is in the audit log), and NoMemberError when
        the service or its HSMs do not answer.
        """
        if not _PRINCIPAL.fullmatch(principal):
            raise PrincipalError(
                f"{principal[:100]!r} is no name of a principal",
                next_step="a name is user/NAME or role/NAME, of letters, digits and + = , . @ _ -",
            )
        detail = {"subject": principal, "roles": " ".join(roles)}
        roles = await self._roles_to_give("CreateAccessKey", detail, principal, roles)
        if sum(record.principal == principal for record in self._store.list_access_keys()) >= MAX_ACCESS_KEYS:
            raise PrincipalError(
                f"{principal} has {MAX_ACCESS_KEYS} access keys, the most",
                next_step="delete one: strongroom principals delete ACCESS_KEY_ID",
            )

        async def act() -> NewAccessKey:
            for _ in range(_TRIES):
                record, secret = await self._make(principal, roles, events)
                try:
                    await self._store.write(partial(store_access_key, record=record))
                except DomainStateError:  # a rotation of the domain of access keys began in between
                    continue
                detail["subject_access_key"] = record.access_key_id
                return NewAccessKey(record, secret)
            raise PrincipalError(
                "the domain of access keys was replaced again and again", next_step="try again"
            )

        return await self._audited("CreateAccessKey", detail, act)

    async def rotate(self, access_key_id: str, events: EventSink) -> NewAccessKey:
        """Make another access key for the same principal with the same roles; this one stays as it is."""
        record = self.find(access_key_id).record
        return await self.create(record.principal, self._recorded_roles(record), events)

    async def set_active(self, access_key_id: str, *, is_active: bool) -> None:
        """Enable or disable an access key, for every request that is sent after this returned.

        Raises PrincipalError, also for one to be enabled whose roles are kept apart from others of its principal.
        """
        record = self.find(access_key_id).record
        verb = "EnableAccessKey" if is_active else "DisableAccessKey"
        detail = {"subject_access_key": access_key_id}
        if is_active:
            roles = self._recorded_roles(record)
            await self._roles_to_give(verb, detail, record.principal, roles, replacing=access_key_id)

        async def act() -> None:
            await self._store.write(lambda tx: tx.set_access_key_active(access_key_id, is_active=is_active))

        await self._audited(verb, detail, act)

    async def set_roles(self, access_key_id: str, roles: tuple[str, ...]) -> None:
        """Give an access key other roles, for every request that is sent after this returned. Raises as ``create``."""
        principal = self.find(access_key_id).record.principal
        detail = {"subject_access_key": access_key_id, "roles": " ".join(roles)}
        roles = await self._roles_to_give(
            "SetAccessKeyRoles", detail, principal, roles, replacing=access_key_id
        )

        async def act() -> None:
            await self._store.write(lambda tx: tx.set_access_key_roles(access_key_id, roles))

        await self._audited("SetAccessKeyRoles", detail, act)

    async def delete(self, access_key_id: str) -> None:
        """Remove an access key with its secret. There is no way back from that."""
        self.find(access_key_id)

        async def act() -> None:
            await self._store.write(lambda tx: tx.delete_access_key(access_key_id))

        await self._audited("DeleteAccessKey", {"subject_access_key": access_key_id}, act)

    def list(self) -> list[KnownAccessKey]:
        """Return all access keys, by principal."""
        uses = self._store.list_access_key_uses()
        records = sorted(
            self._store.list_access_keys(), key=lambda record: (record.principal, record.created_at)
        )
        return [KnownAccessKey(record, uses.get(record.access_key_id)) for record in records]

    def counted(self) -> Mapping[str, Counted]:
        """Return which roles count of each active access key and each caller of the configuration."""
        return PrincipalDuties(self._config, self._store).counted()

    def find(self, access_key_id: str) -> KnownAccessKey:
        """Return an access key. Raises PrincipalError."""
        for known in self.list():
            if known.record.access_key_id == access_key_id:
                return known
        raise PrincipalError(
            f"there is no access key {access_key_id[:128]!r}", next_step="see: strongroom principals list"
        )

    def _recorded_roles(self, record: AccessKeyRecord) -> tuple[str, ...]:
        """Return the roles of an access key as ``create`` takes them: of an officer's none, since the chain gives them."""
        given = PrincipalDuties(self._config, self._store).officer_roles(record.principal)
        return () if given else record.roles

    async def _roles_to_give(
        self,
        verb: str,
        detail: dict[str, str],
        principal: str,
        roles: tuple[str, ...],
        *,
        replacing: str = "",
    ) -> tuple[str, ...]:
        """Return the roles that count for what is asked; a refusal is in the audit log. Raises PrincipalError."""
        try:
            given = PrincipalDuties(self._config, self._store).roles_to_give(
                principal, roles, replacing=replacing
            )
        except PrincipalError as error:
            await self._audit.record(
                "refusal",
                f"access.{verb}",
                principal=f"local/{os.geteuid()}",
                outcome=type(error).__name__,
                detail={**detail, "subject": principal},
            )
            raise
        if "roles" in detail:
            detail["roles"] = " ".join(given)
        return given

    async def _make(
        self, principal: str, roles: tuple[str, ...], events: EventSink
    ) -> tuple[AccessKeyRecord, Secret]:
        domain = self._store.find_open_domain(CREDENTIALS, _ALL)
        if domain is None:
            raise PrincipalError("this home has no domain for the secrets of access keys")
        attempt_s = self._config.deadlines.attempt_s
        cluster = HsmCluster(
            clock=self._clock, events=events, attempt_s=attempt_s, report=lambda _suspicion: None
        )
        try:
            cluster.apply(await _table_of(self._home))
            limits = CacheLimits(60.0, 1, 1, 0.0)
            ciphers = KekCiphers(
                self._store, cluster, clock=self._clock, limits=limits, request_s=_HSM_LIMIT_S
            )
            return await make_access_key(
                ciphers, domain.domain_id, principal=principal, roles=roles, now=self._clock.now()
            )
        finally:
            cluster.close()

    async def _audited(self, verb: str, detail: dict[str, str], act: Callable[[], Awaitable[T]]) -> T:
        who, event = f"local/{os.geteuid()}", f"access.{verb}"
        await self._audit.record("intent", event, principal=who, detail=dict(detail))
        try:
            result = await act()
        except StrongroomError as error:
            name = type(error).__name__
            await self._audit.record("outcome", event, principal=who, outcome=name, detail=detail)
            raise
        await self._audit.record("outcome", event, principal=who, outcome="ok", detail=detail)
        return result


async def _table_of(home: Home) -> ClusterTable:
    """Return the newest table of members. Raises NoMemberError when the service does not answer."""
    path = runtime_folder_path(home) / "control"
    try:
        async with asyncio.timeout(_TABLE_WAIT_S):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                if peer_uid(writer.get_extra_info("socket")) == os.geteuid():
                    return await _first_table(reader)
            finally:
                writer.close()
    except (OSError, msgspec.MsgspecError) as error:  # TimeoutError is an OSError
        raise _not_running(home) from error
    raise _not_running(home)


async def _first_table(reader: asyncio.StreamReader) -> ClusterTable:
    frames = FrameBuffer()
    while data := await reader.read(_READ_BYTES):
        for payload in frames.feed(data):
            if msgspec.msgpack.decode(payload, type=list[object])[0] == _Published.__struct_config__.tag:
                return msgspec.msgpack.decode(payload, type=_Published).table
    raise ConnectionResetError


def _not_running(home: Home) -> NoMemberError:
    return NoMemberError(
        f"no service of {home.root} answers at its control socket", next_step="start it: strongroom serve"
    )
