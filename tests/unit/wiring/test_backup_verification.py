"""A bundle that is opened: everything in it is used, and whatever is not what it says is told."""

import contextlib
import io
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from backup_bench import CREATE, backup_bench
from backup_documents import SHARE_KEY
from fakes_replication import CLOCK, FakeKeys, Life, soon
from fresh_database import fresh_database
from strongroom.backup import (
    MissingKeyError,
    UnusableBackupError,
    WrongSetError,
    check_share_key,
    manifest_digest,
    read_bundle,
    read_manifest,
    write_bundle,
    write_manifest,
)
from strongroom.core import Secret, SigningAlgorithm, TransportKind, transport_kind
from strongroom.testing import FakeHsm, FakeMember
from strongroom.wiring import backup_verification
from strongroom.wiring.backup_verification import (
    ProductionRootsError,
    ScratchCannotOpenError,
    require_scratch_allowed,
    verify_closed,
    verify_opened,
)
from strongroom.wiring.scratch_folder import scratch_folder


class ScratchOpening:
    """What takes keys in, over a fake HSM: ``wiring.backup_opening.OpenedBackup``."""

    def __init__(self, hsm, cluster, backup_set, member):
        self._keys = FakeKeys(hsm, cluster.transports, Life())
        self._set, self._member = backup_set, member

    def _transport(self, kind):
        return bytes.fromhex(self._set.transport(self._member, kind).cka_id)

    async def take_root(self, root_id, label, *, wrapped, check):
        transport = self._transport(TransportKind.AES)
        await self._keys.take_in_root(
            root_id, label, transport_id=transport, wrapped=wrapped, check=check, deadline=soon()
        )

    async def take_key(self, key, label, *, wrapped, spki_der):
        transport = self._transport(transport_kind(key.spec))
        await self._keys.take_in_key(
            key, label, transport_id=transport, wrapped=wrapped, spki_der=spki_der, deadline=soon()
        )


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "strongroom.db"
    fresh_database(path)
    return path.read_bytes()


@pytest.fixture
async def bench(blank, tmp_path, monkeypatch):
    hsm = FakeHsm("scratch")

    @contextlib.asynccontextmanager
    async def throwaway_member(_folder):
        yield SimpleNamespace(use=FakeMember(hsm), admin=None)

    async with backup_bench(blank, tmp_path) as made:

        @contextlib.asynccontextmanager
        async def open_backup(_door, backup_set, share_key, *, member):
            check_share_key(backup_set, share_key)
            yield ScratchOpening(hsm, made.cluster, backup_set, member)

        monkeypatch.setattr(backup_verification, "throwaway_member", throwaway_member)
        monkeypatch.setattr(backup_verification, "open_backup", open_backup)
        yield made


async def opened(bench, path, share_key=SHARE_KEY):
    with Path(path).open("rb") as file, scratch_folder() as folder:
        closed = verify_closed(file, bench.set)
        return await verify_opened(
            file, closed, bench.set, Secret(share_key), folder, clock=CLOCK, progress=lambda step: None
        )


async def signed_anew(bench, path, change):
    """Write the bundle again with another manifest, which the cluster signs: what a defect of ours could make."""
    data = Path(path).read_bytes()
    bundle = read_bundle(io.BytesIO(data))
    manifest = write_manifest(change(read_manifest(bundle.manifest_bytes)))
    digest, key = manifest_digest(manifest), bench.signing.key
    member = FakeMember(bench.cluster.hsms["alpha"])
    signature = await member.sign(key, SigningAlgorithm.ECDSA_SHA_256, digest, deadline=soon())
    with Path(path).open("wb") as out:
        write_bundle(out, manifest, signature, [data[bundle.snapshot_at :]])


async def test_what_softhsm_cannot_open_is_refused_before_anybody_brings_a_share(bench):
    answer = await bench.ask(CREATE)
    with Path(answer.path).open("rb") as file:
        manifest = verify_closed(file, bench.set).bundle.manifest
    transports = tuple(msgspec.structs.replace(one, oaep_hash="sha256") for one in bench.set.transports)
    of_luna = msgspec.structs.replace(bench.set, transports=transports)
    with pytest.raises(ScratchCannotOpenError, match="SoftHSM knows sha1 only"):
        require_scratch_allowed(of_luna, manifest, is_accepted=True)


