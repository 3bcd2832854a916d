"""``DomainVerbs``, and the end of rotations: keys of a domain that was replaced move to the one in its place.

``finish_domain_rotations`` is called about once a second by one process. Nothing is lost when it is not called for a while, or
twice at once: what is to be done stands in the database. A crash leaves an intent without an outcome; the next call begins
with an intent of its own and goes on.
"""

import asyncio
import contextlib
from typing import Final

from strongroom.audit import AuditLog
from strongroom.core import AuditUnavailableError, StrongroomError
from strongroom.keyring import DomainInfo, DomainPage, DomainReplaced, DomainRotations, KeyById
from strongroom.service._audited import CANCELLED, OK, AuditedVerbs
from strongroom.service._caller import Caller
from strongroom.service._due_work import PRINCIPAL
from strongroom.service._facts import outcome_of_error

FINISH_EVENT: Final = "keyring.FinishDomainRotation"
NOT_DONE: Final = "NotDone"


class DomainVerbs(AuditedVerbs):
    """See ``DomainService`` for what each verb promises."""

    async def create_domain(self, caller: Caller, *, name: str) -> DomainInfo:
        """Make a named domain."""
        detail = {"domain": name}

        async def act() -> DomainInfo:
            made = await self._keyring.domains.create(name)
            detail["domain_id"] = made.domain_id
            return made

        return await self._change(caller, "CreateDomain", act, detail=detail)

    async def list_domains(self, caller: Caller, *, limit: int, after: str | None) -> DomainPage:
        """List domains."""

        async def act() -> DomainPage:
            return self._keyring.domains.page(limit=limit, after=after)

        return await self._use(caller, "ListDomains", act())

    async def describe_domain(self, caller: Caller, domain: str) -> DomainInfo:
        """Tell about a domain."""

        async def act() -> DomainInfo:
            return self._keyring.domains.find(domain)

        return await self._use(caller, "DescribeDomain", act(), detail={"domain": domain})

    async def rotate_domain(self, caller: Caller, domain: str) -> DomainInfo:
        """Put a new domain KEK in the place of one."""
        detail = {"domain": domain}

        async def act() -> DomainInfo:
            made = await self._keyring.domains.rotate(domain)
            detail["domain_id"] = made.domain_id
            if made.replaces is not None:
                detail["replaces"] = made.replaces.domain_id
            return made

        return await self._change(caller, "RotateDomain", act, detail=detail)

    async def move_key(self, caller: Caller, key_id: str, *, domain: str) -> DomainInfo:
        """Put a key into another domain."""
        detail = {"domain": domain}

        async def act() -> DomainInfo:
            moved_to = await self._keyring.domains.move(key_id, domain)
            detail["domain_id"] = moved_to.domain_id
            return moved_to

        return await self._change(caller, "MoveKey", act, key_id=key_id, detail=detail)

    async def get_key_domain(self, caller: Caller, key_id: str) -> DomainInfo:
        """Tell which domain a key is in."""

        async def act() -> DomainInfo:
            return self._keyring.domains.of_key(key_id)

        return await self._use(caller, "GetKeyDomain", act(), key=KeyById(key_id))

    async def finish_domain_rotations(self) -> int:
        """Finish what can be finished of the rotations of domains."""
        return await finish_domain_rotations(self._keyring.domain_rotations, self._audit)


async def finish_domain_rotations(rotations: DomainRotations, audit: AuditLog) -> int:
    """Finish rotations of domains that are under way, and return how many came to their end.

    For each the intent is durable before, and the outcome after it. One that cannot be finished does not keep the others from
    it, and is tried again a minute later. Raises AuditUnavailableError, and StorageError when they cannot be listed.
    """
    n_done = 0
    for domain_id in rotations.due():
        n_done += await _finish(rotations, audit, domain_id)
    await rotations.remove_unused()
    return n_done


async def _finish(rotations: DomainRotations, audit: AuditLog, domain_id: str) -> bool:
    detail = {"domain_id": domain_id}
    intent = audit.append("intent", FINISH_EVENT, principal=PRINCIPAL, detail=detail)
    await audit.commit(intent)
    done: DomainReplaced | None = None
    try:
        done = await rotations.finish(domain_id)
    except asyncio.CancelledError:
        with contextlib.suppress(AuditUnavailableError):
            audit.append("outcome", FINISH_EVENT, principal=PRINCIPAL, outcome=CANCELLED, detail=detail)
        raise
    except StrongroomError as error:
        outcome = outcome_of_error(error)
    else:
        outcome = OK if done is None or done.is_done else NOT_DONE
    if done is not None:
        detail = {
            **detail,
            "replaced_by": done.replaced_by,
            "moved": str(done.n_moved),
            "left": str(done.n_left),
        }
    await audit.record("outcome", FINISH_EVENT, principal=PRINCIPAL, outcome=outcome, detail=detail)
    return done is not None and done.is_done
