"""``AccessKeys``: the access keys of an API process follow the database while it serves."""

from typing import NamedTuple

from strongroom.core import Clock, EventSink, HsmRequestError, Secret, StrongroomError
from strongroom.envelope import EnvelopeError
from strongroom.keyring import Keyring, MissingRecordError, open_secret
from strongroom.service import AccessBook, Credential, Service
from strongroom.storage import AccessKeyRecord, Store, Transaction


class _Known(NamedTuple):
    record: AccessKeyRecord
    credential: Credential


class AccessKeys:
    """Unwraps the secrets of access keys, again when access keys change, and notes when each was used.

    Belongs to the event loop of the service.
    """

    def __init__(
        self, store: Store, keyring: Keyring, service: Service, book: AccessBook, *, clock: Clock
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._service = service
        self._book = book
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._n_changes: int | None = None

    async def follow(self, events: EventSink) -> None:
        """Load what changed since the last time, if anything did (3 µs when nothing was committed). Raises as ``load``."""
        self._book.refresh()
        if self._book.n_changes != self._n_changes:
            await self.load(events)

    async def load(self, events: EventSink) -> None:
        """Unwrap the secrets of access keys that are new; until the first time nobody is recognised.

        An access key whose record does not authenticate is left out and reported, so that it locks out nobody else.
        Raises NoMemberError when no HSM answers, StorageError, and what is wrong with the first when none authenticates:
        then it may not be the records.
        """
        n_changes = self._store.count_access_changes()
        found: dict[str, _Known] = {}
        unreadable: dict[str, StrongroomError] = {}
        for record in self._store.list_access_keys():
            if not record.active:
                continue
            known = self._known.get(record.access_key_id)
            if known is not None and known.record.wrapped_secret == record.wrapped_secret:
                # The same object: whoever derived keys from it knows by that that they are still good.
                found[record.access_key_id] = known
                continue
            try:
                now, secret = await self._opened(record)
            except (EnvelopeError, HsmRequestError, MissingRecordError) as error:
                unreadable[record.access_key_id] = error
            else:
                credential = Credential(record.access_key_id, record.principal, secret)
                found[record.access_key_id] = _Known(now, credential)
        if unreadable and not found:
            raise next(iter(unreadable.values()))
        for access_key_id, cause in unreadable.items():
            events.emit("access_key.unreadable", access_key_id=access_key_id, cause=type(cause).__name__)
        self._known = found
        self._n_changes = n_changes
        self._service.take_credentials({name: known.credential for name, known in found.items()})

    async def _opened(self, record: AccessKeyRecord) -> tuple[AccessKeyRecord, Secret]:
        """Unwrap a secret, whose domain KEK may be replaced since its record was read. Returns the record that counts."""
        while True:
            try:
                return record, await open_secret(self._keyring.ciphers, record)
            except MissingRecordError:
                there = {known.access_key_id: known for known in self._store.list_access_keys()}
                now = there.get(record.access_key_id, record)
                if now.wrapped_secret == record.wrapped_secret:
                    raise
                record = now

    async def note_uses(self) -> None:
        """Note for each access key that was used since the last time that it was used until now. Raises StorageError."""
        used = self._book.take_used() & self._known.keys()
        if not used:
            return
        now = self._clock.now()

        def note(tx: Transaction) -> None:
            there = {record.access_key_id for record in tx.list_access_keys()}
            for access_key_id in used & there:
                tx.note_access_key_use(access_key_id, now)

        await self._store.note(note)
