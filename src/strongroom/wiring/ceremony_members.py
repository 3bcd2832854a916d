"""``check-members``: what each member of the cluster is, as it says itself at this moment, and what differs from the script."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, NamedTuple

from strongroom.ceremony import CheckMembers, Console, ExpectedMember, Outcome, Step
from strongroom.config import Home, MemberConfig, load_config
from strongroom.core import HsmKeyNotFoundError, MemberFailedError, WrapAlgorithm
from strongroom.custody import Json
from strongroom.hsm.wire import (
    InspectDirect,
    KeyCheck,
    ListObjects,
    ObjectEntry,
    ReadBack,
    RootCheck,
    WireClient,
)
from strongroom.storage import CopyState, HsmKeyRecord, HsmKeyState, ReadOnlyStore, RootRecord
from strongroom.wiring.bootstrap import TokenFound
from strongroom.wiring.ceremony_workplace import Workplace, administering, parameters_of
from strongroom.wiring.workers import member_environment, start_member

_LIMIT_S: Final = 60.0
_MOST_KEYS: Final = 200
"""Direct keys whose attributes are read back on each member."""


class _Known(NamedTuple):
    """What the records say."""

    roots: list[RootRecord]
    keys: list[HsmKeyRecord]
    held: set[tuple[str, bytes]]


class SeenMember(NamedTuple):
    """A member, as it answered."""

    config: MemberConfig
    token: TokenFound
    entries: list[ObjectEntry]
    roots: dict[str, KeyCheck | None]
    """Key check values, by root; None where the member does not hold it."""
    attributes: dict[str, str]
    """Attributes as they were read back, by class and CKA_ID of roots and Direct keys."""
    changed: dict[str, list[str]]
    """Attributes that are not as they were made, by Direct key; empty lists are good ones."""


class CheckingMembers:
    """Looks at the members, and changes nothing."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def perform(self, step: Step, console: Console) -> Outcome:
        """Ask each member that the script names, or all."""
        expected = {one.name: one for one in parameters_of(step, CheckMembers).members}
        home = self._place.home
        config = load_config(home.root)
        with ReadOnlyStore.open(home.database) as store:
            known = _Known(
                store.list_roots(),
                store.list_hsm_keys(HsmKeyState.ACTIVE),
                {
                    (one.member, one.key_id)
                    for one in store.list_hsm_key_copies()
                    if one.state is CopyState.HELD
                },
            )
        facts: dict[str, Json] = {}
        deviations = [
            f"there is no member {name}" for name in expected if name not in _names(config.cluster.members)
        ]
        for member in config.cluster.members:
            if expected and member.name not in expected:
                continue
            await console.say(f"asking member {member.name}")
            seen = await look_at(home, member, known.roots, known.keys, known.held)
            facts[member.name] = _facts(seen, is_fips=config.policy.fips)
            deviations += _differences(seen, expected.get(member.name), known, is_fips=config.policy.fips)
        return Outcome({"members": facts}, deviations=tuple(deviations))

    async def resume(self, step: Step, console: Console) -> Outcome | None:  # noqa: ARG002  # the Protocol's shape
        """Begin again: nothing was changed."""
        return None

    async def abandon(self, step: Step, console: Console) -> Outcome:  # noqa: ARG002  # the Protocol's shape
        """Nothing is left."""
        return Outcome()


async def look_at(
    home: Home,
    member: MemberConfig,
    roots: Sequence[RootRecord],
    keys: Sequence[HsmKeyRecord],
    held: set[tuple[str, bytes]],
) -> SeenMember:
    """Ask one member through a worker of its own. Raises HsmError and ConfigError."""
    algorithm = WrapAlgorithm(roots[-1].wrap_algorithm)
    async with _asked(home, member, algorithm) as (client, token):
        entries = await client.call(ListObjects(), timeout_s=_LIMIT_S)
        checks: dict[str, KeyCheck | None] = {}
        for root in roots:
            try:
                checks[root.root_id.hex()] = await client.call(RootCheck(root.root_id), timeout_s=_LIMIT_S)
            except HsmKeyNotFoundError:
                checks[root.root_id.hex()] = None
        changed: dict[str, list[str]] = {}
        attributes: dict[str, str] = {}
        held_here = [record for record in keys[:_MOST_KEYS] if (member.name, record.key_id) in held]
        for cka_id in (*(root.root_id for root in roots), *(record.key_id for record in held_here)):
            for one in await client.call(ReadBack(cka_id), timeout_s=_LIMIT_S):
                attributes[f"{one.object_class} {cka_id.hex()}"] = _in_words(one.attributes)
        for record in held_here:
            call = InspectDirect(record.key, record.may_leave)
            changed[record.key_id.hex()] = await client.call(call, timeout_s=_LIMIT_S)
    return SeenMember(member, token, entries, checks, attributes, changed)


