"""Which of the recorded roles count: none that are kept apart, and an officer's as the chain of custody says.

    recorded with the credential ─► an officer's principal?  ─ yes ─► exactly the roles that the chain gives the officer now
                                    │ no
                                    ├─► roles that only officers have do not count, where the home has custody
                                    └─► the roles of all credentials of the principal together ─► kept apart? ─ yes ─► none count

Pure, but for ``Officers``, which whoever joins the parts implements.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from strongroom.core import conflict_of
from strongroom.service._policy import Role

OFFICERS_ALONE: Final = frozenset({Role.SECURITY_OFFICER, Role.CUSTODIAN, Role.WITNESS})
"""Where the home has custody, nobody has these roles but by the chain."""
WITHOUT_CHAIN: Final = frozenset({Role.CRYPTO_USER, Role.OPERATOR})
"""All that counts of recorded roles while the chain cannot be read: the use of keys goes on, and nobody manages any."""


class Held(NamedTuple):
    """A credential with the roles that are recorded for it."""

    identity: str
    """Access key id, or the identity of a configured caller."""
    principal: str
    roles: frozenset[str]


class Officers(Protocol):
    """What the chain of custody says of principals."""

    def refresh(self) -> bool:
        """Follow the chain; return whether anything changed. Raises StorageError."""
        ...

    @property
    def is_sound(self) -> bool:
        """Whether the chain could be read and verified."""
        ...

    def roles_of(self, principal: str) -> frozenset[str] | None:
        """Return the roles of the officer that a principal belongs to: none of one who was revoked. None: it is no officer's."""
        ...


class Counted(NamedTuple):
    """What counts of a credential."""

    roles: frozenset[str]
    why: str = ""
    """Why these are not the recorded ones, in words; empty where they are."""


def roles_that_count(credentials: Iterable[Held], officers: Officers | None = None) -> Mapping[str, Counted]:
    """Return by identity what counts. ``officers``: None where the home has no custody."""
    known = list(credentials)
    counted = {held.identity: _of_one(held, officers) for held in known}
    together: dict[str, set[str]] = {}
    for held in known:
        together.setdefault(held.principal, set()).update(counted[held.identity].roles)
    for held in known:
        conflict = conflict_of(together[held.principal])
        if conflict is not None:
            why = f"{held.principal} is recorded as {conflict[0]} and {conflict[1]}, duties that are separate: none counts"
            counted[held.identity] = Counted(frozenset(), why)
    return counted


def _of_one(held: Held, officers: Officers | None) -> Counted:
    if officers is None:
        return Counted(held.roles)
    if not officers.is_sound:
        counting = held.roles & WITHOUT_CHAIN
        why = "the chain of custody cannot be verified, and without it nobody manages anything"
        return Counted(counting, "" if counting == held.roles else why)
    given = officers.roles_of(held.principal)
    if given is not None:
        why = "these are the roles that the chain of custody gives the officer"
        return Counted(given, "" if given == held.roles else why)
    counting = held.roles - OFFICERS_ALONE
    why = f"only officers of the chain are {' or '.join(sorted(held.roles & OFFICERS_ALONE))}"
    return Counted(counting, "" if counting == held.roles else why)
