"""Who may do what: exactly what the table says, for every role and every verb, and nobody else anything."""

import inspect

import pytest

from fakes_service import ACCOUNT, EVERY_ROLE
from strongroom.core import NoMemberError, Secret
from strongroom.keyring import KeyByAlias, KeyById
from strongroom.service import (
    FOR_EVERYBODY,
    ROLES_FOR,
    AccessBook,
    AccessDeniedError,
    Caller,
    Credential,
    Held,
    InactiveAccessKeyError,
    KeyAuthority,
    KeyService,
    Role,
    Service,
)
from unit.service.custody_calls import CUSTODY_CALLS
from unit.service.import_verbs import IMPORT_VERBS
from unit.service.pair_verbs import PAIR_VERBS
from unit.service.verbs import VERBS, everything_in, make_ready_for, sealed_by
from unit.service.verbs_of_versions import VERSION_VERBS

MANAGING = {
    "CreateCustomKeyStore", "UpdateCustomKeyStore", "ConnectCustomKeyStore", "DisconnectCustomKeyStore",
    "DeleteCustomKeyStore",
    "CreateKey", "CreateAlias", "EnableKey", "DisableKey", "UpdateAlias", "DeleteAlias", "UpdateKeyDescription",
    "ScheduleKeyDeletion", "CancelKeyDeletion", "TagResource", "UntagResource",
    "EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand", "PutKeyPolicy", "CreateGrant", "RevokeGrant",
    "RetireGrant", "CreateDomain", "RotateDomain", "MoveKey",
}  # fmt: skip
CHECKING = {"CheckKeyPolicy"}
OVERSEEING = {"ListDomains", "DescribeDomain", "GetKeyDomain", "ListPrincipals"}
LOOKING = {
    "DescribeCustomKeyStores",
    "DescribeKey",
    "ListKeys",
    "ListAliases",
    "ListResourceTags",
    "GetKeyRotationStatus",
    "GetKeyLastUsage",
    "ListKeyUses",
    "ListKeyRotations",
    "ListKeyStates",
    "GetKeyPolicy",
    "ListKeyPolicies",
    "ListGrants",
    "ListRetirableGrants",
    "GetPublicKey",
}
USING = {
    "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateRandom", "Encrypt", "Decrypt", "ReEncrypt",
}  # fmt: skip
WHO_AM_I = {"GetCallerIdentity", "ReadApiDescription", "ReadHealth", "ReadCaller"}
ALLOWED = {
    "user/security-officer": LOOKING | OVERSEEING | CHECKING | {"ReadStatus"},
    "user/crypto-officer": MANAGING | LOOKING | OVERSEEING | CHECKING,
    "user/crypto-user": USING | LOOKING,
    "user/auditor": LOOKING | OVERSEEING | CHECKING | {"ReadStatus"},
    "user/operator": LOOKING | OVERSEEING | {"ReadStatus"},
    "user/custodian": set(),
    "user/witness": set(),
    "user/everything": MANAGING | LOOKING | OVERSEEING | CHECKING | USING | {"ReadStatus"},
    "user/stranger": set(),
    "": set(),
}


def test_the_tests_go_through_every_verb():
    halves = {"ReEncryptFrom", "ReEncryptTo"}  # of one verb, about two keys
    assert (
        VERBS.keys() | PAIR_VERBS.keys() | IMPORT_VERBS.keys() | VERSION_VERBS.keys() | CUSTODY_CALLS.keys()
        == ROLES_FOR.keys() - halves | FOR_EVERYBODY | {"ReEncrypt"}
    )
    verbs = {name.replace("_", "") for name in dir(KeyService) if not name.startswith("_")}
    others = {
        "findcredential",
        "recordrefusal",
        "encryptby",
        "decryptby",
        "reencryptby",
        "generatedatakeydry",
        *("encryptbatch", "decryptbatch", "rewrapbatch", "makedatakeys", "signbatch", "macbatch"),
    }
    assert (
        verbs
        == {verb.lower() for verb in VERBS | PAIR_VERBS | IMPORT_VERBS | VERSION_VERBS | CUSTODY_CALLS}
        | others
    )


def test_the_service_has_the_shape_that_it_promises():
    for name, promised in inspect.getmembers(KeyService, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(Service, name)).parameters.keys() == (
                inspect.signature(promised).parameters.keys()
            )


