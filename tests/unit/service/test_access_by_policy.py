"""Policies, roles and grants decide together, as at AWS; a change is in force in every process at once."""

import json

import pytest

from policy_support import policy_text, statement
from strongroom.core import Secret
from strongroom.keyring import AliasNotFoundError, KeyByAlias, KeyById, KeyNotFoundError
from strongroom.policy import MalformedPolicyError, PolicyDocument
from strongroom.service import (
    AccessDeniedError,
    Caller,
    InactiveAccessKeyError,
    LockoutError,
    NewGrant,
    Service,
)
from strongroom.storage import AccessKeyRecord, KeyPolicyRecord

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
STRANGER, OFFICER, USER = (
    f"arn:aws:iam::{ACCOUNT}:user/{n}" for n in ("stranger", "crypto-officer", "crypto-user")
)
DELEGATE = statement(principal=ROOT)
CONTEXT = {"tenant": "7"}


async def encrypt(bench, key_id, principal, context=CONTEXT, service=None, **more):
    caller = bench.caller(principal)._replace(**more)
    return await (service or bench.service).encrypt(caller, KeyById(key_id), Secret(b"x"), context=context)


async def put(bench, key_id, *statements, skip=True):
    await bench.service.put_key_policy(
        bench.caller(), key_id, document=policy_text(*statements), skip_lockout_check=skip
    )


async def may(bench, key_id, principal, **more):
    try:
        await encrypt(bench, key_id, principal, **more)
    except AccessDeniedError:
        return False
    return True


async def test_a_key_without_policy_has_the_default_one(bench, service, key_id):
    text = await service.get_key_policy(bench.caller(), key_id)
    assert PolicyDocument(text).is_plain_delegation(ACCOUNT)
    await service.put_key_policy(bench.caller(), key_id, document=text, skip_lockout_check=False)
    assert await may(bench, key_id, "user/crypto-user")
    assert not await may(bench, key_id, "user/crypto-officer")


async def test_an_account_has_no_more_than_the_actions_that_a_policy_leaves_to_it(bench, key_id):
    await put(bench, key_id, statement(principal=ROOT, action=["kms:*all*", "kms:Put*"]))
    assert not await may(bench, key_id, "user/crypto-user")
    await put(bench, key_id, statement(principal=ROOT, action=["kms:Enc*", "kms:Put*"]))
    assert await may(bench, key_id, "user/crypto-user")


async def test_a_policy_is_returned_as_it_was_put(bench, service, key_id):
    document = " " + policy_text(DELEGATE) + "\n"
    await service.put_key_policy(bench.caller(), key_id, document=document, skip_lockout_check=False)
    assert await service.get_key_policy(bench.caller(), key_id) == document


async def test_a_statement_that_names_a_principal_needs_no_role(bench, key_id):
    assert not await may(bench, key_id, "user/stranger")
    await put(bench, key_id, DELEGATE, statement(principal=STRANGER, action="kms:Encrypt"))
    assert await may(bench, key_id, "user/stranger")
    with pytest.raises(AccessDeniedError):
        await bench.service.describe_key(bench.caller("user/stranger"), KeyById(key_id))


async def test_roles_count_only_where_the_policy_leaves_it_to_them(bench, key_id):
    await put(bench, key_id, statement(principal=OFFICER))
    assert await may(bench, key_id, "user/crypto-officer")
    assert not await may(bench, key_id, "user/crypto-user")
    assert not await may(bench, key_id, "user/everything")


async def test_an_explicit_deny_goes_before_roles_and_grants(bench, key_id):
    await bench.service.create_grant(bench.caller(), key_id, wanted=NewGrant(USER, frozenset({"Encrypt"})))
    await put(bench, key_id, DELEGATE, statement("Deny", principal=USER, action="kms:Encrypt"))
    assert not await may(bench, key_id, "user/crypto-user")
    assert await may(bench, key_id, "user/everything")


async def test_conditions_see_context_address_and_key(bench, key_id):
    condition = {
        "StringEquals": {"kms:EncryptionContext:tenant": "7", "kms:KeySpec": "SYMMETRIC_DEFAULT"},
        "IpAddress": {"aws:SourceIp": "192.0.2.0/24"},
        "Bool": {"aws:SecureTransport": "true"},
    }
    await put(bench, key_id, DELEGATE, statement(principal=STRANGER, condition=condition))
    assert await may(bench, key_id, "user/stranger")
    assert not await may(bench, key_id, "user/stranger", context={"tenant": "8"})
    assert not await may(bench, key_id, "user/stranger", source_address="198.51.100.1")