@contextlib.asynccontextmanager
async def _asked(
    home: Home, member: MemberConfig, algorithm: WrapAlgorithm
) -> AsyncIterator[tuple[WireClient, TokenFound]]:
    bootstrap = administering(home, member, algorithm)
    child = await start_member(bootstrap, member_environment(member, home))
    try:
        if child.started.token is None:
            raise MemberFailedError(f"member {member.name} does not say which token it has")
        client = await WireClient.connect(bootstrap.admin_path)
        try:
            yield client, child.started.token
        finally:
            client.close()
    finally:
        await child.end()


def _facts(seen: SeenMember, *, is_fips: bool) -> dict[str, Json]:
    token = seen.token
    changed = [f"{key}: {name}" for key, names in seen.changed.items() for name in names]
    return {
        "profile": seen.config.profile,
        "manufacturer": token.manufacturer,
        "model": token.model,
        "serial": token.serial,
        "firmware": token.firmware,
        "token-label": token.label,
        "fips-mode": _fips(is_fips=is_fips),
        "key-check-values": {root: _check(check) for root, check in seen.roots.items()},
        "objects": len(seen.entries),
        "keys": _keys(seen.entries),
        "direct-keys-with-attributes-read-back": len(seen.changed),
        "attributes-read-back": dict[str, Json](seen.attributes),
        "attributes-that-changed": list[Json](changed),
    }


def _fips(*, is_fips: bool) -> str:
    """PKCS#11 has no place where a token says it; what the home enforces is known."""
    if is_fips:
        return "approved mechanisms and key sizes alone, as the home's policy has it; the token itself does not say"
    return "not required by the home's policy; the token itself does not say"


def _check(check: KeyCheck | None) -> str:
    return "not held" if check is None else f"{check.kind} {check.value}"


def _keys(entries: Sequence[ObjectEntry]) -> list[Json]:
    lines = sorted({f"{one.object_class} {one.cka_id.hex()} {one.label}".strip() for one in entries})
    return list[Json](lines[:_MOST_KEYS])


def _differences(
    seen: SeenMember, expected: ExpectedMember | None, known: _Known, *, is_fips: bool
) -> list[str]:
    name, found = seen.config.name, []
    if expected is not None:
        for what, wanted, there in (
            ("serial number", expected.serial, seen.token.serial),
            ("firmware", expected.firmware, seen.token.firmware),
        ):
            if wanted and wanted != there:
                found.append(f"member {name}: its {what} is {there}, and the script says {wanted}")
        if expected.fips is not None and expected.fips is not is_fips:
            found.append(
                f"member {name}: the home's policy {'asks' if is_fips else 'does not ask'} for FIPS mode, and the script says otherwise"
            )
    for root in known.roots:
        check = seen.roots[root.root_id.hex()]
        if check is None:
            found.append(f"member {name} does not hold root {root.root_id.hex()}")
        elif (check.kind, check.value) != (root.check_kind, root.check_value):
            found.append(
                f"member {name}: root {root.root_id.hex()} has another key check value than the records say"
            )
    found += [
        f"member {name}: key {key}: {', '.join(names)} changed"
        for key, names in seen.changed.items()
        if names
    ]
    return found


def _in_words(attributes: Mapping[str, bool]) -> str:
    """Name what is true, and then what is not."""
    yes, no = ([name for name, value in attributes.items() if value is wanted] for wanted in (True, False))
    return f"true: {' '.join(yes) or 'none'}; false: {' '.join(no) or 'none'}"


def _names(members: Sequence[MemberConfig]) -> set[str]:
    return {member.name for member in members}