@pytest.mark.parametrize("principal", ALLOWED)
async def test_a_principal_may_do_what_its_roles_allow_and_nothing_else(bench, service, key_id, principal):
    sealed = await sealed_by(service, bench.caller(), key_id)
    for verb, call in VERBS.items():
        await restore(bench, service, key_id)
        await make_ready_for(verb, service, bench.caller(), key_id)
        before, caller = everything_in(bench), bench.caller(principal)
        if verb in ALLOWED[principal] | WHO_AM_I:
            await call(service, caller, key_id, sealed)
            continue
        with pytest.raises(AccessDeniedError) as denied:
            await call(service, caller, key_id, sealed)
        assert (denied.value.principal, denied.value.verb.removesuffix("From")) == (principal, verb)
        (entry,) = [entry for entry in bench.entries() if entry.request_id == caller.request_id]
        assert (entry.kind, entry.outcome) == ("outcome", "AccessDeniedError")
        assert everything_in(bench) == before


async def restore(bench, service, key_id):
    """Make the key active and its alias what it was."""
    if bench.keyring.describe(KeyById(key_id)).destroy_at is not None:
        await service.cancel_key_deletion(bench.caller(), key_id)
    await service.enable_key(bench.caller(), key_id)
    if bench.keyring.identify(KeyByAlias("alias/old")) is None:
        await service.create_alias(bench.caller(), alias_name="alias/old", target_key_id=key_id)


async def test_a_denied_caller_learns_nothing_about_what_is_there(bench, service, key_id):
    for wanted in (key_id, "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(AccessDeniedError) as denied:
            await service.disable_key(bench.caller("user/stranger"), wanted)
        assert wanted not in str(denied.value)


def caller_with(access_key_id, principal="user/app"):
    return Caller(principal, access_key_id, "192.0.2.7", "eu-central-1", "request")


def deciding(bench, roles):
    """Who decides where access keys have these roles."""
    held = [Held(identity, "user/app", names) for identity, names in roles.items()]
    book = AccessBook(bench.store, bench.keyring.records, account_id=ACCOUNT, clients=held)
    return KeyAuthority(book, None, is_tls=True)


async def test_a_restricted_access_key_has_no_roles_of_the_other_keys_of_its_principal(bench, key_id):
    authority = deciding(bench, {"AKIAALL": EVERY_ROLE, "AKIALOOK": frozenset({str(Role.OPERATOR)})})
    for verb in ROLES_FOR:
        authority.authorise_now(caller_with("AKIAALL"), verb, KeyById(key_id))
        if verb in LOOKING | OVERSEEING | CUSTODY_CALLS.keys() | {"ReadStatus"}:
            authority.authorise_now(caller_with("AKIALOOK"), verb, KeyById(key_id))
            continue
        with pytest.raises(AccessDeniedError, match="user/app"):
            authority.authorise_now(caller_with("AKIALOOK"), verb, KeyById(key_id))


async def test_the_name_of_a_principal_is_no_access_key(bench, key_id):
    authority = deciding(bench, {"AKIAALL": EVERY_ROLE})
    for caller in (caller_with("user/app"), caller_with("", "AKIAALL"), caller_with("AKIAGONE")):
        with pytest.raises(InactiveAccessKeyError):
            authority.authorise_now(caller, "Decrypt", KeyById(key_id))


async def test_a_verb_outside_the_table_is_allowed_to_nobody(bench, key_id):
    authority = deciding(bench, {"AKIAALL": EVERY_ROLE})
    for verb in ("ShareKey", "", "createkey", "Decrypt "):
        with pytest.raises(AccessDeniedError):
            authority.authorise_now(caller_with("AKIAALL"), verb, KeyById(key_id))


async def test_an_unknown_role_allows_nothing(bench, key_id):
    authority = deciding(bench, {"AKIAODD": frozenset({"admin", "*", "", "CRYPTO_USER"})})
    for verb in ROLES_FOR:
        with pytest.raises(AccessDeniedError):
            authority.authorise_now(caller_with("AKIAODD"), verb, KeyById(key_id))


def test_before_the_secrets_are_unwrapped_nobody_is_recognised(service):
    assert not service.has_credentials
    with pytest.raises(NoMemberError, match="access keys"):
        service.find_credential("AKIATEST")


def test_afterwards_exactly_those_are_recognised_that_were_taken_last(service):
    first, second = [Credential(name, "user/app", Secret(b"hush")) for name in ("AKIA1", "AKIA2")]
    taken = {"AKIA1": first}
    service.take_credentials(taken)
    taken["AKIA3"] = second
    assert service.has_credentials
    assert service.find_credential("AKIA1") is first
    assert service.find_credential("AKIA3") is None
    service.take_credentials({"AKIA2": second})
    assert service.find_credential("AKIA1") is None
    assert service.find_credential("AKIA2") is second
    assert "hush" not in repr(second)
