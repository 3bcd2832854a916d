"""Decides about a case without doing it, by what the database and the configuration say now, and tells why."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final, NamedTuple

from strongroom.config import Config, Home
from strongroom.core import SystemClock
from strongroom.keyring import KeyByAlias, KeyById, KeyRecords, KeyRef
from strongroom.service import AccessBook, Caller, Counted, Decision, Ground, Held, KeyAuthority
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.configured_callers import configured_callers, officers_of

_NO_ACCESS_KEY: Final = "-"
_NOTHING: Final = Counted(frozenset())
_MAX_NAMES: Final = 16
_ARN: Final = re.compile(r"arn:aws:kms:[^:]*:[0-9]*:(?=key/|alias/)")


class Case(NamedTuple):
    """A request that somebody might make."""

    key: str
    """Key id, ``alias/NAME``, or the ARN of either."""
    principal: str
    action: str
    """Without ``kms:``."""
    access_key_id: str = ""
    """Empty for all that the principal has."""
    context: Mapping[str, str] = {}
    source_address: str = ""


class Checked(NamedTuple):
    """How the case would be decided for one access key."""

    access_key_id: str
    """``-`` for none: as if the principal had an access key without roles."""
    roles: tuple[str, ...]
    """Those that count, sorted."""
    decision: Decision
    why: str = ""
    """Why these are not the recorded roles; empty where they are."""


def check_policy_of(home: Home, config: Config, case: Case) -> list[Checked]:
    """Decide for each access key and configured identity of the principal. Raises StrongroomError."""
    with ExitStack() as stack:
        store = stack.enter_context(ReadOnlyStore.open(home.database))
        clients = configured_callers(config)
        names = {held.identity for held in clients if held.principal == case.principal}
        names |= {
            record.access_key_id for record in store.list_access_keys() if record.principal == case.principal
        }
        asked = {case.access_key_id} if case.access_key_id else names or {_NO_ACCESS_KEY}
        book = AccessBook(
            store,
            KeyRecords(store, max_names=_MAX_NAMES, clock=SystemClock()),
            account_id=config.service.account_id,
            clients=(*clients, Held(_NO_ACCESS_KEY, case.principal, frozenset())),
            officers=officers_of(config, store),
        )
        authority = KeyAuthority(book, None, is_tls=config.service.tls)
        counted = book.counted()
        return [
            _checked(name, counted.get(name, _NOTHING), _decide(authority, case, name))
            if name in names or name == _NO_ACCESS_KEY
            else _checked(
                name, _NOTHING, Decision(False, Ground.INACTIVE)
            )  # another principal's, or nobody's
            for name in sorted(asked)
        ]


def _checked(name: str, counted: Counted, decision: Decision) -> Checked:
    return Checked(name, tuple(sorted(counted.roles)), decision, counted.why)


def _decide(authority: KeyAuthority, case: Case, access_key_id: str) -> Decision:
    caller = Caller(case.principal, access_key_id, case.source_address, "-", "-")
    return authority.decide(caller, case.action, _ref(case.key), context=case.context)


def _ref(key: str) -> KeyRef:
    name = _ARN.sub("", key)
    return KeyByAlias(name) if name.startswith("alias/") else KeyById(name.removeprefix("key/"))
