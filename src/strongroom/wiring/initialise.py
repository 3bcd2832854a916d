"""``init`` in its development form: from an empty folder to a home with a SoftHSM cluster of two members.

Everything is made under the lock of the home with a mark in place; the mark goes last. A home whose mark
still stands was never in use, so the next ``init`` removes what the interrupted one made and starts afresh.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from strongroom.config import ClusterConfig, Config, Home, ServiceConfig, render_config
from strongroom.core import Clock
from strongroom.service import Role
from strongroom.wiring.cluster_setup import (
    MEMBER_NAMES,
    Progress,
    choose_algorithm,
    make_development_members,
    make_root,
    open_doors,
)
from strongroom.wiring.development_tls import make_development_tls, write_private
from strongroom.wiring.first_records import FirstAccessKey, MadeAccessKey, make_records
from strongroom.wiring.home import (
    locked_home,
    make_home_folder,
    refuse_scripted,
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


async def initialise_development(
    root: Path, *, port: int, clock: Clock, progress: Progress, names: Sequence[str] = MEMBER_NAMES
) -> bool:
    """Make a development home of members with these names; returns False when it is complete already, which changes nothing.

    Raises HomeError when the folder holds something else or a home that lost a part of itself, or another
    process is at work on it, and HsmError when a token refuses.
    """
    home = Home(root)
    make_home_folder(home)
    with locked_home(home):
        refuse_scripted(home)
        if home.config_file.exists() and not home.unfinished_mark.exists():
            require_complete(home)
            return False
        _start_afresh(home, progress)
        try:
            members = await make_development_members(home, progress, names)
            algorithm = await choose_algorithm(home, members, progress)
            configs = [member.config for member in members]
            async with open_doors(home, configs, algorithm, runtime_folder(home)) as doors:
                made = await make_root(doors, clock, progress)
                progress("making the database and an access key for development")
                first = FirstAccessKey(DEVELOPMENT_PRINCIPAL, _ROLES)
                (access_key,) = await make_records(
                    home, members, doors.uses[0], made, access_keys=[first], clock=clock
                )
        finally:
            remove_runtime_folder(home)
        progress("making a TLS certificate authority for this machine")
        make_development_tls(home.tls, clock=clock)
        write_private(home.development_access_key, msgspec.json.encode(_written(access_key)))
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


def _written(made: MadeAccessKey) -> DevelopmentAccessKey:
    return DevelopmentAccessKey(made.access_key_id, made.secret.reveal().decode())
