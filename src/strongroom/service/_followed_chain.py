"""``FollowedChain``: the chain of custody as an API process knows it, verified, and never an older one than before."""

from typing import Final, Protocol

from strongroom.custody import Chain, CustodyError, document_hash
from strongroom.storage import CustodyDocumentRecord

_NOBODY: Final[frozenset[str]] = frozenset()


class ChainDocuments(Protocol):
    """Where the documents are (``storage.Store``)."""

    def get_custody_documents(self) -> list[CustodyDocumentRecord]:
        """Return the documents in order."""
        ...

    def get_last_custody_sequence(self) -> int | None:
        """Return the sequence of the last one; None where there is none."""
        ...


class FollowedChain:
    """Implements ``Officers``. Belongs to one event loop.

    Every record is verified once, from the genesis that the configuration names. A database that holds fewer or other
    documents than were verified before is not followed: until it holds them again nobody has a role by the chain.
    """

    def __init__(self, documents: ChainDocuments, genesis_sha256: str) -> None:
        """``genesis_sha256``: of the genesis that counts, in hex."""
        self._documents = documents
        self._genesis_sha256 = genesis_sha256
        self._chain: Chain | None = None
        self._is_sound = False
        self._roles: dict[str, frozenset[str]] = {}

    @property
    def is_sound(self) -> bool:
        """Whether the chain could be read and verified when it was last looked at."""
        return self._is_sound

    @property
    def chain(self) -> Chain | None:
        """What was verified last; None before the first time."""
        return self._chain

    def refresh(self) -> bool:
        """Follow the database; return whether anything changed. Raises StorageError."""
        last = self._documents.get_last_custody_sequence()
        known = self._chain
        if self._is_sound and known is not None and last == len(known.records):
            return False
        was_sound = self._is_sound
        try:
            self._chain = self._verified(known)
            self._is_sound = True
        except CustodyError:
            self._is_sound = False
        else:
            self._roles = _roles_by_principal(self._chain)
        return was_sound or self._is_sound

    def roles_of(self, principal: str) -> frozenset[str] | None:
        """Return the roles of the officer that a principal belongs to: none of one who was revoked. None: it is no officer's."""
        return self._roles.get(principal)

    def _verified(self, known: Chain | None) -> Chain:
        found = self._documents.get_custody_documents()
        if [record.sequence for record in found] != list(range(len(found))) or not found:
            raise CustodyError("the chain has no genesis, or a gap")
        if document_hash(found[0].document) != self._genesis_sha256:
            raise CustodyError("the genesis is not the one that the configuration names")
        if known is None:
            return Chain.from_documents(found[0].document, [record.document for record in found[1:]])
        if [document_hash(record.document) for record in found[: len(known.states)]] != [
            state.head for state in known.states
        ]:
            raise CustodyError("the chain is not the one that was verified before")
        for record in found[len(known.states) :]:
            known = known.extended(record.document)
        return known


def _roles_by_principal(chain: Chain) -> dict[str, frozenset[str]]:
    return {
        principal: _NOBODY if officer.is_revoked else frozenset(map(str, officer.roles))
        for officer in chain.state.officers.values()
        for principal in officer.principals
    }
