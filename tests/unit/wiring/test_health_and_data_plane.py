"""What an API process is built of, and what it tells about itself."""

import re
import sqlite3
import uuid
from contextlib import closing

import pytest

from strongroom.config import (
    CacheConfig,
    ClusterConfig,
    Config,
    Home,
    MemberConfig,
    PinSource,
    QuotaConfig,
    QuotasConfig,
)
from strongroom.core import (
    AuditUnavailableError,
    NoMemberError,
    RootId,
    Secret,
    StorageError,
    StrongroomError,
)
from strongroom.envelope import Blob, EnvelopeIntegrityError
from strongroom.hsm.cluster import SERVING, ClusterTable, HsmCluster, MemberState, WorkerEntry
from strongroom.keyring import CREDENTIALS, KeyById, make_access_key
from strongroom.service import AccessDeniedError, Caller, Credential
from strongroom.storage import Store
from strongroom.testing import RecordingEvents
from strongroom.wiring.data_plane import build_data_plane
from strongroom.wiring.health import DataPlaneHealth
from strongroom.wiring.quotas import open_quotas
from strongroom.wiring.root_status import root_status_of


@pytest.fixture
async def cluster(bench):
    made = HsmCluster(
        clock=bench.clock, events=RecordingEvents(), attempt_s=1, report=lambda _suspicion: None
    )
    yield made
    made.close()


@pytest.fixture
def health(bench, cluster):
    return DataPlaneHealth(
        service=bench.service,
        cluster=cluster,
        audit=bench.audit,
        keyring=bench.keyring,
        roots=lambda: root_status_of(bench.store, bench.clock),
    )


def table(*states):
    entries = [
        WorkerEntry(f"hsm-{number}", 0, number + 1, state, "/nowhere", reason="why", pid=7)
        for number, state in enumerate(states)
    ]
    return ClusterTable(1, entries)


def make_ready(bench, cluster):
    cluster.apply(table(MemberState.ACTIVE, MemberState.EJECTED))
    bench.service.take_credentials({"AKIA": Credential("AKIA", "user/app", Secret(b"hush"))})


