"""A canary tells one symmetric key from every other; what is stored of it is parsed with care."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import (
    Deadline,
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    StorageError,
    SystemClock,
    WrapAlgorithm,
    WrappedBytes,
    encode_fields,
    random_bytes,
)
from strongroom.hsm.cluster._key_canary import KeyCanary, make_key_canary, prove_key_canary
from strongroom.testing import FakeHsm, FakeMember

SYMMETRIC = [spec for spec in KeySpec if not spec.is_pair]


def soon():
    return Deadline.after(SystemClock(), 10)


def key_of(spec):
    (usage,) = spec.usages
    return HsmKey(HsmKeyId(random_bytes(16)), spec, usage)


@pytest.fixture
def hsm():
    return FakeHsm("alpha")


@pytest.mark.parametrize("spec", SYMMETRIC, ids=str)
async def test_the_key_itself_passes_and_another_of_its_name_does_not(hsm, spec):
    key = key_of(spec)
    hsm.direct.generate(key, "k", may_leave=True)
    canary = await make_key_canary(key, FakeMember(hsm), deadline=soon())
    await prove_key_canary(key, canary, FakeMember(hsm), deadline=soon())
    assert (
        await make_key_canary(key, FakeMember(hsm), deadline=soon()) != canary or spec is not KeySpec.AES_256
    )

    hsm.direct.destroy(key)
    hsm.direct.generate(key, "k", may_leave=True)
    with pytest.raises(HsmIntegrityError):
        await prove_key_canary(key, canary, FakeMember(hsm), deadline=soon())


@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.HMAC_256], ids=str)
async def test_the_canary_of_a_key_does_not_serve_for_the_same_key_under_another_name(hsm, spec):
    key, renamed = key_of(spec), key_of(spec)
    hsm.direct.generate(key, "k", may_leave=True)
    canary = await make_key_canary(key, FakeMember(hsm), deadline=soon())
    hsm.direct.keep(renamed, "r", hsm.direct._held[key.key_id].secret, may_leave=True)
    with pytest.raises(HsmIntegrityError):
        await prove_key_canary(renamed, canary, FakeMember(hsm), deadline=soon())


async def test_the_canary_of_an_hmac_key_is_what_the_page_says(hsm):
    key = key_of(KeySpec.HMAC_384)
    hsm.direct.generate(key, "k", may_leave=True)
    name = encode_fields("strongroom direct key canary v1", [key.key_id, b"HMAC_384", b"GENERATE_VERIFY_MAC"])
    answer = hmac.digest(hsm.direct._held[key.key_id].secret, name, "sha384")
    canary = await make_key_canary(key, FakeMember(hsm), deadline=soon())
    assert canary == hashlib.sha256(answer).digest()


async def test_a_pair_needs_no_canary(hsm):
    key = HsmKey(HsmKeyId(bytes(16)), KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    assert await make_key_canary(key, FakeMember(hsm), deadline=soon()) is None


@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.HMAC_256], ids=str)
async def test_a_canary_of_another_kind_of_key_is_damage_and_no_member_is_asked(spec):
    sealed = WrappedBytes(WrapAlgorithm.HSM_AES_GCM, bytes(12), bytes(32), bytes(16))
    of_another_kind = KeyCanary(bytes(32), None if spec is KeySpec.AES_256 else sealed).encode()
    assert KeyCanary.parse(of_another_kind), "it is well-formed"
    nobody = FakeMember(FakeHsm("has no such key"))
    with pytest.raises(StorageError, match="damaged"):
        await prove_key_canary(key_of(spec), of_another_kind, nobody, deadline=soon())


@given(
    st.binary(min_size=32, max_size=32),
    st.none()
    | st.builds(
        WrappedBytes,
        st.just(WrapAlgorithm.HSM_AES_GCM),
        st.binary(min_size=12, max_size=12) | st.binary(min_size=16, max_size=16),
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=16, max_size=16),
    ),
)
def test_what_was_stored_comes_back(digest, sealed):
    encoded = KeyCanary(digest, sealed).encode()
    assert 32 <= len(encoded) <= 113
    assert KeyCanary.parse(encoded) == (digest, sealed)


@given(st.binary(max_size=256))
def test_whatever_is_stored_is_a_canary_in_its_one_form_or_damaged(encoded):
    try:
        parsed = KeyCanary.parse(encoded)
    except StorageError:
        return
    assert parsed.encode() == encoded
