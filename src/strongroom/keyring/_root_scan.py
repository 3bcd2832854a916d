"""The last look before an old root is destroyed: every domain KEK opens under the current one."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

from strongroom.core import Clock, HsmBatchUse, HsmIntegrityError, HsmRequestError
from strongroom.envelope import EnvelopeError
from strongroom.keyring._domain_blobs import DomainBlobs, wrapped_of
from strongroom.storage import DomainRecord, Reader, RootRecord

_PAGE: Final = 256


class DomainsChangedError(HsmIntegrityError):
    """A domain KEK was stored after the look, or is another one than that which was opened: look again."""


class RootScan:
    """Opens every domain KEK, and knows afterwards of each blob whether it was opened.

    A blob that was opened once is not opened again, so a second ``run`` looks at what is new. What was opened is
    overwritten at once. Belongs to one event loop.
    """

    def __init__(
        self, store: Reader, hsm: HsmBatchUse, root: RootRecord, *, clock: Clock, request_s: float
    ) -> None:
        self._store = store
        self._root = root
        self._blobs = DomainBlobs(hsm, clock=clock, request_s=request_s)
        self._opened: dict[str, bytes] = {}

    @property
    def n_opened(self) -> int:
        """How many domain KEKs were opened."""
        return len(self._opened)

    async def run(self, n_at_once: int, pace: Callable[[int], Awaitable[None]]) -> None:
        """Open what was not opened yet, some at a time; ``pace`` is called after each time with how many those were.

        Raises HsmIntegrityError for one that is under another root, or does not open; and what HSMs raise.
        """
        after = ""
        while page := self._store.list_domains(after=after, limit=_PAGE):
            after = page[-1].domain_id
            todo = [domain for domain in page if self._opened.get(domain.domain_id) != _digest(domain)]
            for at in range(0, len(todo), n_at_once):
                await self._open(todo[at : at + n_at_once])
                await pace(len(todo[at : at + n_at_once]))

    def require_all_opened(self, reader: Reader) -> None:
        """Raise DomainsChangedError unless each domain KEK that there is was opened as it is. For a transaction."""
        after = ""
        while page := reader.list_domains(after=after, limit=_PAGE):
            after = page[-1].domain_id
            for domain in page:
                if self._opened.get(domain.domain_id) != _digest(domain):
                    raise DomainsChangedError(f"domain {domain.domain_id} was changed meanwhile")

    async def _open(self, domains: list[DomainRecord]) -> None:
        under = dict.fromkeys([domain.domain_id for domain in domains], self._root.root_id)
        opened = await self._blobs.open(wrapped_of(domains), under=under)
        opened.zeroize()
        for domain_id, error in opened.failures.items():
            if not isinstance(error, HsmRequestError | EnvelopeError):
                raise error  # which says nothing about the domain
            raise HsmIntegrityError(
                f"the KEK of domain {domain_id} does not open under root {self._root.root_id.hex()}: {error}"
            ) from error
        self._opened.update({domain.domain_id: _digest(domain) for domain in domains})


def _digest(domain: DomainRecord) -> bytes:
    """What tells whether it is still the same: where it says that it hangs, and the blob."""
    return hashlib.sha256(domain.root_id + domain.wrapped).digest()