def with_first(field, **changes):
    """Change the first root or key of a manifest."""

    def change(manifest):
        first, *others = getattr(manifest, field)
        return msgspec.structs.replace(
            manifest, **{field: (msgspec.structs.replace(first, **changes), *others)}
        )

    return change


def with_a_row_more(manifest):
    counts = {**manifest.snapshot.counts, "keys": 1}
    return msgspec.structs.replace(
        manifest, snapshot=msgspec.structs.replace(manifest.snapshot, counts=counts)
    )


async def test_everything_in_a_bundle_is_taken_in_and_used(bench):
    answer = await bench.ask(CREATE)
    verdict = await opened(bench, answer.path)
    assert (verdict.n_roots, verdict.n_keys, verdict.n_domains) == (1, 4, 1)
    assert verdict.counts["domains"] == 1


async def test_another_share_key_opens_nothing(bench):
    answer = await bench.ask(CREATE)
    for wrong in (bytes(32), SHARE_KEY[:16]):
        with pytest.raises(WrongSetError):
            await opened(bench, answer.path, wrong)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_first("roots", canary_digest="00" * 32), "root"),
        (with_first("roots", wrapped=bytes(60)), "root"),
        (with_first("keys", wrapped=bytes(60)), "Direct key"),
        (with_first("keys", canary=b"\1" * 50), "Direct key"),
        (with_a_row_more, "rows"),
    ],
)
async def test_what_is_signed_and_not_what_it_says_is_told(bench, change, said):
    answer = await bench.ask(CREATE)
    await signed_anew(bench, answer.path, change)
    with pytest.raises(UnusableBackupError, match=said):
        await opened(bench, answer.path)


async def test_a_domain_that_does_not_open_is_told(bench):
    spoilt = bench.domain.wrapped[:-1] + bytes((bench.domain.wrapped[-1] ^ 1,))
    root_id = bench.domain.root_id
    await bench.store.write(
        lambda tx: tx.replace_domain_wrapped(
            bench.domain.domain_id, was=bench.domain.wrapped, root_id=root_id, wrapped=spoilt
        )
    )
    answer = await bench.ask(CREATE)
    with pytest.raises(UnusableBackupError, match="domain"):
        await opened(bench, answer.path)


async def test_a_bundle_without_a_root_that_its_database_needs_is_told(bench, monkeypatch):
    from strongroom.runtime import _backup_contents

    await bench.cluster.roots.make(lambda tx, record: tx.publish_root(record), deadline=soon())
    real = _backup_contents.ReadOnlyStore.list_roots

    def forgetful(self):
        return [root for root in real(self) if root.state == "current"]

    monkeypatch.setattr(_backup_contents.ReadOnlyStore, "list_roots", forgetful)
    answer = await bench.ask(CREATE)
    with pytest.raises(MissingKeyError, match="does not hold"):
        await opened(bench, answer.path)


async def test_a_bundle_that_says_nothing_of_a_key_of_its_database_is_told(bench):
    answer = await bench.ask(CREATE)
    await signed_anew(
        bench, answer.path, lambda manifest: msgspec.structs.replace(manifest, keys=manifest.keys[1:])
    )
    with pytest.raises(MissingKeyError, match="says nothing"):
        await opened(bench, answer.path)


async def test_roots_of_hsms_need_a_word_for_it(bench):
    answer = await bench.ask(CREATE)
    with Path(answer.path).open("rb") as file:
        manifest = verify_closed(file, bench.set).bundle.manifest
    require_scratch_allowed(bench.set, manifest, is_accepted=False)
    of_hsm = msgspec.structs.replace(bench.set, origin="hsm")
    require_scratch_allowed(of_hsm, manifest, is_accepted=True)
    with pytest.raises(ProductionRootsError, match="--production-roots-into-softhsm"):
        require_scratch_allowed(of_hsm, manifest, is_accepted=False)
