"""Grants: what they allow, who may make, list and remove them, and what a rehearsal leaves behind."""

import pytest

from policy_support import policy_text, statement
from strongroom.core import Secret
from strongroom.keyring import DryRunError, KeyById, KeyStateError
from strongroom.service import (
    AccessDeniedError,
    GrantLimitError,
    GrantNotFoundError,
    InvalidGrantTokenError,
    NewGrant,
    UnfitGrantError,
    _access_writer,
    grant_of_token,
    make_grant_token,
)

ARN = "arn:aws:iam::123456789012:"
STRANGER, OTHER, OFFICER = f"{ARN}user/stranger", f"{ARN}user/other", f"{ARN}user/crypto-officer"
CONTEXT = {"tenant": "7"}


def wanted(*actions, grantee=STRANGER, **more):
    return NewGrant(grantee, frozenset(actions or ("Encrypt",)), **more)


async def make(bench, key_id, new=None, principal="user/everything"):
    return await bench.service.create_grant(bench.caller(principal), key_id, wanted=new or wanted())


async def encrypt(bench, key_id, *, context=CONTEXT, tokens=(), principal="user/stranger"):
    caller = bench.caller(principal)._replace(grant_tokens=tokens)
    return await bench.service.encrypt(caller, KeyById(key_id), Secret(b"x"), context=context)


async def listed(bench, key_id, **how):
    asked = {"grant_id": None, "grantee": None, "limit": 10, "after": None} | how
    return await bench.service.list_grants(bench.caller(), key_id, **asked)


async def test_a_grant_allows_its_operations_to_its_grantee_and_stands_in_the_log(bench, service, key_id):
    with pytest.raises(AccessDeniedError):
        await encrypt(bench, key_id)
    made = await make(bench, key_id)
    assert len(made.grant_id) == 64
    await encrypt(bench, key_id)
    assert bench.entries()[-1].detail["allowed_by"] == f"grant:{made.grant_id}"
    with pytest.raises(AccessDeniedError):
        await service.describe_key(bench.caller("user/stranger"), KeyById(key_id))
    with pytest.raises(AccessDeniedError):
        await encrypt(bench, key_id, principal="user/operator")


async def test_the_express_lane_takes_grants_and_names_them(bench, service, key_id):
    made = await make(bench, key_id, wanted("Encrypt", equals=CONTEXT))
    await encrypt(bench, key_id)
    stranger = bench.caller("user/stranger")
    now = service.encrypt_now(stranger, KeyById(key_id), b"x", context=CONTEXT)
    assert now.entry.detail["allowed_by"] == f"grant:{made.grant_id}"
    assert service.encrypt_now(stranger, KeyById(key_id), b"x", context={}) is None


async def test_constraints_on_the_encryption_context_hold(bench, key_id):
    await make(bench, key_id, wanted("Encrypt", subset=CONTEXT))
    await encrypt(bench, key_id, context={**CONTEXT, "more": "1"})
    with pytest.raises(AccessDeniedError):
        await encrypt(bench, key_id, context={"tenant": "8"})


async def test_a_grant_is_revoked_and_shown_by_the_name_of_its_own_key_only(bench, service, key_id):
    made = await make(bench, key_id)
    other = (await service.create_key(bench.caller(), description="")).key_id
    for dry_run in (False, True):
        with pytest.raises(GrantNotFoundError):
            await service.revoke_grant(bench.caller(), other, grant_id=made.grant_id, dry_run=dry_run)
        with pytest.raises(GrantNotFoundError):
            await service.retire_grant(bench.caller(), key_id=other, grant_id=made.grant_id, dry_run=dry_run)
    with pytest.raises(GrantNotFoundError):
        await listed(bench, other, grant_id=made.grant_id)
    await encrypt(bench, key_id)


async def test_a_revoked_grant_allows_nothing_any_more(bench, service, key_id):
    made = await make(bench, key_id)
    await encrypt(bench, key_id)
    await service.revoke_grant(bench.caller(), key_id, grant_id=made.grant_id)
    with pytest.raises(AccessDeniedError):
        await encrypt(bench, key_id)
    with pytest.raises(GrantNotFoundError):
        await service.revoke_grant(bench.caller(), key_id, grant_id=made.grant_id)


