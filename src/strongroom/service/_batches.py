"""``BatchVerbs``: many items under one key, authorised once and in one audit entry, which says how many there were."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from strongroom.core import MacAlgorithm, SigningAlgorithm
from strongroom.keyring import (
    BatchOfBytes,
    BatchOfDataKeys,
    BatchOfPlaintexts,
    KeyRef,
    KeyringError,
    MessageType,
    PlainItem,
    SealedItem,
)
from strongroom.service._asymmetric import signing_values
from strongroom.service._audited import AuditedVerbs
from strongroom.service._authority import NO_CONTEXT, NO_VALUES
from strongroom.service._caller import Caller
from strongroom.service._facts import detail_of_request


class _Batch(Protocol):
    @property
    def results(self) -> Sequence[object]: ...


class _Verb(NamedTuple):
    name: str
    """As the audit log knows it."""
    actions: tuple[str, ...]
    """What the caller must be allowed to do."""


_B = TypeVar("_B", bound=_Batch)

_ENCRYPT: Final = _Verb("Encrypt", ("Encrypt",))
_DECRYPT: Final = _Verb("Decrypt", ("Decrypt",))
_REWRAP: Final = _Verb("ReEncrypt", ("ReEncryptFrom", "ReEncryptTo"))
_DATA_KEYS: Final = _Verb("GenerateDataKey", ("GenerateDataKey",))
_SIGN: Final = _Verb("Sign", ("Sign",))
_MAC: Final = _Verb("GenerateMac", ("GenerateMac",))
_DECIDES_AT_ONCE_S: Final = 0.002
"""How long a batch decides about its encryption contexts before others have their turn; one decision may go beyond."""
_NAMES_TOLD: Final = 512
"""Names in encryption contexts after which no more are gathered: an entry has room for fewer."""


class BatchVerbs(AuditedVerbs):
    """See ``BatchService`` for what each verb promises."""

    async def encrypt_batch(self, caller: Caller, key: KeyRef, items: Sequence[PlainItem]) -> BatchOfBytes:
        """Encrypt each item."""
        work = self._keyring.batches.encrypt(key, items)
        return await self._use_batch(
            caller, _ENCRYPT, work, key=key, count=len(items), contexts=_contexts(items)
        )

    async def decrypt_batch(
        self, caller: Caller, key: KeyRef, items: Sequence[SealedItem]
    ) -> BatchOfPlaintexts:
        """Decrypt each item."""
        work = self._keyring.batches.decrypt(key, items)
        return await self._use_batch(
            caller, _DECRYPT, work, key=key, count=len(items), contexts=_contexts(items)
        )

    async def rewrap_batch(self, caller: Caller, key: KeyRef, items: Sequence[SealedItem]) -> BatchOfBytes:
        """Encrypt each item anew."""
        work = self._keyring.batches.rewrap(key, items)
        return await self._use_batch(
            caller, _REWRAP, work, key=key, count=len(items), contexts=_contexts(items)
        )

    async def make_data_keys(
        self, caller: Caller, key: KeyRef, *, count: int, n_bytes: int, context: Mapping[str, str]
    ) -> BatchOfDataKeys:
        """Make data keys."""
        work = self._keyring.batches.data_keys(key, count=count, n_bytes=n_bytes, context=context)
        return await self._use_batch(caller, _DATA_KEYS, work, key=key, count=count, contexts=[context])

    async def sign_batch(
        self,
        caller: Caller,
        key: KeyRef,
        messages: Sequence[bytes],
        *,
        algorithm: SigningAlgorithm,
        kind: MessageType,
    ) -> BatchOfBytes:
        """Sign each message."""
        work = self._keyring.batches.singly.sign(key, messages, algorithm=algorithm, kind=kind)
        return await self._use_batch(
            caller,
            _SIGN,
            work,
            key=key,
            count=len(messages),
            algorithm=algorithm,
            further=signing_values(algorithm, kind),
        )

    async def mac_batch(
        self, caller: Caller, key: KeyRef, messages: Sequence[bytes], *, algorithm: MacAlgorithm
    ) -> BatchOfBytes:
        """Make the HMAC of each message."""
        work = self._keyring.batches.singly.mac(key, messages, algorithm=algorithm)
        return await self._use_batch(
            caller,
            _MAC,
            work,
            key=key,
            count=len(messages),
            algorithm=algorithm,
            further={"kms:macalgorithm": (str(algorithm),)},
        )

    async def _use_batch(
        self,
        caller: Caller,
        verb: _Verb,
        work: Coroutine[object, None, _B],
        *,
        key: KeyRef,
        count: int,
        contexts: Iterable[Mapping[str, str]] = (NO_CONTEXT,),
        algorithm: str = "",
        further: Mapping[str, tuple[str, ...]] = NO_VALUES,
    ) -> _B:
        """Authorise for every encryption context, act, and say in one entry how much was done."""
        different = _different(contexts)
        names, allowing = dict[str, str](), dict[str, None]()  # in the order in which they were needed
        detail = {"items": str(count)} | ({"algorithm": algorithm} if algorithm else {})

        def authorise_for(context: Mapping[str, str]) -> None:
            if len(names) < _NAMES_TOLD:
                names.update(dict.fromkeys(context, ""))
            for action in verb.actions:
                allowing[self.authorise_now(caller, action, key, context=context, further=further)] = None

        def authorise() -> str:
            with _telling(detail, key, names, allowing):
                authorise_for(next(different, NO_CONTEXT))
            return detail["allowed_by"]

        async def act() -> _B:
            with _telling(detail, key, names, allowing):
                await _in_turns(authorise_for, different)
            batch = await work
            if failed := sum(isinstance(result, KeyringError) for result in batch.results):
                detail["failed"] = str(failed)
            return batch

        try:
            return await self._use(
                caller, verb.name, act(), key=key, detail=detail, authorise=authorise, weight=count
            )
        finally:
            work.close()  # does nothing, unless the caller was refused


async def _in_turns(
    authorise_for: Callable[[Mapping[str, str]], None], contexts: Iterable[Mapping[str, str]]
) -> None:
    """Decide about each encryption context, and let others have their turns meanwhile."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for context in contexts:
        if loop.time() - began > _DECIDES_AT_ONCE_S:
            await asyncio.sleep(0)
            began = loop.time()
        authorise_for(context)


@contextlib.contextmanager
def _telling(
    detail: dict[str, str], key: KeyRef, names: Mapping[str, str], allowing: Iterable[str]
) -> Iterator[None]:
    """Say in the entry which names the encryption contexts have and what allowed it, so far as was found out."""
    try:
        yield
    finally:
        detail.update(detail_of_request(key, names))
        if allowed_by := " ".join(allowing):
            detail["allowed_by"] = allowed_by


def _contexts(items: Iterable[PlainItem] | Iterable[SealedItem]) -> Iterator[Mapping[str, str]]:
    return (item.context for item in items)


def _different(contexts: Iterable[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """Yield the different encryption contexts, one by one: to compare those of a large batch takes a tenth of a second."""
    looked_at: set[int] = set()
    known: set[tuple[tuple[str, str], ...]] = set()
    for context in contexts:
        if id(context) not in looked_at:  # the items hold it, so no other gets its id meanwhile
            looked_at.add(id(context))
            pairs = tuple(sorted(context.items()))
            if pairs not in known:
                known.add(pairs)
                yield context
