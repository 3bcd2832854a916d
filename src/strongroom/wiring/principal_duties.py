"""What roles a principal may be given: none that are kept apart, and an officer's as the chain of custody has them."""

from collections.abc import Iterable, Mapping
from typing import Final

from strongroom.config import Config
from strongroom.core import StrongroomError, conflict_of
from strongroom.service import OFFICERS_ALONE, Counted, CustodyBook, Held, Role, roles_that_count
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.configured_callers import configured_callers, officers_of

_SEPARATE: Final = "these duties are separate"


class PrincipalError(StrongroomError):
    """What is asked cannot be done to a principal or access key; the message says why."""


class PrincipalDuties:
    """Decides by the database, the configuration and the chain as they are when it is made."""

    def __init__(self, config: Config, store: ReadOnlyStore) -> None:
        """Raises StorageError."""
        self._officers = officers_of(config, store)
        if self._officers is not None:
            self._officers.refresh()
        self._held = [
            *(
                Held(record.access_key_id, record.principal, frozenset(record.roles))
                for record in store.list_access_keys()
                if record.active
            ),
            *configured_callers(config),
        ]

    @property
    def is_sound(self) -> bool:
        """Whether the chain of custody could be verified; also where there is none."""
        return self._officers is None or self._officers.is_sound

    def counted(self) -> Mapping[str, Counted]:
        """Return which roles count of each active access key and each caller of the configuration."""
        return roles_that_count(self._held, self._officers)

    def officer_roles(self, principal: str) -> tuple[str, ...] | None:
        """Return the roles that the chain gives to a principal, sorted; None where it is no officer's."""
        given = None if self._officers is None else self._officers.roles_of(principal)
        return None if given is None else tuple(sorted(given))

    def roles_to_give(
        self, principal: str, roles: tuple[str, ...], *, replacing: str = ""
    ) -> tuple[str, ...]:
        """Return the roles that an access key of a principal is to have; raise PrincipalError if it may not have them.

        ``roles``: as asked for; for an officer's principal none means those of the chain. ``replacing``: the access key
        whose own roles do not count, since it is to have these instead.
        """
        _require_known(roles)
        if self._officers is not None:
            roles = self._of_custody(self._officers, principal, roles)
        others = [
            held.roles for held in self._held if held.principal == principal and held.identity != replacing
        ]
        _require_apart(principal, roles, others)
        return roles

    def _of_custody(self, officers: CustodyBook, principal: str, roles: tuple[str, ...]) -> tuple[str, ...]:
        if not officers.is_sound:
            raise PrincipalError(
                "the chain of custody cannot be verified, and without it nobody is given roles",
                next_step="see: strongroom doctor",
            )
        given = self.officer_roles(principal)
        if given is None:
            alone = sorted(set(roles) & OFFICERS_ALONE)
            if alone:
                raise PrincipalError(
                    f"{principal} belongs to no officer, and only officers of the chain are {alone[0]}",
                    next_step="name the principal in the officer's entry of the chain",
                )
            return roles
        if not given:
            raise PrincipalError(f"{principal} belongs to an officer who was revoked")
        if roles and set(roles) != set(given):
            raise PrincipalError(
                f"{principal} belongs to an officer, whose roles the chain gives: {' '.join(given)}",
                next_step="leave --role out, or change the officer's roles",
            )
        return given


def _require_known(roles: tuple[str, ...]) -> None:
    unknown = sorted(set(roles) - set(Role))
    if unknown:
        raise PrincipalError(f"there is no role {unknown[0][:50]!r}", next_step=f"roles: {', '.join(Role)}")


def _require_apart(principal: str, roles: tuple[str, ...], others: Iterable[frozenset[str]]) -> None:
    conflict = conflict_of(roles)
    if conflict is not None:
        raise PrincipalError(
            f"nobody is {conflict[0]} and {conflict[1]}: {_SEPARATE}",
            next_step="give one of the roles to another principal",
        )
    conflict = conflict_of({*roles, *(role for held in others for role in held)})
    if conflict is not None:
        raise PrincipalError(
            f"{principal} would be {conflict[0]} and {conflict[1]}, by all its access keys and configured callers: {_SEPARATE}",
            next_step="give the role to another principal, or disable the access key with the other role first",
        )
