"""The chain: a genesis that all first security officers signed, and every change since, each approved by the rules before it.

    genesis ← record 1 ← record 2 ← …        a record's request names the hash of the document before

A request for a change names the state that it changes. So it fits in one place of one chain, can come into force once only,
and whoever holds the hash of the last record holds all of them. What was cut off at the end shows only by a copy elsewhere:
every request and every piece of evidence that names a later state is one.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from strongroom.custody._changes import changed_state
from strongroom.custody._documents import (
    Genesis,
    GenesisBody,
    Record,
    Role,
    document_hash,
    read_document,
    write_document,
)
from strongroom.custody._errors import ChainError, CustodyError, SignatureRefusedError
from strongroom.custody._quorum import require_quorum
from strongroom.custody._ssh_signatures import NAMESPACE_GENESIS, signature_from_base64, verify_signature
from strongroom.custody._state import CustodyState, first_state

GENESIS: Final = "genesis"


class Chain(NamedTuple):
    """A chain that was verified from its genesis on."""

    genesis: Genesis
    records: tuple[Record, ...]
    states: tuple[CustodyState, ...]
    """One more than records: ``states[n]`` is in force after record n."""

    @classmethod
    def from_documents(cls, genesis: bytes, records: Sequence[bytes] = ()) -> Self:
        """Verify a chain from its documents, in order. Raises ChainError, which names the place."""
        chain = cls._begun(_read_genesis(genesis), genesis)
        for record in records:
            chain = chain.extended(record)
        return chain

    @classmethod
    def from_parts(cls, genesis: Genesis, records: Sequence[Record] = ()) -> Self:
        """Verify a chain from documents that were read already. Raises ChainError."""
        chain = cls._begun(genesis, write_document(genesis))
        for record in records:
            chain = chain.followed_by(record)
        return chain

    @classmethod
    def _begun(cls, genesis: Genesis, data: bytes) -> Self:
        try:
            state = first_state(genesis.body, document_hash(data))
            check_genesis_signatures(genesis, state)
        except CustodyError as error:
            raise ChainError(GENESIS, error.message) from error
        return cls(genesis, (), (state,))

    @property
    def state(self) -> CustodyState:
        """What is in force at the end of the chain."""
        return self.states[-1]

    def state_at(self, sequence: int) -> CustodyState:
        """Return what was in force after a record (0: the genesis). Raises ChainError when there is no such record."""
        if not 0 <= sequence < len(self.states):
            raise ChainError(f"record {sequence}", f"the chain has {len(self.records)} records")
        return self.states[sequence]

    def state_named(self, head: str) -> CustodyState:
        """Return the state that a hash names. Raises ChainError when the chain never came there, or was cut off."""
        for state in self.states:
            if state.head == head:
                return state
        raise ChainError(
            f"record {len(self.records)}", f"the chain ends here and never came to the state {head}"
        )

    def extended(self, data: bytes) -> Self:
        """Return the chain with one more record. Raises ChainError."""
        try:
            record = read_document(data, Record)
        except CustodyError as error:
            raise ChainError(self._next_place, error.message) from error
        return self.followed_by(record)

    def followed_by(self, record: Record) -> Self:
        """Return the chain with one more record that was read already. Raises ChainError."""
        try:
            state = self._state_after(record, document_hash(write_document(record)))
        except ChainError:
            raise
        except CustodyError as error:
            raise ChainError(self._next_place, error.message) from error
        return self._replace(records=(*self.records, record), states=(*self.states, state))

    @property
    def _next_place(self) -> str:
        return f"record {len(self.states)}"

    def _state_after(self, record: Record, head: str) -> CustodyState:
        before, request = self.state, record.request
        if record.sequence != len(self.states):
            raise ChainError(self._next_place, f"record {record.sequence} stands in its place")
        if request.state != before.head:
            raise ChainError(self._next_place, "it does not follow the document before it")
        if record.at < before.at:
            raise ChainError(self._next_place, "it is dated before the document before it")
        signatures = [signature_from_base64(text) for text in record.approvals]
        require_quorum(before, request, signatures, now=record.at)
        return changed_state(before, request.verb, request.parameters, head=head, at=record.at)


def check_genesis_signatures(genesis: Genesis, state: CustodyState) -> None:
    """Check that each first security officer signed, in order, and nobody else. Raises SignatureRefusedError."""
    body = write_document(genesis.body)
    officers = [person.id for person in genesis.body.people if Role.SECURITY_OFFICER in person.roles]
    if len(genesis.signatures) != len(officers):
        raise SignatureRefusedError(
            f"there are {len(genesis.signatures)} signatures, and {len(officers)} security officers"
        )
    for officer_id, text in zip(officers, genesis.signatures, strict=True):
        key = verify_signature(signature_from_base64(text), body, NAMESPACE_GENESIS)
        if key not in state.officers[officer_id].keys:
            raise SignatureRefusedError(
                f"the signature in the place of {officer_id} is not by a key of theirs"
            )


def check_genesis_body(body: GenesisBody) -> bytes:
    """Return the bytes that the security officers are to sign. Raises StateRefusedError, OfficerKeyError."""
    data = write_document(body)
    first_state(body, document_hash(data))
    return data


def _read_genesis(data: bytes) -> Genesis:
    try:
        return read_document(data, Genesis)
    except CustodyError as error:
        raise ChainError(GENESIS, error.message) from error
