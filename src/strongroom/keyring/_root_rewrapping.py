"""Rewrapping after a rotation of the root: whatever hangs under an old root comes under the current one.

    opened under the old root → wrapped under the current one → that opened anew, and compared → exchanged in the database
        if it is still what was opened

A few domain KEKs at a time, in one small transaction with the progress. So it can be killed at any point: what was not
exchanged hangs under the old root as before, and is found again. The domain KEK itself stays the same, so nobody who
has it in memory has to forget it.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Final, NamedTuple

from strongroom.core import Clock, HsmBatchUse, HsmIntegrityError, NoMemberError, StrongroomError
from strongroom.keyring._domain_blobs import DomainBlobs, wrapped_of
from strongroom.storage import (
    DomainRecord,
    RootNotInUseError,
    RootRecord,
    RootRotationRecord,
    RootState,
    RotationState,
    Store,
    Transaction,
)

_PUT_OFF_S: Final = 60.0
_PAGE: Final = 256


class Rewrapped(NamedTuple):
    """What came of one batch."""

    n_rewrapped: int
    n_changed: int
    """Which somebody else changed meanwhile: they are looked at again."""
    failures: Mapping[str, StrongroomError]
    """By domain id. They hang under their old root as before, and are tried again after a minute."""

    @property
    def is_outage(self) -> bool:
        """Whether no HSM answered at all."""
        failed = self.failures.values()
        return not self.n_rewrapped and any(isinstance(error, NoMemberError) for error in failed)


class RootRewrapping:
    """Rewraps domain KEKs, batch by batch, for whoever paces it. Belongs to one event loop.

    Several of them may be at work on one database: each blob is exchanged by one.
    """

    def __init__(self, store: Store, hsm: HsmBatchUse, *, clock: Clock, request_s: float) -> None:
        self._store = store
        self._blobs = DomainBlobs(hsm, clock=clock, request_s=request_s)
        self._clock = clock
        self._put_off: dict[str, float] = {}

    def rotation(self) -> RootRotationRecord | None:
        """Return the rotation that the work belongs to, the newest one."""
        return self._store.get_last_root_rotation()

    def next_domains(self, limit: int) -> list[DomainRecord]:
        """Return up to ``limit`` domains that hang under old roots and are not put off."""
        now = self._clock.monotonic()
        self._put_off = {domain_id: until for domain_id, until in self._put_off.items() if until > now}
        found: list[DomainRecord] = []
        for root in self._old_roots():
            after = ""
            while len(found) < limit:
                page = self._store.list_domains_under(root.root_id, after=after, limit=_PAGE)
                found += [domain for domain in page if domain.domain_id not in self._put_off]
                if len(page) < _PAGE:
                    break
                after = page[-1].domain_id
        return found[:limit]

    def count_left(self) -> int:
        """Return how many domain KEKs hang under old roots."""
        counts = self._store.count_domains_by_root()
        return sum(counts.get(root.root_id, 0) for root in self._old_roots())

    async def rewrap(self, domains: list[DomainRecord]) -> Rewrapped:
        """Rewrap some domain KEKs under the current root. Raises StorageError, and HsmError for what concerns all."""
        root = self._store.get_current_root()
        failures: dict[str, StrongroomError] = {}
        with ExitStack() as at_end:
            opened = await self._blobs.open(
                wrapped_of(domains), under={domain.domain_id: domain.root_id for domain in domains}
            )
            at_end.callback(opened.zeroize)
            wrapped = await self._blobs.wrap(opened.secrets, root)
            again = await self._blobs.open(wrapped.blobs, under=dict.fromkeys(wrapped.blobs, root.root_id))
            at_end.callback(again.zeroize)
            failures.update({**opened.failures, **wrapped.failures, **again.failures})
            proved = {}
            for domain_id, secret in again.secrets.items():
                if secret.matches(opened.secrets[domain_id]):
                    proved[domain_id] = wrapped.blobs[domain_id]
                else:
                    failures[domain_id] = HsmIntegrityError("it opened as another key after it was wrapped")
        n_rewrapped = await self._exchange(domains, proved, root, failures)
        if not any(isinstance(error, NoMemberError) for error in failures.values()):
            until = self._clock.monotonic() + _PUT_OFF_S
            self._put_off.update(dict.fromkeys(failures, until))
        return Rewrapped(n_rewrapped, len(proved) - n_rewrapped, failures)

    async def finish(self) -> RootRotationRecord | None:
        """Note that a rotation is finished, if nothing is left to do; returns it if it was not noted before."""
        rotation = self.rotation()
        if rotation is None or rotation.state is not RotationState.REWRAPPING:
            return None
        return await self._store.write(_finishing(rotation.rotation_id, self._clock.now()))

    def _old_roots(self) -> list[RootRecord]:
        return [root for root in self._store.list_roots() if root.state is RootState.OLD]

    async def _exchange(
        self,
        domains: list[DomainRecord],
        proved: Mapping[str, bytes],
        root: RootRecord,
        failures: Mapping[str, StrongroomError],
    ) -> int:
        now, trouble = self._clock.now(), _in_words(failures)

        def exchange(tx: Transaction) -> int:
            exchanged = [
                tx.replace_domain_wrapped(
                    domain.domain_id,
                    was=domain.wrapped,
                    root_id=root.root_id,
                    wrapped=proved[domain.domain_id],
                )
                for domain in domains
                if domain.domain_id in proved
            ]
            rotation = tx.get_last_root_rotation()
            if rotation is not None:
                tx.note_root_rotation(rotation.rotation_id, sum(exchanged), at=now, trouble=trouble)
            return sum(exchanged)

        try:
            return await self._store.write(exchange)
        except RootNotInUseError:  # the root was rotated once more meanwhile
            return 0


def _finishing(rotation_id: str, now: float) -> Callable[[Transaction], RootRotationRecord | None]:
    def finish(tx: Transaction) -> RootRotationRecord | None:
        rotation = tx.get_last_root_rotation()
        if rotation is None or (rotation.rotation_id, rotation.state) != (
            rotation_id,
            RotationState.REWRAPPING,
        ):
            return None
        if any(root_id != rotation.root_id for root_id in tx.count_domains_by_root()):
            return None
        finished = rotation._replace(
            state=RotationState.FINISHED, finished_at=now, trouble="", trouble_at=None
        )
        tx.change_root_rotation(finished)
        return finished

    return finish


def _in_words(failures: Mapping[str, StrongroomError]) -> str:
    if not failures:
        return ""
    domain_id, error = next(iter(failures.items()))
    return f"{len(failures)} domain KEKs were not rewrapped; {domain_id}: {error.message}"
