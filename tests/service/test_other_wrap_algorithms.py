"""Clusters of SoftHSM members that wrap by something else than AES-GCM, from blank tokens to an unwrapped domain KEK."""

import msgspec
import pytest

from strongroom.config import Home
from strongroom.core import (
    Deadline,
    HsmIntegrityError,
    HsmRequestError,
    RootId,
    Secret,
    SystemClock,
    WrapAlgorithm,
)
from strongroom.envelope import Blob
from strongroom.hsm.cluster import prove_use
from strongroom.keyring import CREDENTIALS, CacheLimits, KekCiphers
from strongroom.storage import RootRecord, Store, create_database
from strongroom.wiring.cluster_setup import (
    choose_algorithm,
    make_development_members,
    make_root,
    open_doors,
)
from strongroom.wiring.home import runtime_folder
from strongroom.wiring.wrap_choice import try_member

pytestmark = [pytest.mark.softhsm, pytest.mark.slow]

GCM, CBC, OAEP = WrapAlgorithm.HSM_AES_GCM, WrapAlgorithm.HSM_AES_CBC_HMAC, WrapAlgorithm.HSM_RSA_OAEP
LIMITS = CacheLimits(60.0, 10, 10, 0.0)


def told(_step):
    """Progress for nobody."""


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    for folder in (home.root, home.pins, home.tokens, home.tls, home.audit):
        folder.mkdir(mode=0o700)
    return home


def changed(members, **changes):
    return [
        member._replace(config=msgspec.structs.replace(member.config, profile_changes=changes), wrapping=[])
        for member in members
    ]


def record_of(made):
    check, canary = made.check, made.canary
    return RootRecord(
        made.root_id, int(made.algorithm), check.kind, check.value, canary.blob, canary.digest, 1.0
    )


async def domain_opened_by_another(home, doors, made):
    """Make a domain through the first member and have the last one open it."""
    create_database(home.database)
    store = Store.open(home.database)
    first, last = (
        KekCiphers(store, use, clock=SystemClock(), limits=LIMITS, request_s=30.0)
        for use in (doors.uses[0], doors.uses[-1])
    )
    try:
        await store.write(lambda tx: tx.insert_root(record_of(made)))
        domain = await first.new_domain(made.root_id, CREDENTIALS)
        await store.write(lambda tx: tx.insert_domain(domain))
        await last.domain(domain.domain_id)
        return Blob.parse(domain.wrapped)
    finally:
        store.close()


async def test_two_members_without_aes_gcm_make_a_cluster_by_aes_cbc_and_hmac(home):
    without_gcm = {"gcm_mechanism": 0x80001087}
    members = changed(await make_development_members(home, told), **without_gcm)
    assert await choose_algorithm(home, members, told) is CBC
    async with open_doors(home, [member.config for member in members], CBC, runtime_folder(home)) as doors:
        made = await make_root(doors, SystemClock(), told)
        assert (made.algorithm, made.check.kind) == (CBC, "CKA_CHECK_VALUE+HMAC")
        blob = await domain_opened_by_another(home, doors, made)
        assert (blob.algorithm, len(blob.iv), len(blob.ciphertext), len(blob.tag)) == (CBC, 16, 48, 32)
        for use in doors.uses:
            deadline = Deadline.after(SystemClock(), 30.0)
            await prove_use(RootId(made.root_id), made.canary, use, deadline=deadline)
            spoilt = blob.wrapped._replace(tag=bytes(32))
            with pytest.raises(HsmIntegrityError):
                await use.unwrap(RootId(made.root_id), spoilt, blob.header, deadline=deadline)
            foreign = blob.wrapped._replace(algorithm=GCM)
            with pytest.raises(HsmRequestError, match="unwraps"):
                await use.unwrap(RootId(made.root_id), foreign, blob.header, deadline=deadline)


async def test_one_member_with_neither_makes_a_cluster_by_rsa_oaep(home):
    neither = {"gcm_mechanism": 0x80001087, "mac_key_gen": 0xDE436997, "replication": "none"}
    members = changed(await make_development_members(home, told), **neither)[:1]
    assert await choose_algorithm(home, members, told) is OAEP
    async with open_doors(home, [member.config for member in members], OAEP, runtime_folder(home)) as doors:
        made = await make_root(doors, SystemClock(), told)
        assert (made.algorithm, made.check.kind) == (OAEP, "SPKI-SHA-256")
        blob = await domain_opened_by_another(home, doors, made)
        assert (blob.algorithm, blob.iv, len(blob.ciphertext), blob.tag) == (OAEP, b"\x01", 384, b"")
        deadline = Deadline.after(SystemClock(), 30.0)
        wrapped = await doors.uses[0].wrap(made.root_id, Secret(b"k" * 32), b"aad", deadline=deadline)
        with pytest.raises(HsmIntegrityError):
            await doors.uses[0].unwrap(made.root_id, wrapped, b"other aad", deadline=deadline)


async def test_members_are_tried_without_making_anything(home):
    (member, *_) = await make_development_members(home, told)
    assert [one.algorithm for one in member.wrapping] == [GCM]
    sockets = home.root / "sockets"
    sockets.mkdir()
    answers = await try_member(member.config, home, sockets)
    assert [(one.algorithm, one.missing) for one in answers] == [(GCM, None), (CBC, None), (OAEP, None)]
