"""The verbs of pairs and HMAC keys: who may, what the log says, and that a rehearsal does nothing."""

import pytest

from strongroom.core import KeyUsage, ManagedKeySpec
from strongroom.keyring import DryRunError, KeyById, KeyKind, KeyUsageError, generate_material
from strongroom.service import ROLES_FOR, AccessDeniedError, Role
from strongroom.service._asymmetric_protocol import AsymmetricService
from unit.service.pair_verbs import PAIR_VERBS
from unit.service.verbs import CONTEXT, PLAINTEXT


async def make_key(bench, kind):
    return (await bench.service.create_key(bench.caller(), description="a pair", kind=kind)).key_id


def of_request(bench, caller):
    return [entry for entry in bench.entries() if entry.request_id == caller.request_id]


def test_every_verb_of_pairs_is_tried_here():
    promised = {name.replace("_", "") for name in vars(AsymmetricService) if not name.startswith("_")}
    other_forms = {"encryptby", "decryptby", "reencryptby", "generatedatakeydry"}
    assert {verb.lower() for verb in PAIR_VERBS} == promised - other_forms


@pytest.mark.parametrize("verb", PAIR_VERBS)
async def test_a_call_that_works_leaves_one_outcome_with_key_and_version(bench, verb):
    kind, call = PAIR_VERBS[verb]
    key_id, caller = await make_key(bench, kind), bench.caller()
    await call(bench.service, caller, key_id, False)
    (entry,) = of_request(bench, caller)
    info = bench.keyring.describe(KeyById(key_id))
    assert (entry.kind, entry.event, entry.outcome) == ("outcome", f"kms.{verb}", "ok")
    assert (entry.key_id, entry.key_version) == (key_id, info.material_id)


@pytest.mark.parametrize("verb", PAIR_VERBS)
async def test_only_callers_with_the_role_may(bench, verb):
    kind, call = PAIR_VERBS[verb]
    key_id = await make_key(bench, kind)
    for role in Role:
        if role in ROLES_FOR[verb]:
            await call(bench.service, bench.caller(f"user/{role}"), key_id, False)
            continue
        with pytest.raises(AccessDeniedError):
            await call(bench.service, bench.caller(f"user/{role}"), key_id, False)


@pytest.mark.parametrize("verb", sorted(PAIR_VERBS.keys() - {"GetPublicKey"}))
async def test_a_rehearsal_gives_nothing_and_is_in_the_log_as_one(bench, verb):
    kind, call = PAIR_VERBS[verb]
    key_id, caller = await make_key(bench, kind), bench.caller()
    with pytest.raises(DryRunError):
        await call(bench.service, caller, key_id, True)
    (entry,) = of_request(bench, caller)
    assert (entry.outcome, entry.key_id) == ("DryRunError", key_id)


@pytest.mark.parametrize("verb", sorted(PAIR_VERBS.keys() - {"GetPublicKey"}))
async def test_a_key_of_another_usage_is_refused_also_in_a_rehearsal(bench, verb):
    kind, call = PAIR_VERBS[verb]
    others = {
        KeyKind(),
        KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY),
        KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT),
        KeyKind(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC),
    } - {kind}
    for other in others:
        key_id = await make_key(bench, other)
        for dry_run in (False, True):
            with pytest.raises(KeyUsageError):
                await call(bench.service, bench.caller(), key_id, dry_run)


async def test_nothing_secret_and_nothing_of_the_caller_is_in_the_log(bench, monkeypatch):
    made = []

    def watched(spec):
        made.append(generate_material(spec))
        secrets.append(made[-1].secret.reveal())
        return made[-1]

    secrets = []
    monkeypatch.setattr("strongroom.keyring._creation.generate_material", watched)
    monkeypatch.setattr("strongroom.keyring._data_key_pairs.generate_material", watched)
    for kind, call in PAIR_VERBS.values():
        await call(bench.service, bench.caller(), await make_key(bench, kind), False)
    logged = bench.logged_bytes()
    assert secrets
    for secret in (*secrets, PLAINTEXT, *(value.encode() for value in CONTEXT.values())):
        assert secret not in logged
        assert secret.hex().encode() not in logged
