"""A member whose token is blank gets what it needs to serve: while it is new, or after its token was replaced or emptied.

    transport keys for every member, made anew → in the records → the old ones destroyed → root and keys copied → proved

Made anew on all, since the transport keys that there are cannot leave their members. So the security officers of all
members must be at hand: they present their PINs, or these lie in ``pins/<member>-so`` of the home for so long. The other members may serve
meanwhile: the workers here are others than theirs, and what serves looks the transport keys up for each copy.

Whatever interrupts it, it can be run again: keys that no record knows are destroyed first, and every later step does
only what is not done.
"""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Final

from strongroom.config import Home, MemberConfig, load_config
from strongroom.core import (
    Clock,
    ConfigError,
    Deadline,
    EventSink,
    HomeError,
    RootId,
    Secret,
    WrapAlgorithm,
)
from strongroom.hsm.cluster import (
    Canary,
    DriftReport,
    Reconciler,
    Replica,
    Turns,
    destroy_unknown_transport_keys,
    make_transport_keys,
    prove_use,
)
from strongroom.storage import RootRecord, Store, Transaction, TransportKeyRecord
from strongroom.wiring.cluster_setup import (
    ROOT_LABEL,
    Doors,
    PinAccess,
    Progress,
    open_doors,
    pins_of,
    transport_record,
)
from strongroom.wiring.custody_home import chain_of_home
from strongroom.wiring.home import restore_runtime_folder
from strongroom.wiring.init_script_form import ScriptMember
from strongroom.wiring.member_approval import (
    ApprovedAddition,
    admit_addition,
    approve_addition,
    approve_reset,
    pin_member,
)
from strongroom.wiring.new_member import Joining, Resetting
from strongroom.wiring.repair_turns import repair_by_command

_PROOF_LIMIT_S: Final = 30.0


async def add_member(
    home: Home,
    name: str,
    *,
    events: EventSink,
    clock: Clock,
    progress: Progress,
    described: ScriptMember | None = None,
    so_pin: Callable[[MemberConfig], Secret] | None = None,
    reset_serial: str = "",
) -> DriftReport:
    """Give a configured member what it needs; returns what was found and copied.

    ``described``: a member that is new, whose blank token is initialised first. ``so_pin``: presents the PIN of a member's
    security officer; else it lies in the home. In a home with officers it takes an approved ``AddMember``. ``reset_serial``: a
    token with keys that the new member is to have, which is ERASED first, under an approved ``ResetMember``.
    Raises ConfigError for a member that is not configured or an officer's PIN that is not there, PinRefusedError for
    a PIN that was refused, ApprovalRequiredError, HomeError when another such command is at work, HsmIntegrityError when a
    member holds another key than it should, and HsmError when one does not answer: all must.
    """
    config = load_config(home.root)
    configured = config.cluster.members
    if described is None and name not in {member.name for member in configured}:
        raise ConfigError(
            f"there is no member {name!r} in the configuration",
            next_step="describe it in a file (--member-file), or in strongroom.toml;"
            f" there are {', '.join(m.name for m in configured)}",
        )
    with alone_with_members(home), contextlib.closing(Store.open(home.database)) as store:
        joining, chain = None, chain_of_home(home, config, store)
        if described is not None:
            _require_not_ours(reset_serial, name, configured, store)
            joining = Joining(home, described, clock=clock, progress=progress)
            _require_new(joining, name, configured)
            if joining.is_joined:
                joining.end()
                return DriftReport(name, clock.now(), 0)
            present = so_pin or pins_of(home).security_officer
            approved = partial(approve_reset, home, config, store, serial=reset_serial, clock=clock)
            await joining.prepare(chain, Resetting(approved, present) if reset_serial else None)
        others = [member for member in configured if joining is None or member.name != name]
        members = others if joining is None else [*others, joining.config]
        (added,) = (member for member in members if member.name == name)
        approval = await approve_addition(home, config, store, added, joining, clock=clock, progress=progress)
        pins = _presented(home, others, joining, so_pin)
        async with repair_by_command(home, name, clock), _pin_aside(home, name):
            report = await _add(
                home,
                members,
                name,
                pins,
                approval=approval,
                store=store,
                events=events,
                clock=clock,
                progress=progress,
            )
        if joining is not None and report.is_clean:
            await joining.join(store)
        return report


@contextlib.asynccontextmanager
async def _pin_aside(home: Home, name: str) -> AsyncIterator[None]:
    """Have a member whose token was emptied start as one that pinned nothing; where the token remembers, nothing changes.

    Only once the officers approved that it is added: otherwise a token without the genesis that it pinned is not believed.
    """
    copy = home.custody / "pins" / name
    aside = copy.with_name(f"{name}.aside")
    if copy.exists():
        copy.replace(aside)
    try:
        yield
    finally:
        if copy.exists():
            aside.unlink(missing_ok=True)
        elif aside.exists():
            aside.replace(copy)


