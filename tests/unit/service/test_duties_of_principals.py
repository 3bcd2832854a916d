"""Which roles count: none that are kept apart, an auditor's for reading alone, and an officer's as the chain has them."""

import pytest

from fakes_custody import begun, changed, genesis_body, signed_genesis
from fakes_service import ACCOUNT
from policy_support import policy_text, statement
from strongroom.core import StorageError
from strongroom.custody import document_hash, write_document
from strongroom.keyring import KeyById
from strongroom.service import (
    READING,
    ROLES_FOR,
    AccessBook,
    AccessDeniedError,
    AccessWriter,
    Caller,
    Counted,
    CustodyBook,
    Ground,
    Held,
    KeyAuthority,
    NewGrant,
    Role,
    roles_that_count,
)
from strongroom.storage import CustodyDocumentRecord

GENESIS = signed_genesis()


def held(identity, principal, *roles):
    return Held(identity, principal, frozenset(roles))


class Documents:
    """A database that holds the chain, and may lose or change it."""

    def __init__(self, *documents):
        self.documents = list(documents)
        self.reads = 0

    def get_custody_documents(self):
        self.reads += 1
        return [CustodyDocumentRecord(*numbered) for numbered in enumerate(self.documents)]

    def generation(self):
        return hash(tuple(self.documents))


def follow(*documents):
    found = Documents(*documents)
    return found, CustodyBook(found, document_hash(GENESIS))


def after(verb, parameters):
    """The documents of a chain with one change."""
    chain = changed(begun(), verb, parameters)
    return GENESIS, *map(write_document, chain.records)


REVOKED = after("RevokeOfficer", {"officer": "dora", "reason": "left"})
CHANGED = after("ChangeOfficerRoles", {"officer": "dora", "roles": ["operator"]})


def test_what_is_recorded_counts_where_nothing_is_kept_apart():
    known = [held("A", "user/a", "crypto-officer", "crypto-user", "operator"), held("B", "user/b", "auditor")]
    assert roles_that_count(known) == {one.identity: Counted(one.roles) for one in known}


@pytest.mark.parametrize("other", ["auditor", "security-officer"])
def test_no_role_counts_of_a_principal_whose_credentials_together_are_kept_apart(other):
    known = [
        held("A", "user/a", "crypto-officer"),
        held("B", "user/a", other),
        held("C", "user/c", "operator"),
    ]
    counted = roles_that_count(known)
    assert not counted["A"].roles
    assert not counted["B"].roles
    assert "user/a is recorded as" in counted["A"].why
    assert counted["C"] == Counted(frozenset({"operator"}))


def test_an_officer_has_the_roles_of_the_chain_whatever_is_recorded():
    _, chain = follow(GENESIS)
    assert chain.refresh()
    known = [
        held("A", "user/dora"),
        held("B", "user/anna", "crypto-officer"),
        held("C", "user/gus", "auditor"),
    ]
    counted = roles_that_count(known, chain)
    assert {name: set(one.roles) for name, one in counted.items()} == {
        "A": {"crypto-officer"},
        "B": {"security-officer"},
        "C": {"auditor"},
    }
    assert [bool(counted[name].why) for name in "ABC"] == [True, True, False]


def test_roles_of_officers_alone_do_not_count_for_principals_of_nobody():
    _, chain = follow(GENESIS)
    chain.refresh()
    known = [held("A", "user/app", "security-officer", "operator"), held("B", "user/app2", "crypto-user")]
    counted = roles_that_count(known, chain)
    assert counted["A"].roles == {"operator"}
    assert "only officers of the chain are security-officer" in counted["A"].why
    assert counted["B"] == Counted(frozenset({"crypto-user"}))


@pytest.mark.parametrize(("documents", "roles"), [(REVOKED, set()), (CHANGED, {"operator"})])
def test_a_change_of_the_chain_holds_at_once(documents, roles):
    found, chain = follow(GENESIS)
    chain.refresh()
    assert chain.roles_of("user/dora") == {"crypto-officer"}
    assert not chain.refresh()
    assert found.reads == 1
    found.documents = list(documents)
    assert chain.refresh()
    assert chain.roles_of("user/dora") == roles
    assert chain.roles_of("user/stranger") is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.clear(),
        lambda found: found.pop(),
        lambda found: found.__setitem__(
            slice(None), [signed_genesis(genesis_body(cluster="0d" * 16)), *found]
        ),
        lambda found: found.append(b"{}"),
        lambda found: found.append(found[1]),
        lambda found: found.__setitem__(1, CHANGED[1]),
    ],
    ids=["emptied", "cut off", "another genesis", "no document", "a record twice", "another record"],
)
def test_without_a_sound_chain_nobody_manages_anything_and_the_use_of_keys_goes_on(spoil):
    found, chain = follow(*REVOKED)
    chain.refresh()
    spoil(found.documents)
    assert chain.refresh()
    assert not chain.is_sound
    known = [
        held("A", "user/app", "crypto-user"),
        held("B", "user/emil", "crypto-officer"),
        held("C", "user/ops", "operator", "crypto-officer"),
        held("D", "user/gus", "auditor"),
    ]
    counted = roles_that_count(known, chain)
    assert {name: set(one.roles) for name, one in counted.items()} == {
        "A": {"crypto-user"},
        "B": set(),
        "C": {"operator"},
        "D": set(),
    }
    assert "cannot be verified" in counted["B"].why
    found.documents = list(REVOKED)
    assert chain.refresh()
    assert chain.is_sound
    assert chain.roles_of("user/dora") == frozenset()


