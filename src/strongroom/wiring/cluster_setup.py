"""From blank tokens to members that hold one root KEK: the cluster part of ``init``."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from strongroom.config import Home, MemberConfig, PinSource
from strongroom.config import read_pin as read_clear_pin
from strongroom.core import Clock, Deadline, HomeError, RootId, Secret, WrapAlgorithm, random_bytes
from strongroom.hsm.cluster import (
    AdminDoor,
    Canary,
    KeyCopier,
    MadeTransport,
    NoTransportError,
    RemoteAdmin,
    RemoteKeys,
    RemoteMember,
    Replica,
    copy_root,
    exchanged_import_keys,
    generate_root,
    make_canary,
    make_transport_keys,
    prove_canary,
    prove_same_root,
)
from strongroom.hsm.token import write_softhsm_config
from strongroom.hsm.wire import KeyCheck
from strongroom.storage import TransportKeyRecord
from strongroom.wiring.bootstrap import MemberBootstrap, MemberMode, TokenFound, WrapTried
from strongroom.wiring.development_tls import write_private
from strongroom.wiring.home import runtime_folder
from strongroom.wiring.pin_refusals import refuse_known_pin
from strongroom.wiring.pin_sealing import read_pin
from strongroom.wiring.workers import (
    admin_worker,
    member_bootstrap,
    member_environment,
    pin_marker_name,
    start_member,
)
from strongroom.wiring.wrap_choice import asker, choose_wrap_algorithm

MEMBER_NAMES = ("alpha", "beta")
ROOT_LABEL = "strongroom-root"
_PROOF_LIMIT_S = 30.0

Progress = Callable[[str], None]
"""Told of each step, in words."""


class SetUpMember(NamedTuple):
    """A member, the token that it has, and what was tried on it."""

    config: MemberConfig
    token: TokenFound
    wrapping: Sequence[WrapTried]


class PinAccess(NamedTuple):
    """How the PINs of a member's token are come by. Both raise ConfigError where there is none."""

    user: Callable[[MemberConfig], Secret]
    security_officer: Callable[[MemberConfig], Secret]


def pins_of(home: Home) -> PinAccess:
    """Read them from the home: the user PIN as it is configured, the security officer's from ``pins/<member>-so``."""
    return PinAccess(
        lambda member: read_pin(member, home),
        lambda member: read_clear_pin(officer_pin(member), home.root),
    )


class Doors(NamedTuple):
    """The ways into every member, in the order of the members."""

    users: list[RemoteAdmin]
    officers: list[RemoteAdmin]
    """The same members, logged in as security officer."""
    uses: list[RemoteMember]
    replicas: list[Replica]
    """The members once more, as those see them who copy keys."""
    algorithm: WrapAlgorithm
    """By what they wrap."""


class MadeRoot(NamedTuple):
    """A root KEK that every member holds, and the keys by which it and others travel."""

    root_id: RootId
    algorithm: WrapAlgorithm
    check: KeyCheck
    canary: Canary
    transports: list[TransportKeyRecord]
    """Empty where members cannot wrap keys under AES keys: then copies need the security officers."""


async def make_development_members(
    home: Home, progress: Progress, names: Sequence[str] = MEMBER_NAMES
) -> list[SetUpMember]:
    """Initialise a SoftHSM token for each development member, with random PINs that only the home knows."""
    sockets = runtime_folder(home)
    members = []
    for name in names:
        progress(f"initialising the token of member {name}")
        folder = home.tokens / name
        folder.mkdir(mode=0o700)
        write_softhsm_config(home.tokens / f"{name}.conf", folder)
        pin, so_pin = _random_pin(), _random_pin()
        write_private(home.pins / name, pin)
        write_private(home.pins / f"{name}-so", so_pin)
        config = MemberConfig(
            name=name,
            profile="softhsm2",
            pin=PinSource(file=f"pins/{name}"),
            token_label=f"strongroom-{name}",
            environment={"SOFTHSM2_CONF": f"{{home}}/tokens/{name}.conf"},
        )
        bootstrap = member_bootstrap(
            config, home, "initialise", pin=pin, so_pin=so_pin, sockets=sockets, generation=0
        )
        child = await start_member(bootstrap, member_environment(config, home))
        await child.end()
        token = child.started.token
        if token is None:
            raise HomeError(f"the token of member {name} did not say which one it is")
        config = msgspec.structs.replace(config, token_serial=token.serial, token_label=None)
        members.append(SetUpMember(config, token, child.started.wrapping))
    return members


async def choose_algorithm(
    home: Home, members: list[SetUpMember], progress: Progress, pins: PinAccess | None = None
) -> WrapAlgorithm:
    """Choose the wrap algorithm of the cluster that these members make: the best that all can.

    Raises ConfigError, which says what each member lacks.
    """
    answers = {member.config.name: member.wrapping for member in members}
    user_pin = (pins or pins_of(home)).user
    ask = asker([member.config for member in members], home, runtime_folder(home), user_pin)
    algorithm = await choose_wrap_algorithm(answers, ask)
    progress(f"the members wrap by {algorithm.name}")
    return algorithm