async def test_an_alias_in_the_request_can_be_asked_for(bench, service, key_id):
    await service.create_alias(bench.caller(), alias_name="alias/app", target_key_id=key_id)
    only = {"StringEquals": {"kms:RequestAlias": "alias/app"}}
    await put(bench, key_id, DELEGATE, statement(principal=STRANGER, condition=only))
    assert not await may(bench, key_id, "user/stranger")
    stranger = bench.caller("user/stranger")
    await service.encrypt(stranger, KeyByAlias("alias/app"), Secret(b"x"), context={})


async def test_decrypt_without_a_key_id_asks_the_policy_of_the_key_in_the_ciphertext(bench, service, key_id):
    sealed = (await encrypt(bench, key_id, "user/everything")).ciphertext
    other = (await service.create_key(bench.caller(), description="")).key_id
    await put(bench, key_id, DELEGATE, statement("Deny", principal=USER))
    user = bench.caller("user/crypto-user")
    with pytest.raises(AccessDeniedError):
        await service.decrypt(user, sealed, key=None, context=CONTEXT)
    assert service.decrypt_now(user, sealed, key=None, context=CONTEXT) is None
    assert await may(bench, other, "user/crypto-user")


async def test_re_encrypt_needs_both_keys(bench, service, key_id):
    sealed = (await encrypt(bench, key_id, "user/everything")).ciphertext
    other = (await service.create_key(bench.caller(), description="")).key_id

    async def re_encrypt():
        await service.re_encrypt(
            bench.caller("user/stranger"), sealed, source_key=None, source_context=CONTEXT, key=KeyById(other),
            context={},
        )  # fmt: skip

    for key, action in ((key_id, "kms:ReEncryptFrom"), (other, "kms:ReEncryptTo")):
        with pytest.raises(AccessDeniedError):
            await re_encrypt()
        await put(bench, key, DELEGATE, statement(principal=STRANGER, action=action))
    await re_encrypt()


async def test_the_express_lane_decides_the_same(bench, service, key_id):
    await encrypt(bench, key_id, "user/everything")  # the key is in memory now
    user = bench.caller("user/crypto-user")
    assert service.encrypt_now(user, KeyById(key_id), b"x", context=CONTEXT) is not None
    deny = {"StringEquals": {"kms:EncryptionContext:tenant": "7"}}
    await put(bench, key_id, DELEGATE, statement("Deny", principal="*", condition=deny))
    assert service.encrypt_now(user, KeyById(key_id), b"x", context=CONTEXT) is None
    assert service.encrypt_now(user, KeyById(key_id), b"x", context={}) is not None
    assert service.generate_data_key_now(user, KeyById(key_id), n_bytes=32, context=CONTEXT) is None


async def test_a_change_is_in_force_in_other_processes_at_once(bench, key_id):
    store = bench.open_store()
    keyring = bench.open_keyring(store=store)
    other = Service(keyring, bench.audit, policy=bench.make_authority(keyring, store))
    await encrypt(bench, key_id, "user/crypto-user", service=other)
    await put(bench, key_id, DELEGATE, statement("Deny", principal=USER))
    with pytest.raises(AccessDeniedError):
        await encrypt(bench, key_id, "user/crypto-user", service=other)
    await put(bench, key_id, DELEGATE)
    await encrypt(bench, key_id, "user/crypto-user", service=other)


async def test_whether_a_key_exists_is_told_only_to_those_whose_roles_allow_the_verb(bench, key_id):
    absent = "00000000-0000-4000-8000-000000000000"
    await put(bench, key_id, DELEGATE, statement(principal=STRANGER))
    with pytest.raises(KeyNotFoundError):
        await encrypt(bench, absent, "user/crypto-user")
    for principal in ("user/stranger", "user/crypto-officer"):
        with pytest.raises(AccessDeniedError):
            await encrypt(bench, absent, principal)
    missing = KeyByAlias("alias/missing")
    with pytest.raises(AliasNotFoundError):
        await bench.service.encrypt(bench.caller(), missing, Secret(b"x"), context={})
    with pytest.raises(AccessDeniedError):
        await bench.service.encrypt(bench.caller("user/stranger"), missing, Secret(b"x"), context={})


async def test_aliases_need_the_role_and_the_policy(bench, service, key_id):
    await put(bench, key_id, statement(principal=STRANGER))
    for principal in ("user/stranger", "user/crypto-officer"):
        with pytest.raises(AccessDeniedError):
            await service.create_alias(bench.caller(principal), alias_name="alias/x", target_key_id=key_id)


async def test_an_alias_moves_only_with_the_consent_of_both_keys(bench, service, key_id):
    other = (await service.create_key(bench.caller(), description="")).key_id
    await service.create_alias(bench.caller(), alias_name="alias/x", target_key_id=key_id)
    deny = statement("Deny", principal=OFFICER, action="kms:*Alias")
    officer = bench.caller("user/crypto-officer")
    for refusing in (key_id, other):
        await put(bench, refusing, DELEGATE, deny)
        with pytest.raises(AccessDeniedError):
            await service.update_alias(officer, alias_name="alias/x", target_key_id=other)
        await put(bench, refusing, DELEGATE)
    await service.update_alias(officer, alias_name="alias/x", target_key_id=other)
    await put(bench, other, DELEGATE, deny)
    with pytest.raises(AccessDeniedError):
        await service.delete_alias(officer, alias_name="alias/x")


