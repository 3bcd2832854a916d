"""A member on a fresh SoftHSM token that lives as long as it is looked at: for benchmarks, never for keys of worth."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from strongroom.config import Home, MemberConfig, read_pin
from strongroom.core import HsmKey, HsmKeyId, KeySpec, KeyUsage, RootId, random_bytes
from strongroom.hsm.cluster import RemoteAdmin, RemoteMember
from strongroom.wiring.cluster_setup import MEMBER_NAMES, make_development_members
from strongroom.wiring.home import runtime_folder
from strongroom.wiring.workers import admin_worker, member_bootstrap, member_environment


class ThrowawayMember(NamedTuple):
    """A worker on a fresh token."""

    use: RemoteMember
    admin: RemoteAdmin
    config: MemberConfig
    home: Home
    """The folder that holds the token and its PIN, laid out as a home is."""


@contextlib.asynccontextmanager
async def throwaway_member(folder: Path) -> AsyncIterator[ThrowawayMember]:
    """Initialise a token in an empty folder and run a worker on it that takes admin verbs. Raises HsmError.

    The worker ends with the block; the folder is for the caller to remove.
    """
    home = Home(folder)
    for part in (home.tokens, home.pins):
        part.mkdir(mode=0o700)
    (first,) = await make_development_members(home, lambda _step: None, MEMBER_NAMES[:1])
    pin = read_pin(first.config.pin, home.root)
    bootstrap = member_bootstrap(
        first.config, home, "administer", pin=pin.reveal(), sockets=runtime_folder(home), generation=0
    )
    pin.zeroize()
    async with admin_worker(bootstrap, member_environment(first.config, home)) as admin:
        use = RemoteMember(first.config.name, bootstrap.use_path)
        with contextlib.closing(use):
            yield ThrowawayMember(use, admin, first.config, home)


async def make_bench_keys(member: ThrowawayMember) -> tuple[RootId, HsmKey, HsmKey]:
    """Make a root, an RSA-2048 and a P-256 signing key on the member. Raises HsmError."""
    root_id = RootId(random_bytes(16))
    await member.admin.generate_root(root_id, "bench")
    rsa, p256 = (
        HsmKey(HsmKeyId(random_bytes(16)), spec, KeyUsage.SIGN_VERIFY)
        for spec in (KeySpec.RSA_2048, KeySpec.ECC_NIST_P256)
    )
    for key in (rsa, p256):
        await member.admin.generate_direct(key, "bench", may_leave=False)
    return root_id, rsa, p256
