"""``init`` in its development form: from an empty folder to a home with a SoftHSM cluster of two members.

Everything is made under the lock of the home with a mark in place; the mark goes last. A home whose mark
still stands was never in use, so the next ``init`` removes what the interrupted one made and starts afresh.
"""

import shutil
from functools import partial
from pathlib import Path

import msgspec

from strongroom.config import ClusterConfig, Config, Home, ServiceConfig, render_config
from strongroom.core import Clock, HomeError, HsmUse
from strongroom.keyring import CREDENTIALS, CacheLimits, KekCiphers, make_access_key
from strongroom.service import Role
from strongroom.storage import MemberRecord, RootRecord, Store, Transaction, create_database
from strongroom.wiring.cluster_setup import (
    MadeRoot,
    Progress,
    SetUpMember,
    choose_algorithm,
    make_development_members,
    make_root,
    open_doors,
)
from strongroom.wiring.development_tls import make_development_tls, write_private
from strongroom.wiring.home import (
    locked_home,
    remove_runtime_folder,
    require_complete,
    runtime_folder,
    sync_tree,
)

DEVELOPMENT_PRINCIPAL = "user/developer"
_ROLES = (Role.CRYPTO_OFFICER, Role.CRYPTO_USER, Role.OPERATOR)
_HSM_LIMIT_S = 30.0


class DevelopmentAccessKey(msgspec.Struct, frozen=True):
    """The development access key, as it lies in the home (mode 0400)."""

    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"DevelopmentAccessKey({self.access_key_id})"


async def initialise_development(root: Path, *, port: int, clock: Clock, progress: Progress) -> bool:
    """Make a development home; returns False when it is complete already, which changes nothing.

    Raises HomeError when the folder holds something else or a home that lost a part of itself, or another
    process is at work on it, and HsmError when a token refuses.
    """
    home = Home(root)
    _make_folder(home)
    with locked_home(home):
        if home.config_file.exists() and not home.unfinished_mark.exists():
            require_complete(home)
            return False
        _start_afresh(home, progress)
        try:
            members = await make_development_members(home, progress)
            algorithm = await choose_algorithm(home, members, progress)
            configs = [member.config for member in members]
            async with open_doors(home, configs, algorithm, runtime_folder(home)) as doors:
                made = await make_root(doors, clock, progress)
                progress("making the database and an access key for development")
                access_key = await _make_database(home, members, doors.uses[0], made, clock=clock)
        finally:
            remove_runtime_folder(home)
        progress("making a TLS certificate authority for this machine")
        make_development_tls(home.tls, clock=clock)
        write_private(home.development_access_key, msgspec.json.encode(access_key))
        config = Config(
            version=1,
            service=ServiceConfig(port=port),
            cluster=ClusterConfig(members=[member.config for member in members]),
        )
        home.config_file.write_text(render_config(config))
        sync_tree(home.root)
        home.unfinished_mark.unlink()
        sync_tree(home.root)
    return True


def _make_folder(home: Home) -> None:
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HomeError(f"cannot make {home.root}: {error.strerror}") from error
    ours = {"lock", home.unfinished_mark.name}
    foreign = sorted(path.name for path in home.root.iterdir() if path.name not in ours)
    if foreign and not home.config_file.exists() and not home.unfinished_mark.exists():
        raise HomeError(
            f"{home.root} holds other things ({', '.join(foreign[:3])} …)",
            next_step="set STRONGROOM_HOME to a new or empty folder",
        )
    home.root.chmod(0o700)


def _start_afresh(home: Home, progress: Progress) -> None:
    if home.unfinished_mark.exists():
        progress("removing what an interrupted init left")
        for path in home.root.iterdir():
            if path in {home.lock_file, home.unfinished_mark}:
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    home.unfinished_mark.touch(mode=0o600)
    sync_tree(home.root)
    for folder in (home.pins, home.tokens, home.tls, home.audit):
        folder.mkdir(mode=0o700)


async def _make_database(
    home: Home, members: list[SetUpMember], hsm: HsmUse, made: MadeRoot, *, clock: Clock
) -> DevelopmentAccessKey:
    """Record root and members, and make the development access key under a domain of its own."""
    create_database(home.database)
    store = Store.open(home.database)
    try:
        ciphers = KekCiphers(
            store, hsm, clock=clock, limits=CacheLimits(60.0, 10, 10, 0.0), request_s=_HSM_LIMIT_S
        )
        now = clock.now()
        root = RootRecord(
            made.root_id,
            int(made.algorithm),
            made.check.kind,
            made.check.value,
            made.canary.blob,
            made.canary.digest,
            now,
        )
        records = [_record(member, position) for position, member in enumerate(members)]
        await store.write(lambda tx: tx.insert_root(root))
        for record in records:
            await store.write(partial(Transaction.insert_member, record=record))
        for transport in made.transports:
            await store.write(partial(Transaction.insert_transport_key, record=transport))
        domain = await ciphers.new_domain(made.root_id, CREDENTIALS)
        await store.write(lambda tx: tx.insert_domain(domain))
        access_key, secret = await make_access_key(
            ciphers, domain.domain_id, principal=DEVELOPMENT_PRINCIPAL, roles=_ROLES, now=now
        )
        await store.write(lambda tx: tx.insert_access_key(access_key))
    finally:
        store.close()
    return DevelopmentAccessKey(access_key.access_key_id, secret.reveal().decode())


def _record(member: SetUpMember, position: int) -> MemberRecord:
    return MemberRecord(
        member.config.name,
        member.config.profile,
        member.token.serial,
        member.token.label,
        position,
    )
