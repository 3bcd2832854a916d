"""What a root wraps: domain KEKs, opened and wrapped many at a time inside the HSMs."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from strongroom.core import (
    BatchAnswer,
    BatchUnwrap,
    BatchWrap,
    Clock,
    Deadline,
    HsmBatchUse,
    HsmError,
    HsmIntegrityError,
    RootId,
    Secret,
    StrongroomError,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.envelope import Blob, MalformedBlobError, Purpose, aad_for, domain_kek_binding
from strongroom.storage import DomainRecord, RootRecord

KEK_LEN_BYTES: Final = 32


class Opened(NamedTuple):
    """What came of opening some domain KEKs, by domain id."""

    secrets: Mapping[str, Secret]
    """Whoever asked overwrites them."""
    failures: Mapping[str, StrongroomError]

    def zeroize(self) -> None:
        """Overwrite all of them."""
        for secret in self.secrets.values():
            secret.zeroize()


class Wrapped(NamedTuple):
    """What came of wrapping some domain KEKs, by domain id: encoded blobs."""

    blobs: Mapping[str, bytes]
    failures: Mapping[str, StrongroomError]


class DomainBlobs:
    """Opens and wraps domain KEKs in batches; each answer stands for itself."""

    def __init__(self, hsm: HsmBatchUse, *, clock: Clock, request_s: float) -> None:
        """``request_s`` is how long one batch may take."""
        self._hsm = hsm
        self._clock = clock
        self._request_s = request_s

    async def open(self, wrapped: Mapping[str, bytes], *, under: Mapping[str, bytes]) -> Opened:
        """Open blobs by domain id, each of which has to be under the root that ``under`` names. Raises HsmError."""
        failures: dict[str, StrongroomError] = {}
        asked: dict[str, BatchUnwrap] = {}
        for domain_id, blob in wrapped.items():
            try:
                asked[domain_id] = _opening(domain_id, blob, under[domain_id])
            except (MalformedBlobError, HsmIntegrityError) as error:
                failures[domain_id] = error
            except ValueError:
                failures[domain_id] = HsmIntegrityError("the id of the domain is no UUID")
        secrets: dict[str, Secret] = {}
        for domain_id, answer in zip(asked, await self._batch(list(asked.values())), strict=True):
            if isinstance(answer, Secret) and len(answer) == KEK_LEN_BYTES:
                secrets[domain_id] = answer
            else:
                failures[domain_id] = _failure(answer)
        return Opened(secrets, failures)

    async def wrap(self, secrets: Mapping[str, Secret], root: RootRecord) -> Wrapped:
        """Wrap domain KEKs by domain id under a root. Raises HsmError."""
        root_id, algorithm = RootId(root.root_id), WrapAlgorithm(root.wrap_algorithm)
        asked = [
            BatchWrap(root_id, secret, _aad(domain_id, root_id, algorithm))
            for domain_id, secret in secrets.items()
        ]
        blobs: dict[str, bytes] = {}
        failures: dict[str, StrongroomError] = {}
        for domain_id, answer in zip(secrets, await self._batch(asked), strict=True):
            if isinstance(answer, WrappedBytes) and answer.algorithm is algorithm:
                blobs[domain_id] = Blob.of_wrapped(Purpose.DOMAIN_KEK, root_id, answer).encode()
            else:
                failures[domain_id] = _failure(answer)
        return Wrapped(blobs, failures)

    async def _batch(self, items: Sequence[BatchUnwrap | BatchWrap]) -> list[BatchAnswer]:
        if not items:
            return []
        return await self._hsm.batch(items, deadline=Deadline.after(self._clock, self._request_s))


def wrapped_of(domains: Sequence[DomainRecord]) -> dict[str, bytes]:
    """Return the blobs of domains, by their ids."""
    return {domain.domain_id: domain.wrapped for domain in domains}


def _opening(domain_id: str, blob: bytes, root_id: bytes) -> BatchUnwrap:
    parsed = Blob.parse(blob)
    if parsed.purpose is not Purpose.DOMAIN_KEK or parsed.wrapping_key_id != root_id:
        raise HsmIntegrityError("the blob is none of a domain KEK under the root that its record names")
    binding = domain_kek_binding(uuid.UUID(domain_id).bytes)
    return BatchUnwrap(RootId(root_id), parsed.wrapped, parsed.header + binding)


def _aad(domain_id: str, root_id: RootId, algorithm: WrapAlgorithm) -> bytes:
    binding = domain_kek_binding(uuid.UUID(domain_id).bytes)
    return aad_for(Purpose.DOMAIN_KEK, algorithm, root_id, 1, binding)


def _failure(answer: BatchAnswer) -> StrongroomError:
    if isinstance(answer, HsmError):
        return answer
    if isinstance(answer, Secret):
        answer.zeroize()
        return HsmIntegrityError("what the HSM opened is no domain KEK: it has another length")
    return HsmIntegrityError("the HSM wrapped by another algorithm than that of its root")