async def test_the_same_name_and_parameters_give_the_same_grant_and_another_token(bench, key_id):
    first = await make(
        bench, key_id, wanted("Encrypt", "Decrypt", name="nightly", subset={"b": "1", "a": "2"})
    )
    again = await make(
        bench, key_id, wanted("Decrypt", "Encrypt", name="nightly", subset={"a": "2", "b": "1"})
    )
    assert again.grant_id == first.grant_id
    assert again.token != first.token
    for other in (wanted("Encrypt", name="nightly"), wanted(name="weekly"), wanted(), wanted()):
        assert (await make(bench, key_id, other)).grant_id != first.grant_id
    assert len((await listed(bench, key_id)).grants) == 5


async def test_a_token_names_its_grant_and_an_unknown_one_is_refused(bench, service, key_id):
    made = await make(bench, key_id)
    assert grant_of_token(made.token) == made.grant_id
    await encrypt(bench, key_id, tokens=(made.token,))
    for token in ("", "junk", "é", made.token + "A", made.token[:-2], make_grant_token("0" * 64)):
        with pytest.raises(InvalidGrantTokenError):
            await encrypt(bench, key_id, tokens=(made.token, token), principal="user/everything")
    with pytest.raises(AccessDeniedError):  # a token is no credential
        await encrypt(bench, key_id, tokens=(made.token,), principal="user/operator")


async def test_grants_are_listed_in_pages_and_by_grantee(bench, service, key_id):
    ids = sorted([(await make(bench, key_id)).grant_id for _ in range(3)])
    other = await make(bench, key_id, wanted(grantee=OTHER))
    page = await listed(bench, key_id, grantee=STRANGER, limit=2)
    assert [grant.grant_id for grant in page.grants] == ids[:2]
    rest = await listed(bench, key_id, grantee=STRANGER, limit=2, after=page.next_after)
    assert ([grant.grant_id for grant in rest.grants], rest.next_after) == (ids[2:], None)
    (one,) = (await listed(bench, key_id, grant_id=other.grant_id)).grants
    assert (one.grantee, one.actions, one.key_id) == (OTHER, ("Encrypt",), key_id)
    with pytest.raises(GrantNotFoundError):
        await listed(bench, key_id, grant_id="0" * 64)


async def test_a_grant_is_retired_by_those_whom_it_names(bench, service, key_id):
    async def retire(made, principal, **how):
        caller = bench.caller(principal)
        await service.retire_grant(caller, **({"key_id": key_id, "grant_id": made.grant_id} | how))

    by_retiring = await make(bench, key_id, wanted(grantee=OTHER, retiring=STRANGER))
    by_grantee = await make(bench, key_id, wanted("Encrypt", "RetireGrant"))
    by_nobody = await make(bench, key_id, wanted())
    await retire(by_retiring, "user/stranger", key_id=None)
    with pytest.raises(AccessDeniedError):  # the other grant lets it retire that one only
        await retire(by_nobody, "user/stranger")
    await retire(by_grantee, "user/stranger")
    await retire(by_nobody, "user/crypto-officer")
    assert (await listed(bench, key_id)).grants == ()
    with pytest.raises(GrantNotFoundError):
        await retire(by_nobody, "user/crypto-officer")
    with pytest.raises(AccessDeniedError):
        await retire(by_nobody, "user/stranger")


async def test_an_explicit_deny_keeps_a_grant_from_being_retired(bench, service, key_id):
    made = await make(bench, key_id, wanted(retiring=STRANGER))
    deny = statement("Deny", principal=STRANGER, action="kms:RetireGrant")
    await service.put_key_policy(
        bench.caller(), key_id, document=policy_text(statement(principal=ARN + "root"), deny), skip_lockout_check=False
    )  # fmt: skip
    with pytest.raises(AccessDeniedError):
        await service.retire_grant(bench.caller("user/stranger"), key_id=key_id, grant_id=made.grant_id)


