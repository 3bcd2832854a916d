"""``AccessBook``: what the database says about who may do what, in memory for as long as that stands still."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from strongroom.core import StorageError
from strongroom.keyring import KeyRef
from strongroom.policy import GrantIndex, GrantTerms, MalformedPolicyError, PolicyDocument
from strongroom.service._duties import Counted, Held, Officers, roles_that_count
from strongroom.service._policy import Role, verbs_of_roles
from strongroom.storage import GrantRecord, KeyRecord, ReadOnlyStore

MAX_GRANTS_OF_GRANTEE: Final = 1_000
"""Grants that one principal may have on one key: all of them are looked at when it has no other permission."""
_MAX_KEYS: Final = 100_000
_MAX_GRANTEES: Final = 4_096
_MAX_DOCUMENTS: Final = 1_024


class HasRecord(Protocol):
    """A key as the keyring finds it."""

    @property
    def record(self) -> KeyRecord:
        """The record of the key."""
        ...


class KeyFinder(Protocol):
    """How keys are found (``keyring.KeyRecords``)."""

    def generation(self) -> int:
        """Return the database's generation, as it was when this turn of the event loop first asked."""
        ...

    def find(self, key: KeyRef) -> HasRecord:
        """Return a key. Raises KeyNotFoundError, AliasNotFoundError."""
        ...

    def find_in_blob(self, id_bytes: bytes) -> HasRecord:
        """Return the key of a blob. Raises KeyNotFoundError."""
        ...


class AccessBook:
    """Roles, key policies and grants. Belongs to one event loop.

    ``refresh`` comes first in every decision. The generation of the database tells that somebody committed something, the
    count of changes of access whether that concerns us: only then is anything read again.
    """

    def __init__(
        self,
        store: ReadOnlyStore,
        finder: KeyFinder,
        *,
        account_id: str,
        clients: Iterable[Held],
        officers: Officers | None = None,
    ) -> None:
        """``clients``: callers of the configuration. ``officers``: None where the home has no custody."""
        self.account_id = account_id
        self._store = store
        self._finder = finder
        self._clients = tuple(clients)
        self._officers = officers
        self._auditors: frozenset[str] = frozenset()
        self._generation: int | None = None
        self._n_changes = -1
        self.has_policies = False
        """Whether any key has a policy of its own."""
        self.used: set[str] = set()
        """Credentials of callers that were decided about; see ``take_used``."""
        self._verbs: dict[str, Mapping[str, str]] = {}
        self._policies: dict[str, PolicyDocument | None] = {}
        self._documents: dict[str, PolicyDocument] = {}
        self._grants: dict[tuple[str, str], GrantIndex] = {}

    def take_used(self) -> set[str]:
        """Return the credentials of callers that were decided about since the last time."""
        used, self.used = self.used, set()
        return used

    @property
    def store(self) -> ReadOnlyStore:
        """The database, to read from."""
        return self._store

    @property
    def n_changes(self) -> int:
        """The count of changes of access that this book is up to."""
        return self._n_changes

    def refresh(self) -> None:
        """Forget what may have changed. Raises StorageError."""
        generation = self._finder.generation()
        if generation == self._generation:
            return
        n_changes = self._store.count_access_changes()
        has_changed_officers = self._officers is not None and self._officers.refresh()
        if n_changes != self._n_changes or has_changed_officers:
            self._n_changes = -1  # what fails now is done again: officers tell of a change only once
            self._policies.clear()
            self._grants.clear()
            self._count_roles()
            self.has_policies = self._store.count_key_policies() > 0
            self._n_changes = n_changes
        self._generation = generation

    def _count_roles(self) -> None:
        """Read who there is, and find which roles count. Raises StorageError."""
        held = [*self._held_now(), *self._clients]
        counted = roles_that_count(held, self._officers)
        self._verbs = {identity: verbs_of_roles(one.roles) for identity, one in counted.items()}
        self._auditors = frozenset(
            one.principal for one in held if Role.AUDITOR in counted[one.identity].roles
        )

    def _held_now(self) -> list[Held]:
        return [
            Held(record.access_key_id, record.principal, frozenset(record.roles))
            for record in self._store.list_access_keys()
            if record.active
        ]

    def counted(self) -> Mapping[str, Counted]:
        """Return which roles count of each active access key and each caller of the configuration. Raises StorageError."""
        self.refresh()
        return roles_that_count([*self._held_now(), *self._clients], self._officers)

    def credentials_of(self, principal: str) -> frozenset[str]:
        """Return the active access keys of a principal, and the configured identities that stand for it. Raises StorageError."""
        held = [*self._held_now(), *self._clients]
        return frozenset(one.identity for one in held if one.principal == principal)

    def is_auditor(self, principal: str) -> bool:
        """Whether any credential of a principal has the role of an auditor: then the principal only reads."""
        return principal in self._auditors

    def verbs_of(self, access_key_id: str) -> Mapping[str, str] | None:
        """Return the verbs that an access key's roles allow, each with what the audit log says of why (``verbs_of_roles``).

        None when there is no such access key that is active.
        """
        return self._verbs.get(access_key_id)

    def find(self, key: KeyRef) -> KeyRecord:
        """Return a key. Raises KeyNotFoundError, AliasNotFoundError."""
        return self._finder.find(key).record

    def find_in_blob(self, id_bytes: bytes) -> KeyRecord:
        """Return the key of a blob. Raises KeyNotFoundError."""
        return self._finder.find_in_blob(id_bytes).record

    def policy_of(self, key_id: str) -> PolicyDocument | None:
        """Return a key's own policy; None when its account decides by roles alone, as by default.

        Raises StorageError when the stored document is none that can be kept to: then nobody may use the key.
        """
        if not self.has_policies:
            return None
        try:
            return self._policies[key_id]
        except KeyError:
            pass
        record = self._store.get_key_policy(key_id)
        document = None if record is None else self._prepared(record.document, key_id)
        if len(self._policies) >= _MAX_KEYS:
            self._policies.clear()
        self._policies[key_id] = document
        return document

    def grants_of(self, key_id: str, grantee: str) -> GrantIndex:
        """Return the grants that a principal, named by its ARN, has on a key."""
        found = self._grants.get((key_id, grantee))
        if found is None:
            records = self._store.list_grants(
                key_id, grantee=grantee, after=None, limit=MAX_GRANTS_OF_GRANTEE
            )
            found = GrantIndex((record.grant_id, terms_of(record)) for record in records)
            if len(self._grants) >= _MAX_GRANTEES:
                self._grants.clear()
            self._grants[key_id, grantee] = found
        return found

    def has_grant(self, grant_id: str) -> bool:
        """Whether there is a grant of this id."""
        return self._store.get_grant(grant_id) is not None

    def _prepared(self, text: str, key_id: str) -> PolicyDocument | None:
        """Prepare a document, once for all keys that have the same."""
        document = self._documents.get(text)
        if document is None:
            try:
                document = PolicyDocument(text)
            except MalformedPolicyError as error:
                raise StorageError(
                    f"the policy of key {key_id} cannot be kept to: {error.message}",
                    next_step="restore it from a backup",
                ) from error
            if len(self._documents) >= _MAX_DOCUMENTS:
                self._documents.clear()
            self._documents[text] = document
        return None if document.is_plain_delegation(self.account_id) else document


def terms_of(record: GrantRecord) -> GrantTerms:
    """Return what a grant allows."""
    return GrantTerms(frozenset(record.actions), record.context_equals, record.context_subset)
