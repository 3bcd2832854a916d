"""``strongroom principals`` gives nobody roles that are kept apart, and an officer's principal those of the chain; refusals are recorded."""

import pytest
from msgspec.structs import replace

from fakes_custody import begun, changed, signed_genesis
from strongroom.config import (
    ClientConfig,
    ClusterConfig,
    Config,
    CustodyConfig,
    Home,
    MemberConfig,
    PinSource,
    ServiceConfig,
)
from strongroom.core import NoMemberError, RootId
from strongroom.custody import document_hash, write_document
from strongroom.keyring import CREDENTIALS, make_access_key
from strongroom.service import Ground
from strongroom.storage import CustodyDocumentRecord
from strongroom.testing import RecordingEvents
from strongroom.wiring.policy_check import Case, check_policy_of
from strongroom.wiring.principal_duties import PrincipalError
from strongroom.wiring.principals import Principals

GENESIS = signed_genesis()


@pytest.fixture
def config():
    members = [MemberConfig(name="hsm-a", profile="softhsm2", pin=PinSource(file="x"), token_label="hsm-a")]
    clients = [ClientConfig(identity="dns:siem", principal="user/siem", roles=["auditor"])]
    return Config(
        version=1,
        cluster=ClusterConfig(members=members),
        service=ServiceConfig(clients=clients, tls_client_ca="ca.pem"),
    )


@pytest.fixture
def home(bench, tmp_path):
    return Home(tmp_path)


@pytest.fixture
async def domain_id(bench):
    domain = await bench.keyring.ciphers.new_domain(RootId(bench.root_id), CREDENTIALS)
    await bench.store.write(lambda tx: tx.insert_domain(domain))
    return domain.domain_id


@pytest.fixture
async def add(bench, domain_id):
    async def make(principal, *roles):
        record, _ = await make_access_key(
            bench.keyring.ciphers, domain_id, principal=principal, roles=roles, now=1.0
        )
        await bench.store.write(lambda tx: tx.insert_access_key(record))
        return record.access_key_id

    return make


@pytest.fixture
async def with_custody(bench, config):
    first = CustodyDocumentRecord(0, GENESIS)
    await bench.store.write(lambda tx: tx.append_custody_document(first))
    return replace(config, custody=CustodyConfig(genesis_sha256=document_hash(GENESIS)))


def refusals(bench):
    return [entry for entry in bench.entries() if entry.kind == "refusal"]


async def made(desk, principal, *roles):
    """Go as far as a home goes whose service does not run: past every check of duties."""
    with pytest.raises(NoMemberError, match="control socket"):
        await desk.create(principal, roles, RecordingEvents())


@pytest.mark.parametrize(
    "roles", [("security-officer", "crypto-officer"), ("auditor", "operator"), ("crypto-user", "auditor")]
)
async def test_an_access_key_gets_no_two_roles_that_are_kept_apart(bench, home, config, roles):
    opened = Principals.opened(home, config, bench.clock)
    with opened as desk, pytest.raises(PrincipalError, match="duties are separate"):
        await desk.create("user/app", roles, RecordingEvents())
    (entry,) = refusals(bench)
    assert (entry.event, entry.outcome) == ("access.CreateAccessKey", "PrincipalError")
    assert entry.detail == {"subject": "user/app", "roles": " ".join(roles)}
    assert entry.principal.startswith("local/")


async def test_nor_does_a_principal_by_several_access_keys_and_callers(bench, home, config, add):
    key = await add("user/app", "crypto-officer")
    look = await add("user/app", "operator")
    with Principals.opened(home, config, bench.clock) as desk:
        for roles in (("security-officer",), ("auditor",)):
            with pytest.raises(PrincipalError, match="user/app would be"):
                await desk.create("user/app", roles, RecordingEvents())
        with pytest.raises(PrincipalError, match="user/app would be auditor"):
            await desk.set_roles(look, ("auditor",))
        with pytest.raises(PrincipalError, match="user/siem would be auditor and crypto-user"):
            await desk.create("user/siem", ("crypto-user",), RecordingEvents())
        await made(desk, "user/app", "crypto-officer", "crypto-user", "operator")
        await made(desk, "user/other", "auditor")
        await desk.set_roles(key, ("security-officer",))  # in place of what it had
    assert len(refusals(bench)) == 4


async def test_a_disabled_access_key_is_not_enabled_beside_one_of_another_duty(bench, home, config, add):
    key = await add("user/app", "crypto-officer")
    with Principals.opened(home, config, bench.clock) as desk:
        await desk.set_active(key, is_active=False)
        await add("user/app", "auditor")
        with pytest.raises(PrincipalError, match="duties are separate"):
            await desk.set_active(key, is_active=True)
        await desk.delete(key)
    assert refusals(bench)[-1].event == "access.EnableAccessKey"


async def test_an_officer_is_given_the_roles_of_the_chain_and_no_others(bench, home, with_custody, add):
    key = await add("user/dora", "operator")
    with Principals.opened(home, with_custody, bench.clock) as desk:
        await made(desk, "user/dora")
        await made(desk, "user/dora", "crypto-officer")
        await desk.set_roles(key, ())
        assert desk.find(key).record.roles == ("crypto-officer",)
        for roles in (("operator",), ("crypto-officer", "crypto-user")):
            with pytest.raises(PrincipalError, match="whose roles the chain gives: crypto-officer"):
                await desk.create("user/dora", roles, RecordingEvents())
        for role in ("security-officer", "custodian", "witness"):
            with pytest.raises(PrincipalError, match="belongs to no officer"):
                await desk.create("user/app", (role,), RecordingEvents())
        await made(desk, "user/app", "crypto-user")
        assert desk.counted()[key].roles == {"crypto-officer"}


async def test_a_revoked_officer_is_given_nothing(bench, home, with_custody, add):
    key = await add("user/dora", "crypto-officer")
    record = write_document(
        changed(begun(), "RevokeOfficer", {"officer": "dora", "reason": "left"}).records[0]
    )
    await bench.store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(1, record)))
    with Principals.opened(home, with_custody, bench.clock) as desk:
        for roles in ((), ("crypto-officer",)):
            with pytest.raises(PrincipalError, match="revoked"):
                await desk.create("user/dora", roles, RecordingEvents())
        assert not desk.counted()[key].roles
    made_key = await bench.service.create_key(bench.caller(), description="")
    (case,) = check_policy_of(home, with_custody, Case(made_key.key_id, "user/dora", "DisableKey"))
    assert (case.roles, case.decision.ground) == ((), Ground.NOTHING)
    assert "chain of custody" in case.why


async def test_nobody_is_given_roles_while_the_chain_cannot_be_verified(bench, home, with_custody):
    strange = replace(with_custody, custody=CustodyConfig(genesis_sha256="00" * 32))
    opened = Principals.opened(home, strange, bench.clock)
    with opened as desk, pytest.raises(PrincipalError, match="cannot be verified"):
        await desk.create("user/app", ("crypto-user",), RecordingEvents())