def metric(text, name):
    return float(re.search(rf"^strongroom_{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


async def test_at_first_every_reason_not_to_be_ready_is_named(health):
    assert [reason.split()[:4] for reason in health.readiness()] == [
        ["no", "member", "of", "the"],
        ["the", "secrets", "of", "access"],
    ]


async def test_with_one_active_member_and_credentials_it_is_ready(bench, cluster, health):
    make_ready(bench, cluster)
    assert health.readiness() == []
    assert metric(health.metrics(), "ready") == 1


@pytest.mark.parametrize("state", [state for state in MemberState if state not in SERVING])
async def test_a_member_in_a_state_that_serves_nobody_does_not_count(bench, cluster, health, state):
    make_ready(bench, cluster)
    cluster.apply(table(state))
    assert "no member" in health.readiness()[0]
    assert metric(health.metrics(), "ready") == 0


async def test_stopping_and_an_unwritable_audit_log_are_reasons_too(bench, cluster, health):
    make_ready(bench, cluster)
    health.is_stopping = True
    assert health.readiness() == ["the service is stopping"]
    health.is_stopping = False
    bench.audit.close()
    assert ["audit log cannot be written" in reason for reason in health.readiness()] == [True]
    assert health.status()["audit_failure"]


async def test_the_status_tells_of_every_member(bench, cluster, health):
    make_ready(bench, cluster)
    status = health.status()
    common = {"worker": 0, "reason": "why", "pid": 7, "priority": 0, "breaker": "closed", "latency_ms": {}}
    assert status["members"] == [
        {"name": "hsm-0", "state": "active", "generation": 1, **common},
        {"name": "hsm-1", "state": "ejected", "generation": 2, **common},
    ]
    assert status["not_ready"] == []


async def test_metrics_count_what_happened_and_have_the_exposition_format(bench, cluster, health):
    make_ready(bench, cluster)
    made = await bench.service.create_key(bench.caller(), description="x")
    for _ in range(3):
        await bench.service.encrypt(bench.caller(), KeyById(made.key_id), Secret(b"x"), context={})
    text = health.metrics()
    assert (metric(text, "kek_cache_misses_total"), metric(text, "kek_cache_hits_total")) == (1, 2)
    assert (metric(text, "kek_cache_entries"), metric(text, "domain_cache_entries")) == (1, 1)
    assert metric(text, "audit_entries_total") == 5
    assert metric(text, 'hsm_member_active{member="hsm-0",worker="0"}') == 1
    assert metric(text, 'hsm_member_active{member="hsm-1",worker="0"}') == 0
    assert metric(text, 'hsm_member_generation{member="hsm-1",worker="0"}') == 2
    for line in text.splitlines():
        assert re.fullmatch(
            r"# (HELP|TYPE) strongroom_[a-z_]+ .+|strongroom_[a-z_]+(\{[^{}]+\})? -?[0-9.e+]+", line
        )
    names = re.findall(r"(?m)^# TYPE (\S+)", text)
    assert len(names) == len(set(names)) > 8


async def test_metrics_say_what_a_full_table_of_quotas_let_pass(bench, cluster, home):
    quotas = open_quotas(QuotasConfig(key=QuotaConfig(rate=0.001, burst=1)), home, bench.clock)
    health = DataPlaneHealth(
        service=bench.service,
        cluster=cluster,
        audit=bench.audit,
        keyring=bench.keyring,
        roots=lambda: root_status_of(bench.store, bench.clock),
        quotas=quotas,
    )
    assert metric(health.metrics(), "quota_uncounted_total") == 0
    for first in range(0, 100_000, 20):
        quotas.take("user/app", "Encrypt", tuple(str(first + at) for at in range(20)))
    assert metric(health.metrics(), "quota_uncounted_total") == quotas.n_unlimited > 0


# The data plane as a whole.


@pytest.fixture
def home(bench, tmp_path):
    """A home whose database is the bench's."""
    assert bench.path == Home(tmp_path).database
    return Home(tmp_path)


@pytest.fixture
def config():
    members = [
        MemberConfig(name=name, profile="softhsm2", pin=PinSource(file="x"), token_label=name)
        for name in ("hsm-a", "hsm-b")
    ]
    return Config(version=1, cluster=ClusterConfig(members=members), cache=CacheConfig(ttl_s=7.0))


async def add_access_key(bench, principal, *roles, active=True):
    domain = await bench.keyring.ciphers.new_domain(RootId(bench.root_id), CREDENTIALS)
    await bench.store.write(lambda tx: tx.insert_domain(domain))
    record, secret = await make_access_key(
        bench.keyring.ciphers, domain.domain_id, principal=principal, roles=roles, now=1.0
    )
    await bench.store.write(lambda tx: tx.insert_access_key(record._replace(active=active)))
    return record.access_key_id, secret


def build(config, home, bench, writer="api-1"):
    return build_data_plane(config, home, bench.cluster, writer=writer, clock=bench.clock)


async def test_active_access_keys_are_recognised_once_an_hsm_answers(bench, home, config):
    key_id, secret = await add_access_key(bench, "user/app", "crypto-user")
    gone_id, _ = await add_access_key(bench, "user/gone", "crypto-user", active=False)
    plane = build(config, home, bench)
    try:
        bench.cluster.is_down = True
        with pytest.raises(NoMemberError):
            await plane.load_credentials(RecordingEvents())
        assert not plane.service.has_credentials
        bench.cluster.is_down = False
        await plane.load_credentials(RecordingEvents())
        found = plane.service.find_credential(key_id)
        assert (found.principal, found.secret_access_key.matches(secret)) == ("user/app", True)
        assert plane.service.find_credential(gone_id) is None
    finally:
        plane.close()


async def changed(bench, access_key_id, **values):
    """Change an access key's row as whoever can write the file could."""
    (record,) = [row for row in bench.store.list_access_keys() if row.access_key_id == access_key_id]
    columns = ", ".join(f"{name} = :{name}" for name in values)
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute(
            f"UPDATE access_keys SET {columns} WHERE access_key_id = :of",  # noqa: S608
            {**{name: change(getattr(record, name)) for name, change in values.items()}, "of": access_key_id},
        )


def flip(blob, at):
    flipped = bytearray(blob)
    flipped[at] ^= 1
    return bytes(flipped)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda blob: flip(blob, -1), "EnvelopeIntegrityError"),
        (lambda blob: flip(blob, 0), "MalformedBlobError"),
        (lambda blob: b"x", "MalformedBlobError"),
        (lambda blob: flip(blob, 5), "MissingRecordError"),  # the id of its domain
    ],
)
async def test_an_access_key_that_does_not_authenticate_locks_out_nobody_else(
    bench, home, config, change, cause
):
    ids = sorted([(await add_access_key(bench, f"user/{number}", "operator"))[0] for number in range(3)])
    await changed(bench, ids[0], wrapped_secret=change)
    plane, events = build(config, home, bench), RecordingEvents()
    try:
        await plane.load_credentials(events)
        assert [plane.service.find_credential(key_id) is not None for key_id in ids] == [False, True, True]
        assert events.events == [("access_key.unreadable", {"access_key_id": ids[0], "cause": cause})]
    finally:
        plane.close()


