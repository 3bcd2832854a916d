"""``CustodyBook``: the chain of officers and rules as the database has it, believed only as far as it verifies."""

from strongroom.custody import Chain, ChainError, document_hash
from strongroom.service._approval_errors import CustodyBrokenError, CustodyNotKeptError
from strongroom.storage import ReadOnlyStore

_NEXT_STEP = "stop the service, compare the hashes of the last record with what officers and members know, restore the database"


class CustodyBook:
    """Reads the chain anew when the database changed. Belongs to one event loop (or thread), as its store does.

    The genesis is pinned: its hash comes from the configuration, not from the database. What was verified once is not
    verified again; a chain that has become shorter or another one than it was is refused.
    """

    def __init__(self, store: ReadOnlyStore, genesis_sha256: str | None) -> None:
        """Without a hash the home has no custody; officers in its database are then a contradiction, and refused."""
        self._store = store
        self._genesis_sha256 = genesis_sha256
        self._generation: int | None = None
        self._documents: tuple[bytes, ...] = ()
        self._chain: Chain | None = None

    def chain(self) -> Chain | None:
        """Return the chain of now; None where the home has no officers. Raises CustodyBrokenError and StorageError."""
        generation = self._store.generation()
        if generation != self._generation:
            self._read()
            self._generation = generation
        return self._chain

    def require_chain(self) -> Chain:
        """Return the chain of now. Raises CustodyNotKeptError, CustodyBrokenError and StorageError."""
        chain = self.chain()
        if chain is None:
            raise CustodyNotKeptError
        return chain

    def _read(self) -> None:
        if self._genesis_sha256 is None:
            if self._store.get_last_custody_sequence() is not None:
                raise _broken("the database has officers, and the configuration names no genesis")
            return
        records = self._store.get_custody_documents()
        documents = tuple(record.document for record in records)
        if [record.sequence for record in records] != list(range(len(records))) or not documents:
            raise _broken("documents of it are missing")
        if documents == self._documents:
            return
        if documents[: len(self._documents)] != self._documents:
            raise _broken("it is not the one that it was a moment ago")
        self._chain = self._verified(documents)
        self._documents = documents

    def _verified(self, documents: tuple[bytes, ...]) -> Chain:
        if document_hash(documents[0]) != self._genesis_sha256:
            raise _broken("its genesis is not the one that the configuration names")
        try:
            if self._chain is None:
                return Chain.from_documents(documents[0], documents[1:])
            chain = self._chain
            for document in documents[len(self._documents) :]:
                chain = chain.extended(document)
        except ChainError as error:
            raise _broken(error.message) from error
        return chain


def _broken(why: str) -> CustodyBrokenError:
    return CustodyBrokenError(
        f"the chain of officers and rules cannot be believed: {why}", next_step=_NEXT_STEP
    )