async def test_policy_and_grants_go_with_their_key(bench, service, key_id):
    await put(bench, key_id, DELEGATE)
    made = await service.create_grant(bench.caller(), key_id, wanted=NewGrant(USER, frozenset({"Encrypt"})))
    await service.schedule_key_deletion(bench.caller(), key_id, days=7)
    bench.clock.advance(8 * 86_400)
    assert await service.destroy_due_keys() == 1
    assert bench.store.get_grant(made.grant_id) is None
    assert bench.store.get_key_policy(key_id) is None


async def test_nobody_is_locked_out_by_mistake(bench, service, key_id):
    before = await service.get_key_policy(bench.caller(), key_id)
    for statements in ([statement(principal=STRANGER)], [DELEGATE, statement("Deny", principal="*")]):
        with pytest.raises(LockoutError):
            await put(bench, key_id, *statements, skip=False)
    assert await service.get_key_policy(bench.caller(), key_id) == before
    await put(bench, key_id, statement(principal=STRANGER), skip=True)
    with pytest.raises(AccessDeniedError):
        await service.get_key_policy(bench.caller(), key_id)


async def test_a_document_that_is_not_understood_changes_nothing(bench, service, key_id):
    with pytest.raises(MalformedPolicyError):
        await service.put_key_policy(bench.caller(), key_id, document="{}", skip_lockout_check=True)
    assert bench.store.get_key_policy(key_id) is None
    intent, outcome = bench.entries()[-2:]
    assert (intent.kind, outcome.outcome) == ("intent", "MalformedPolicyError")
    assert outcome.key_id == key_id


async def test_the_log_has_the_digest_of_a_policy_and_what_it_asks_for_in_vain(bench, key_id):
    vain = {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}
    await put(bench, key_id, DELEGATE, statement(principal=STRANGER, Sid="never-logged", condition=vain))
    entry = bench.entries()[-1]
    assert entry.detail["never_present"] == "kms:viaservice"
    assert len(entry.detail["policy_sha256"]) == 64
    assert b"never-logged" not in bench.logged_bytes()


async def test_a_stored_policy_that_cannot_be_kept_to_opens_the_key_to_nobody(bench, key_id):
    await bench.store.write(
        lambda tx: tx.put_key_policy(KeyPolicyRecord(key_id, json.dumps({"Version": "9"}), 1.0))
    )
    with pytest.raises(Exception, match="cannot be kept to"):
        await encrypt(bench, key_id, "user/everything")


async def test_a_disabled_access_key_ends_at_once_and_a_new_role_begins_at_once(bench, service, key_id):
    record = AccessKeyRecord("AKIANEW", "user/new", ("crypto-user",), b"wrapped", True, 1.0)
    caller = Caller("user/new", "AKIANEW", "192.0.2.7", "eu-central-1", "request-new")

    async def use():
        await service.encrypt(caller, KeyById(key_id), Secret(b"x"), context={})

    await bench.store.write(lambda tx: tx.insert_access_key(record))
    await use()
    await bench.store.write(lambda tx: tx.set_access_key_roles("AKIANEW", ("operator",)))
    with pytest.raises(AccessDeniedError):
        await use()
    await bench.store.write(lambda tx: tx.set_access_key_active("AKIANEW", is_active=False))
    for act in (use, lambda: service.get_caller_identity(caller)):
        with pytest.raises(InactiveAccessKeyError):
            await act()


@pytest.mark.parametrize("verb", ["UpdateAlias", "DeleteAlias"])
@pytest.mark.parametrize("was_there", [True, False])
async def test_an_alias_that_moved_after_the_decision_stays_where_it_is(
    bench, service, key_id, monkeypatch, verb, was_there
):
    guarded = (await service.create_key(bench.caller(), description="")).key_id
    name = "alias/old" if was_there else "alias/new"
    record = bench.audit.record

    async def record_while_others_move(kind, event, **fields):
        if kind == "intent":
            monkeypatch.undo()
            if was_there:
                await bench.keyring.aliases.move(name, guarded)
            else:
                await bench.keyring.aliases.create(name, guarded)
        await record(kind, event, **fields)

    monkeypatch.setattr(bench.audit, "record", record_while_others_move)
    change = (
        service.update_alias(bench.caller(), alias_name=name, target_key_id=key_id)
        if verb == "UpdateAlias"
        else service.delete_alias(bench.caller(), alias_name=name)
    )
    with pytest.raises(AliasNotFoundError):
        await change
    assert bench.keyring.describe(KeyByAlias(name)).key_id == guarded
