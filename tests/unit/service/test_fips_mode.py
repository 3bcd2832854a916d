"""A partition in FIPS mode: what is not approved is refused to everybody, when keys are made and when they are used."""

import pytest

from strongroom.core import KeyOrigin, KeyState, KeyUsage, ManagedKeySpec, Secret
from strongroom.keyring import KeyById, KeyKind, SoftwareModule
from strongroom.service import ROLES_FOR, NotApprovedError, PartitionPolicy
from strongroom.storage import KeyRecord

PLAIN = SoftwareModule("pyca/cryptography with OpenSSL", False, "no FIPS provider is asked for")
LOADED = PLAIN._replace(is_fips=True, because="a FIPS provider is loaded")
K1, P256, RSA = ManagedKeySpec.ECC_SECG_P256K1, ManagedKeySpec.ECC_NIST_P256, ManagedKeySpec.RSA_3072
AES = ManagedKeySpec.SYMMETRIC_DEFAULT
DIRECT, OURS, THEIRS = KeyOrigin.AWS_CLOUDHSM, KeyOrigin.AWS_KMS, KeyOrigin.EXTERNAL
SIGN, CIPHER = KeyUsage.SIGN_VERIFY, KeyUsage.ENCRYPT_DECRYPT


def record(spec, origin=DIRECT, usage=SIGN):
    made = KeyRecord("12345678-1234-1234-1234-123456789012", KeyState.ACTIVE, "", 1.0, "domain", 1, "00" * 32)
    return made._replace(spec=spec, usage=usage, origin=origin)


def is_refused(verb, made, software=PLAIN, **further):
    try:
        PartitionPolicy(software).require_used(verb, made, further)
    except NotApprovedError:
        return True
    return False


@pytest.mark.parametrize("software", [PLAIN, LOADED], ids=["plain", "provider"])
@pytest.mark.parametrize("origin", [DIRECT, OURS, THEIRS])
@pytest.mark.parametrize("spec", ManagedKeySpec)
def test_which_keys_are_made(spec, origin, software):
    policy, kind = PartitionPolicy(software), KeyKind(spec=spec, usage=spec.usages[0], origin=origin)
    if spec is not K1 and (origin is DIRECT or software.is_fips):
        policy.require_made(kind)
        return
    with pytest.raises(NotApprovedError, match="FIPS mode") as refused:
        policy.require_made(kind)
    assert ("not approved" if spec is K1 else "not validated") in refused.value.message


def test_direct_keys_do_inside_hsms_what_is_approved_and_in_software_nothing():
    assert not is_refused("Encrypt", record(AES, usage=CIPHER))
    assert not is_refused("Decrypt", record(RSA, usage=CIPHER))
    assert is_refused("Encrypt", record(RSA, usage=CIPHER))  # by the public half, in software
    assert not is_refused("Encrypt", record(RSA, usage=CIPHER), LOADED)
    assert not is_refused("Sign", record(P256))
    assert is_refused("Verify", record(P256))
    assert not is_refused("Verify", record(P256), LOADED)
    for software in (PLAIN, LOADED):
        assert is_refused("Sign", record(K1), software)


@pytest.mark.parametrize("verb", sorted(PartitionPolicy.restricted))
def test_envelope_keys_do_nothing_without_a_provider(verb):
    for origin in (OURS, THEIRS):
        assert is_refused(verb, record(AES, origin, CIPHER))
        assert not is_refused(verb, record(AES, origin, CIPHER), LOADED)
        assert is_refused(verb, record(K1, origin), LOADED)


def test_pairs_of_data_keys_are_of_an_approved_spec():
    pairs = {"kms:datakeypairspec": ("ECC_SECG_P256K1",)}
    assert is_refused("GenerateDataKeyPair", record(AES, OURS, CIPHER), LOADED, **pairs)
    assert not is_refused(
        "GenerateDataKeyPair",
        record(AES, OURS, CIPHER),
        LOADED,
        **{"kms:datakeypairspec": ("ECC_NIST_P256",)},
    )


def test_each_verb_that_uses_key_material_is_restricted_and_none_that_looks_or_ends():
    using = {verb for verb, roles in ROLES_FOR.items() if roles == {"crypto-user"}} - {"GenerateRandom"}
    brought = {"GetParametersForImport", "ImportKeyMaterial", "RotateKeyOnDemand", "EnableKeyRotation"}
    assert PartitionPolicy.restricted == using | brought


async def test_the_service_refuses_and_records_it_and_still_lets_go_of_keys(bench, key_id):
    sealed = (
        await bench.service.encrypt(bench.caller(), KeyById(key_id), Secret(b"x"), context={})
    ).ciphertext
    bench.authority.partition = PartitionPolicy(PLAIN)
    service = bench.service
    for call in (
        lambda caller: service.create_key(caller, description=""),
        lambda caller: service.encrypt(caller, KeyById(key_id), Secret(b"x"), context={}),
        lambda caller: service.decrypt(caller, sealed, key=None, context={}),
        lambda caller: service.generate_data_key(caller, KeyById(key_id), n_bytes=32, context={}),
    ):
        caller = bench.caller()
        with pytest.raises(NotApprovedError, match="FIPS mode"):
            await call(caller)
        entry = bench.entries()[-1]
        assert (entry.request_id, entry.outcome) == (caller.request_id, "NotApprovedError")
    assert (
        service.encrypt_now(bench.caller(), KeyById(key_id), b"x", context={}) is None
    )  # the express lane does not go round it
    await service.describe_key(bench.caller(), KeyById(key_id))
    await service.generate_random(bench.caller(), n_bytes=32)
    await service.disable_key(bench.caller(), key_id)
    await service.schedule_key_deletion(bench.caller(), key_id, days=7)
