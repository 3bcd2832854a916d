"""``CustodyBook``: the chain of officers and rules as the database has it, believed only as far as it verifies."""

from typing import Final, Protocol

from strongroom.custody import Chain, CustodyError, document_hash
from strongroom.service._approval_errors import CustodyBrokenError, CustodyNotKeptError
from strongroom.storage import CustodyDocumentRecord

_NEXT_STEP = "stop the service, compare the hashes of the last record with what officers and members know, restore the database"
_NOBODY: Final[frozenset[str]] = frozenset()


class ChainDocuments(Protocol):
    """Where the documents are (``storage.ReadOnlyStore``)."""

    def generation(self) -> int:
        """Return a number that changes with every change."""
        ...

    def get_custody_documents(self) -> list[CustodyDocumentRecord]:
        """Return the documents in order."""
        ...


class CustodyBook:
    """Reads the chain anew when the database changed. Belongs to one event loop (or thread), as its store does.

    The genesis is pinned: its hash comes from the configuration, not from the database. What was verified once is not
    verified again; a chain that has become shorter or another one than it was is refused, until it is that one again.

    Implements ``Officers``: for them a chain that is refused is one that is not sound.
    """

    def __init__(self, documents: ChainDocuments, genesis_sha256: str | None) -> None:
        """Without a hash the home has no custody; officers in its database are then a contradiction, and refused."""
        self._found = documents
        self._genesis_sha256 = genesis_sha256
        self._generation: int | None = None
        self._documents: tuple[bytes, ...] = ()
        self._chain: Chain | None = None
        self._roles: dict[str, frozenset[str]] = {}
        self._is_sound = False
        self._told = (False, "")

    def chain(self) -> Chain | None:
        """Return the chain of now; None where the home has no officers. Raises CustodyBrokenError and StorageError."""
        generation = self._found.generation()
        if generation != self._generation:
            self._generation, self._is_sound = None, False
            self._read()
            self._generation, self._is_sound = generation, True
        return self._chain

    def require_chain(self) -> Chain:
        """Return the chain of now. Raises CustodyNotKeptError, CustodyBrokenError and StorageError."""
        chain = self.chain()
        if chain is None:
            raise CustodyNotKeptError
        return chain

    @property
    def is_sound(self) -> bool:
        """Whether the chain could be read and verified when it was last looked at."""
        return self._is_sound

    def refresh(self) -> bool:
        """Look at the chain; return whether it, or whether it is sound, is not as when this was last asked. Raises StorageError."""
        try:
            chain = self.chain()
        except CustodyBrokenError:
            chain = self._chain
        told, self._told = self._told, (self._is_sound, "" if chain is None else chain.state.head)
        return self._told != told

    def roles_of(self, principal: str) -> frozenset[str] | None:
        """Return the roles of the officer that a principal belongs to: none of one who was revoked. None: it is no officer's."""
        return self._roles.get(principal)

    def _read(self) -> None:
        records = self._found.get_custody_documents()
        documents = tuple(record.document for record in records)
        if self._genesis_sha256 is None:
            if documents:
                raise _broken("the database has officers, and the configuration names no genesis")
            return
        if [record.sequence for record in records] != list(range(len(records))) or not documents:
            raise _broken("documents of it are missing")
        if documents == self._documents:
            return
        if documents[: len(self._documents)] != self._documents:
            raise _broken("it is not the one that it was a moment ago")
        self._chain = self._verified(documents)
        self._documents = documents
        self._roles = _roles_by_principal(self._chain)

    def _verified(self, documents: tuple[bytes, ...]) -> Chain:
        if document_hash(documents[0]) != self._genesis_sha256:
            raise _broken("its genesis is not the one that the configuration names")
        try:
            if self._chain is None:
                return Chain.from_documents(documents[0], documents[1:])
            chain = self._chain
            for document in documents[len(self._documents) :]:
                chain = chain.extended(document)
        except CustodyError as error:
            raise _broken(error.message) from error
        return chain


def _roles_by_principal(chain: Chain) -> dict[str, frozenset[str]]:
    return {
        principal: _NOBODY if officer.is_revoked else frozenset(map(str, officer.roles))
        for officer in chain.state.officers.values()
        for principal in officer.principals
    }


def _broken(why: str) -> CustodyBrokenError:
    return CustodyBrokenError(
        f"the chain of officers and rules cannot be believed: {why}", next_step=_NEXT_STEP
    )
