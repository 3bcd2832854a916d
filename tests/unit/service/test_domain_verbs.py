"""Verbs about domains and the end of rotations: what the audit log has of them, and who may."""

import asyncio

import pytest

from policy_support import policy_text, statement
from strongroom.core import AuditUnavailableError, Secret
from strongroom.keyring import KeyById, KeyKind
from strongroom.service import AccessDeniedError


async def key_in(bench, service, domain):
    return (await service.create_key(bench.caller(), description="x", kind=KeyKind(domain=domain))).key_id


async def test_the_log_says_what_was_made_where(bench, service):
    domain = await service.create_domain(bench.caller(), name="tenant-7")
    key_id = await key_in(bench, service, "tenant-7")
    await service.move_key(bench.caller(), key_id, domain="dedicated")
    made, created, moved = [entry for entry in bench.entries() if entry.kind == "outcome"]
    assert (made.event, made.detail) == (
        "strongroom.CreateDomain",
        {"domain": "tenant-7", "domain_id": domain.domain_id, "allowed_by": "role:crypto-officer"},
    )
    assert (created.event, created.detail["domain"], created.key_id) == ("kms.CreateKey", "tenant-7", key_id)
    assert (moved.event, moved.key_id) == ("strongroom.MoveKey", key_id)
    assert moved.detail["domain_id"] == bench.keyring.domains.of_key(key_id).domain_id


async def test_a_rotation_is_asked_for_by_a_person_and_finished_by_the_service(bench, service):
    old = await service.create_domain(bench.caller(), name="tenant-7")
    key_id = await key_in(bench, service, "tenant-7")
    new = await service.rotate_domain(bench.caller(), "tenant-7")
    assert await service.finish_domain_rotations() == 1
    assert await service.finish_domain_rotations() == 0
    asked, intent, done = bench.entries()[-3:]
    assert (asked.event, asked.detail["replaces"]) == ("strongroom.RotateDomain", old.domain_id)
    assert {intent.event, done.event} == {"keyring.FinishDomainRotation"}
    assert (intent.kind, done.kind, done.outcome, done.principal) == ("intent", "outcome", "ok", "strongroom")
    assert done.detail == {
        "domain_id": old.domain_id, "replaced_by": new.domain_id, "moved": "1", "left": "0",
    }  # fmt: skip
    await service.encrypt(bench.caller(), KeyById(key_id), Secret(b"data"), context={})


async def test_an_outage_is_the_outcome_and_the_rotation_goes_on_later(bench, service):
    await service.create_domain(bench.caller(), name="tenant-7")
    await key_in(bench, service, "tenant-7")
    await service.rotate_domain(bench.caller(), "tenant-7")
    bench.clock.advance(10_000.0)
    bench.cluster.is_down = True
    assert await service.finish_domain_rotations() == 0
    assert bench.entries()[-1].outcome == "NoMemberError"
    bench.cluster.is_down = False
    n_entries = len(bench.entries())
    assert await service.finish_domain_rotations() == 0  # not more than once a minute
    assert len(bench.entries()) == n_entries
    bench.clock.advance(61.0)
    assert await service.finish_domain_rotations() == 1


async def test_a_rotation_that_is_cut_short_leaves_no_intent_without_an_outcome(bench, service):
    await service.create_domain(bench.caller(), name="tenant-7")
    await key_in(bench, service, "tenant-7")
    await service.rotate_domain(bench.caller(), "tenant-7")
    bench.clock.advance(10_000.0)
    bench.cluster.hold_unwraps()
    work = asyncio.ensure_future(service.finish_domain_rotations())
    await bench.cluster.arrived.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    bench.cluster.let_go()
    await bench.audit.commit(bench.audit.append("outcome", "test"))
    ends = [entry for entry in bench.entries() if entry.event == "keyring.FinishDomainRotation"]
    assert [(entry.kind, entry.outcome) for entry in ends] == [("intent", ""), ("outcome", "Cancelled")]


async def test_without_an_audit_log_no_rotation_goes_on(bench, service):
    await service.create_domain(bench.caller(), name="tenant-7")
    await key_in(bench, service, "tenant-7")
    old = (await service.rotate_domain(bench.caller(), "tenant-7")).replaces
    bench.disk.decide = lambda _call: OSError(28, "No space left on device")
    with pytest.raises(AuditUnavailableError):
        await service.finish_domain_rotations()
    assert bench.store.get_domain(old.domain_id) is not None


@pytest.mark.parametrize("principal", ["user/crypto-user", "user/operator", "user/stranger"])
async def test_nobody_but_a_crypto_officer_puts_a_key_into_a_domain(bench, service, key_id, principal):
    await service.create_domain(bench.caller(), name="tenant-7")
    with pytest.raises(AccessDeniedError):
        await service.create_key(bench.caller(principal), description="x", kind=KeyKind(domain="tenant-7"))
    with pytest.raises(AccessDeniedError):
        await service.move_key(bench.caller(principal), key_id, domain="tenant-7")
    assert bench.keyring.domains.find("tenant-7").n_keys == 0


async def test_the_policy_of_a_key_may_keep_it_where_it_is(bench, service, key_id):
    await service.create_domain(bench.caller(), name="tenant-7")
    account = statement(principal="arn:aws:iam::123456789012:root")
    stays = statement(principal="*", action="kms:MoveKey", effect="Deny")
    document = policy_text(account, stays)
    await service.put_key_policy(bench.caller(), key_id, document=document, skip_lockout_check=False)
    with pytest.raises(AccessDeniedError):
        await service.move_key(bench.caller(), key_id, domain="tenant-7")
    await service.get_key_domain(bench.caller("user/operator"), key_id)