def test_a_chain_under_another_genesis_is_not_followed():
    chain = CustodyBook(Documents(GENESIS), "00" * 32)
    chain.refresh()
    assert not chain.is_sound
    assert chain.roles_of("user/anna") is None


def deciding(bench, *known, officers=None):
    book = AccessBook(
        bench.store, bench.keyring.records, account_id=ACCOUNT, clients=known, officers=officers
    )
    return KeyAuthority(book, AccessWriter(bench.store, bench.clock), is_tls=True)


def calling(identity, principal):
    return Caller(principal, identity, "192.0.2.7", "eu-central-1", "request")


async def test_an_auditor_only_reads_whatever_policies_and_grants_allow(bench):
    service, officer = bench.service, bench.caller()
    key_id = (await service.create_key(officer, description="")).key_id
    arn = f"arn:aws:iam::{ACCOUNT}:user/auditor"
    everybody = policy_text(statement(principal="*"))
    await service.put_key_policy(officer, key_id, document=everybody, skip_lockout_check=True)
    await service.create_grant(officer, key_id, wanted=NewGrant(arn, frozenset({"Decrypt", "RetireGrant"})))
    (grant,) = bench.store.list_grants(key_id, after=None, limit=1)
    authority = deciding(
        bench,
        held("AUDIT", "user/auditor", "auditor"),
        held("PLAIN", "user/auditor"),
        held("APP", "user/app"),
    )
    for verb in ROLES_FOR:
        for identity in ("AUDIT", "PLAIN"):
            decision = authority.decide(calling(identity, "user/auditor"), verb, KeyById(key_id))
            if verb in READING:
                assert decision.ground is not Ground.AUDITOR
            else:
                assert (decision.is_allowed, decision.ground) == (False, Ground.AUDITOR)
        assert authority.decide(calling("APP", "user/app"), "Decrypt", KeyById(key_id)).is_allowed
    with pytest.raises(AccessDeniedError):
        authority.authorise_retiring(calling("AUDIT", "user/auditor"), grant)


async def test_revoking_an_officer_takes_the_roles_with_the_next_request(bench, key_id):
    await bench.store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, GENESIS)))
    chain = CustodyBook(bench.store, document_hash(GENESIS))
    authority = deciding(
        bench, held("DORA", "user/dora"), held("APP", "user/app", "crypto-user"), officers=chain
    )
    dora, app = calling("DORA", "user/dora"), calling("APP", "user/app")
    authority.authorise_now(dora, "DisableKey", KeyById(key_id))
    revocation = CustodyDocumentRecord(1, REVOKED[1])
    await bench.store.write(lambda tx: tx.append_custody_document(revocation))
    with pytest.raises(AccessDeniedError):
        authority.authorise_now(dora, "DisableKey", KeyById(key_id))
    with pytest.raises(AccessDeniedError):
        authority.authorise_now(dora, "DescribeKey", KeyById(key_id))
    authority.authorise_now(app, "Encrypt", KeyById(key_id))


async def test_a_revocation_is_not_forgotten_when_the_database_fails_right_behind_it(
    bench, key_id, monkeypatch
):
    await bench.store.write(lambda tx: tx.append_custody_document(CustodyDocumentRecord(0, GENESIS)))
    book = CustodyBook(bench.store, document_hash(GENESIS))
    authority = deciding(bench, held("DORA", "user/dora"), officers=book)
    dora = calling("DORA", "user/dora")
    authority.authorise_now(dora, "DisableKey", KeyById(key_id))
    revocation = CustodyDocumentRecord(1, REVOKED[1])
    await bench.store.write(lambda tx: tx.append_custody_document(revocation))

    def fail():
        raise StorageError("the disk does not answer")

    with monkeypatch.context() as failing:
        failing.setattr(bench.store, "list_access_keys", fail)
        with pytest.raises(StorageError):
            authority.authorise_now(dora, "DisableKey", KeyById(key_id))
    with pytest.raises(AccessDeniedError):
        authority.authorise_now(dora, "DisableKey", KeyById(key_id))


def test_every_role_of_officers_is_one_of_the_service():
    _, chain = follow(GENESIS)
    chain.refresh()
    assert {
        role for name in ("anna", "dora", "gus", "hana") for role in chain.roles_of(f"user/{name}")
    } <= set(Role)