async def test_an_access_key_whose_domain_was_changed_locks_out_nobody_else(bench, home, config):
    ids = sorted([(await add_access_key(bench, f"user/{number}", "operator"))[0] for number in range(2)])
    (record,) = [row for row in bench.store.list_access_keys() if row.access_key_id == ids[0]]
    domain_id = str(uuid.UUID(bytes=Blob.parse(record.wrapped_secret).wrapping_key_id))
    wrapped = flip(bench.store.get_domain(domain_id).wrapped, -1)
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute("UPDATE domains SET wrapped = ? WHERE domain_id = ?", (wrapped, domain_id))
    plane, events = build(config, home, bench), RecordingEvents()
    try:
        await plane.load_credentials(events)
        assert plane.service.find_credential(ids[1]) is not None
        assert events.named("access_key.unreadable") == [
            {"access_key_id": ids[0], "cause": "HsmIntegrityError"}
        ]
    finally:
        plane.close()


async def test_when_no_access_key_authenticates_the_service_is_not_ready(bench, home, config):
    """More likely the tokens or the database are others than they were than that every record was changed."""
    key_id, _ = await add_access_key(bench, "user/app", "operator")
    await changed(bench, key_id, wrapped_secret=lambda blob: flip(blob, -1))
    plane, events = build(config, home, bench), RecordingEvents()
    try:
        with pytest.raises(EnvelopeIntegrityError):
            await plane.load_credentials(events)
        assert not plane.service.has_credentials
        assert events.events == []
    finally:
        plane.close()


async def test_an_access_key_that_cannot_be_read_for_now_is_not_taken_for_a_bad_one(
    bench, home, config, monkeypatch
):
    key_id, _ = await add_access_key(bench, "user/app", "operator")
    plane, events = build(config, home, bench), RecordingEvents()

    def failing(_domain_id):
        raise StorageError("the disk under the database failed")

    try:
        for trouble in ("disk", "outage"):
            with monkeypatch.context() as patched:
                patched.setattr(plane.store, "get_domain", failing) if trouble == "disk" else None
                bench.cluster.is_down = trouble == "outage"
                with pytest.raises(StorageError if trouble == "disk" else NoMemberError):
                    await plane.load_credentials(events)
        bench.cluster.is_down = False
        await plane.load_credentials(events)
        assert plane.service.find_credential(key_id) is not None
        assert events.events == []
    finally:
        plane.close()


async def test_an_access_key_has_its_own_roles_and_not_those_of_its_principals_other_keys(
    bench, home, config
):
    user_id, _ = await add_access_key(bench, "user/app", "crypto-user")
    operator_id, _ = await add_access_key(bench, "user/app", "operator")
    gone_id, _ = await add_access_key(bench, "user/app", "crypto-officer", active=False)
    plane = build(config, home, bench)

    def with_key(access_key_id):
        return Caller("user/app", access_key_id, "192.0.2.7", "eu-central-1", "r")

    try:
        await plane.service.read_status(with_key(operator_id))
        for denied_id in (user_id, gone_id):
            with pytest.raises(AccessDeniedError):
                await plane.service.read_status(with_key(denied_id))
        for key_id in (user_id, operator_id, gone_id):
            with pytest.raises(AccessDeniedError):
                await plane.service.create_key(with_key(key_id), description="x")
        await plane.service.list_keys(with_key(user_id), limit=1, after=None)
    finally:
        plane.close()


async def test_the_lifetime_of_keys_is_the_configured_one(bench, home, config):
    made = await bench.service.create_key(bench.caller(), description="x")
    plane = build(config, home, bench)
    try:
        await plane.keyring.encrypt(KeyById(made.key_id), Secret(b"x"), {})
        bench.cluster.is_down = True
        bench.clock.advance(6.9)
        await plane.keyring.encrypt(KeyById(made.key_id), Secret(b"x"), {})
        bench.clock.advance(0.2)
        with pytest.raises(NoMemberError):
            await plane.keyring.encrypt(KeyById(made.key_id), Secret(b"x"), {})
    finally:
        plane.close()


async def test_a_plane_that_cannot_be_built_lets_go_of_everything(bench, home, config, monkeypatch):
    closed = []
    monkeypatch.setattr(Store, "close", lambda self, real=Store.close: (closed.append(self), real(self)))
    with pytest.raises(StrongroomError):  # the bench has this writer's log open
        build(config, home, bench, writer="api-0")
    assert len(closed) == 1
    with pytest.raises(StorageError):
        build(config, Home(home.root / "elsewhere"), bench)
    plane = build(config, home, bench)
    plane.close()
    with pytest.raises(AuditUnavailableError):
        await plane.audit.record("event", "x")