async def _add(
    home: Home,
    members: Sequence[MemberConfig],
    name: str,
    pins: PinAccess,
    *,
    approval: ApprovedAddition | None,
    store: Store,
    events: EventSink,
    clock: Clock,
    progress: Progress,
) -> DriftReport:
    roots = store.list_roots()
    algorithm = WrapAlgorithm(roots[-1].wrap_algorithm)
    if algorithm is not WrapAlgorithm.HSM_AES_GCM:
        raise ConfigError(
            f"the cluster wraps by {algorithm.name}: roots of it do not travel, since no HSM is known that needs it and"
            " keeps keys from leaving under any other key",
            next_step="restore the member's token from its vendor's backup, or by its vendor's replication",
        )
    async with open_doors(home, members, algorithm, restore_runtime_folder(home), pins) as doors:
        await admit_addition(doors, approval, name)
        others = [replica for replica in doors.replicas if replica.name != name]
        await _require_sources(others, roots, clock, progress)
        await _renew_transports(doors, store, clock, progress)
        (added,) = (replica for replica in doors.replicas if replica.name == name)
        report = await _make_whole(added, others, store, events=events, clock=clock, progress=progress)
        await pin_member(doors, approval, name, progress)
        return report


def _require_not_ours(serial: str, name: str, configured: Sequence[MemberConfig], store: Store) -> None:
    """Refuse to erase the token of another member, whatever officers signed: it serves, or its keys are looked for on it."""
    ours = {member.token_serial: member.name for member in configured}
    ours |= {member.token_serial: member.name for member in store.list_members()}
    if serial and ours.get(serial, name) != name:
        raise ConfigError(
            f"the token {serial} is that of member {ours[serial]}, so it is not erased for {name}",
            next_step="see: strongroom members list",
        )


def _require_new(joining: Joining, name: str, configured: Sequence[MemberConfig]) -> None:
    if joining.name != name:
        raise ConfigError(f"the file describes the member {joining.name}, and {name} is to be added")
    if not joining.is_begun and name in {member.name for member in configured}:
        raise ConfigError(
            f"there is a member {name} already", next_step="leave --member-file out to make it whole again"
        )


def _presented(
    home: Home,
    others: Sequence[MemberConfig],
    joining: Joining | None,
    so_pin: Callable[[MemberConfig], Secret] | None,
) -> PinAccess:
    """Have all PINs of security officers presented before the first is sent."""
    of_home = pins_of(home)
    present = so_pin or of_home.security_officer
    officers = {member.name: present(member) for member in others}
    if joining is None:
        return PinAccess(of_home.user, lambda member: officers[member.name])
    officers[joining.name] = joining.so_pin()
    return PinAccess(of_home.user, lambda member: officers[member.name])


@contextlib.contextmanager
def alone_with_members(home: Home) -> Iterator[None]:
    """Hold a lock of its own: the lock of the home is the service's, which may run. Raises HomeError."""
    path = home.root / "members-lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HomeError(
                "another 'strongroom members add', or the making of a backup set, is at work on this home"
            ) from error
        yield
    finally:
        os.close(lock)


async def _require_sources(
    others: Sequence[Replica], roots: Sequence[RootRecord], clock: Clock, progress: Progress
) -> None:
    """Have the other members prove the roots before anything is changed on them."""
    if not others:
        raise ConfigError("there is no other member that could give it the root")
    for other in others:
        progress(f"member {other.name} proves that it holds the root")
        await _prove(other, roots, clock)


async def _prove(member: Replica, roots: Sequence[RootRecord], clock: Clock) -> None:
    for root in roots:
        canary = Canary(root.canary, root.canary_digest)
        deadline = Deadline.after(clock, _PROOF_LIMIT_S)
        await prove_use(RootId(root.root_id), canary, member.use, deadline=deadline)


async def _renew_transports(doors: Doors, store: Store, clock: Clock, progress: Progress) -> None:
    users, officers = doors.users, doors.officers
    await destroy_unknown_transport_keys(users, _known(store))
    progress("making the keys that other keys travel under between the members")
    made = [transport_record(one, clock.now()) for one in await make_transport_keys(users, officers)]
    await store.write(lambda tx: _replace(tx, made))
    progress("destroying those that they replace")
    await destroy_unknown_transport_keys(users, _known(store))


def _known(store: Store) -> set[bytes]:
    return {record.transport_id for record in store.list_transport_keys()}


def _replace(transaction: Transaction, made: Sequence[TransportKeyRecord]) -> None:
    for member in {record.member for record in transaction.list_transport_keys()}:
        transaction.forget_transport_keys(member)  # also those of a member that is configured no more
    for record in made:
        transaction.insert_transport_key(record)


async def _make_whole(
    member: Replica,
    others: Sequence[Replica],
    store: Store,
    *,
    events: EventSink,
    clock: Clock,
    progress: Progress,
) -> DriftReport:
    """Copy what the member lacks, as the service does with every member that comes back, and prove it."""
    progress(f"copying the root and the keys to member {member.name}, and proving each copy")
    reconciler = Reconciler(
        store, lambda: others, root_label=ROOT_LABEL, turns=Turns(), events=events, clock=clock
    )
    report = await reconciler.reconcile(member)
    reconciler.require_same_keys(report)
    progress(f"member {member.name} proves that it holds the root")
    await _prove(member, store.list_roots(), clock)
    return report