@contextlib.asynccontextmanager
async def open_doors(
    home: Home,
    members: Sequence[MemberConfig],
    algorithm: WrapAlgorithm,
    sockets: Path,
    pins: PinAccess | None = None,
    *,
    as_officers: bool = True,
) -> AsyncIterator[Doors]:
    """Run two workers per member, one logged in as user and one as security officer, and give their doors.

    Two, since a process is logged in as one or the other. ``pins``: else as ``pins_of`` finds them. Without ``as_officers``
    there are users only. Raises ConfigError
    where one is not there, PinRefusedError for a PIN that was refused before, and HsmError.
    """
    access = pins or pins_of(home)

    def bootstrap(config: MemberConfig, mode: MemberMode, secret: Secret) -> MemberBootstrap:
        try:
            refuse_known_pin(home, config, secret, marker=pin_marker_name(config, mode) or "")
            return member_bootstrap(
                config,
                home,
                mode,
                pin=secret.reveal(),
                sockets=sockets,
                generation=0,
                wrap_algorithm=int(algorithm),
            )
        finally:
            secret.zeroize()

    async with contextlib.AsyncExitStack() as stack:
        doors = Doors([], [], [], [], algorithm)
        for config in members:
            environment = member_environment(config, home)
            as_user = bootstrap(config, "administer", access.user(config))
            doors.users.append(await stack.enter_async_context(admin_worker(as_user, environment)))
            use = RemoteMember(config.name, as_user.use_path)
            stack.callback(use.close)
            doors.uses.append(use)
            keys = RemoteKeys(config.name, as_user.admin_path)
            stack.callback(keys.close)
            doors.replicas.append(Replica(config.name, keys, use))
            if not as_officers:
                continue
            as_officer = bootstrap(config, "officer", access.security_officer(config))
            doors.officers.append(await stack.enter_async_context(admin_worker(as_officer, environment)))
        yield doors


async def make_root(doors: Doors, clock: Clock, progress: Progress) -> MadeRoot:
    """Make transport keys for every member, generate the root on the first one, copy it to the others, prove each copy.

    The copies travel under the transport keys: so what repairs the cluster later has worked once before it is
    needed. Where the members cannot have such keys, the root travels under import keys, which are destroyed again.
    """
    source, source_use = doors.users[0], doors.uses[0]
    transports = await make_transports(doors, clock, progress)
    progress(f"generating the root KEK on member {source.name}")
    root_id, check = await generate_root(source, ROOT_LABEL)
    deadline = Deadline.after(clock, _PROOF_LIMIT_S)
    canary = await make_canary(root_id, source_use, algorithm=doors.algorithm, deadline=deadline)
    made = MadeRoot(root_id, doors.algorithm, check, canary, transports)
    if transports:
        await _copy_by_transport(doors, made, clock, progress)
    elif len(doors.users) > 1:
        await _copy_by_import_keys(doors, made, clock, progress)
    return made


def officer_pin(member: MemberConfig) -> PinSource:
    """Where the PIN of a member's security officer lies, while he is at hand."""
    return PinSource(file=f"pins/{member.name}-so")


async def make_transports(doors: Doors, clock: Clock, progress: Progress) -> list[TransportKeyRecord]:
    """Make transport keys for every member; none where the members cannot have such keys. Raises HsmError."""
    if doors.algorithm is not WrapAlgorithm.HSM_AES_GCM:
        return []  # other roots are more than one object, or a pair
    progress("making the keys that other keys travel under between the members")
    try:
        made = await make_transport_keys(doors.users, doors.officers)
    except NoTransportError as error:
        progress(error.message)
        return []
    return [transport_record(one, clock.now()) for one in made]


def transport_record(made: MadeTransport, now: float) -> TransportKeyRecord:
    """Return the record of a transport key."""
    return TransportKeyRecord(made.transport_id, made.member, made.kind, made.mechanism, now)


async def _copy_by_transport(doors: Doors, made: MadeRoot, clock: Clock, progress: Progress) -> None:
    source, *targets = doors.replicas
    copier = KeyCopier(made.transports, clock=clock)
    for target in targets:
        progress(f"copying the root KEK to member {target.name} by trusted wrapping, and proving the copy")
        deadline = Deadline.after(clock, _PROOF_LIMIT_S)
        await copier.copy_root(
            made.root_id, ROOT_LABEL, made.check, source=source, target=target, deadline=deadline
        )
        await prove_canary(made.root_id, made.canary, target.use, deadline=deadline)


async def _copy_by_import_keys(doors: Doors, made: MadeRoot, clock: Clock, progress: Progress) -> None:
    source, *targets = doors.users
    source_use, *target_uses = doors.uses
    users: list[AdminDoor] = list(doors.users)
    progress("exchanging import keys between the members")
    async with exchanged_import_keys(users, list(doors.officers)) as import_keys:
        for target, use in zip(targets, target_uses, strict=True):
            progress(
                f"copying the root KEK to member {target.name} by trusted wrapping, and proving the copy"
            )
            key = import_keys[target.name]
            await copy_root(
                made.root_id, ROOT_LABEL, made.check, source=source, target=target, target_key=key
            )
            deadline = Deadline.after(clock, _PROOF_LIMIT_S)
            await prove_same_root(made.root_id, source_use, use, deadline=deadline)
            await prove_canary(made.root_id, made.canary, use, deadline=deadline)
        progress("destroying the import keys that it travelled under")


def _random_pin() -> bytes:
    return random_bytes(16).hex().encode()