async def test_everybody_may_list_the_grants_that_it_may_retire_itself(bench, service, key_id):
    made = await make(bench, key_id, wanted(retiring=STRANGER))

    async def ask(principal, retiring):
        return await service.list_retirable_grants(
            bench.caller(principal), retiring=retiring, limit=5, after=None
        )

    for principal in ("user/stranger", "user/crypto-officer"):
        assert [grant.grant_id for grant in (await ask(principal, STRANGER)).grants] == [made.grant_id]
    with pytest.raises(AccessDeniedError):
        await ask("user/stranger", OFFICER)


async def test_who_makes_grants_by_a_grant_passes_on_no_more_than_it_has(bench, key_id):
    await make(bench, key_id, wanted("Encrypt", "CreateGrant", subset=CONTEXT))
    await make(bench, key_id, wanted("Decrypt"))
    passed = wanted("Encrypt", grantee=OTHER, subset={**CONTEXT, "more": "1"})
    await make(bench, key_id, passed, "user/stranger")
    for more in (wanted("Encrypt", grantee=OTHER), wanted("Decrypt", grantee=OTHER, subset=CONTEXT)):
        with pytest.raises(UnfitGrantError):
            await make(bench, key_id, more, "user/stranger")


async def test_conditions_see_what_a_grant_is_to_say(bench, service, key_id):
    only = {
        "ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]},
        "StringEquals": {"kms:GranteePrincipal": OTHER, "kms:GrantConstraintType": "EncryptionContextEquals"},
    }
    allow = statement(principal=STRANGER, action="kms:CreateGrant", condition=only)
    await service.put_key_policy(
        bench.caller(), key_id, document=policy_text(statement(principal=ARN + "root"), allow), skip_lockout_check=False
    )  # fmt: skip
    await make(bench, key_id, wanted("Encrypt", grantee=OTHER, equals=CONTEXT), "user/stranger")
    for refused in (wanted("Encrypt", grantee=OTHER), wanted("DescribeKey", grantee=OTHER, equals=CONTEXT)):
        with pytest.raises(AccessDeniedError):
            await make(bench, key_id, refused, "user/stranger")


async def test_a_key_has_no_grants_for_what_it_does_not_do_nor_while_it_is_suspended(bench, service, key_id):
    with pytest.raises(UnfitGrantError):
        await make(bench, key_id, wanted("Sign"))
    await service.disable_key(bench.caller(), key_id)
    with pytest.raises(KeyStateError):
        await make(bench, key_id)


async def test_grants_of_a_grantee_and_of_a_key_are_bounded(bench, key_id, monkeypatch):
    monkeypatch.setattr(_access_writer, "MAX_GRANTS_OF_GRANTEE", 2)
    monkeypatch.setattr(_access_writer, "MAX_GRANTS_OF_KEY", 3)
    await make(bench, key_id, wanted(name="same"))
    await make(bench, key_id)
    with pytest.raises(GrantLimitError):
        await make(bench, key_id)
    await make(bench, key_id, wanted(grantee=OTHER))
    with pytest.raises(GrantLimitError):
        await make(bench, key_id, wanted(grantee=OTHER))
    assert (await make(bench, key_id, wanted(name="same"))).grant_id  # one that is there needs no room


async def test_a_rehearsal_checks_everything_and_changes_nothing(bench, service, key_id):
    made = await make(bench, key_id)
    caller = bench.caller()
    for rehearsed in (
        service.create_grant(caller, key_id, wanted=wanted(), dry_run=True),
        service.revoke_grant(caller, key_id, grant_id=made.grant_id, dry_run=True),
        service.retire_grant(caller, key_id=key_id, grant_id=made.grant_id, dry_run=True),
    ):
        with pytest.raises(DryRunError):
            await rehearsed
        entry = bench.entries()[-1]
        assert (entry.kind, entry.outcome, entry.key_id) == ("outcome", "DryRunError", key_id)
    assert [grant.grant_id for grant in (await listed(bench, key_id)).grants] == [made.grant_id]
    with pytest.raises(GrantNotFoundError):
        await service.revoke_grant(caller, key_id, grant_id="0" * 64, dry_run=True)
    with pytest.raises(UnfitGrantError):
        await service.create_grant(caller, key_id, wanted=wanted("Sign"), dry_run=True)
    with pytest.raises(AccessDeniedError):
        await service.create_grant(bench.caller("user/stranger"), key_id, wanted=wanted(), dry_run=True)
