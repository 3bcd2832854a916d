"""Roots and Direct keys of every kind travel under transport keys, with nothing but users' PINs; real SoftHSM tokens."""

import hashlib

import pytest

from fixtures_transport import PAD, joined
from fixtures_two_tokens import ROOT_ID, new_token, opened
from strongroom.core import (
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    OaepAlgorithm,
    Secret,
    TransportKind,
    random_bytes,
    transport_kind,
)
from strongroom.hsm.public_keys import encrypt_oaep, verify_signature
from strongroom.hsm.token import KeyCheckValue, Role
from strongroom.hsm.token._transport_setup import TransportName

pytestmark = pytest.mark.softhsm

SLOW_TO_MAKE = {KeySpec.RSA_3072, KeySpec.RSA_4096}
TRAVELLING = [
    pytest.param(spec, usage, marks=[pytest.mark.slow] if spec in SLOW_TO_MAKE else [], id=f"{spec}-{usage}")
    for spec in KeySpec
    if spec is not KeySpec.ECC_NIST_EDWARDS25519
    for usage in sorted(spec.usages)
]


@pytest.fixture(scope="module")
def pair(module):
    tokens = joined(module)
    yield tokens
    tokens.close()


def test_a_root_travels_and_is_the_same_on_both(pair):
    check = pair.alpha.generate_root(ROOT_ID, "root")
    under = pair.names[TransportKind.AES]
    wrapped = pair.alpha.transport.wrap_out(ROOT_ID, TransportKind.AES, transport_id=under)
    pair.beta.transport.take_in_root(ROOT_ID, "root", transport_id=under, wrapped=wrapped, expected=check)
    sealed = pair.alpha.wrap(ROOT_ID, Secret(b"a key"), b"aad")
    assert pair.beta.unwrap(ROOT_ID, sealed, b"aad").matches(Secret(b"a key"))
    with pytest.raises(HsmRequestError, match="already holds"):
        pair.beta.transport.take_in_root(ROOT_ID, "root", transport_id=under, wrapped=wrapped, expected=check)


@pytest.mark.parametrize(("spec", "usage"), TRAVELLING)
def test_a_direct_key_of_every_kind_travels_and_works_the_same(pair, spec, usage):
    key = HsmKey(HsmKeyId(random_bytes(16)), spec, usage)
    spki = pair.alpha.direct.generate(key, "k", may_leave=True)
    kind = transport_kind(spec)
    under = pair.names[kind]
    wrapped = pair.alpha.transport.wrap_out(key.key_id, kind, transport_id=under)
    pair.beta.transport.take_in_key(key, "k", transport_id=under, wrapped=wrapped, spki_der=spki)
    if spec.is_pair:
        assert pair.beta.direct.public_key(key) == spki
    _work_the_same(pair, key, spki)
    pair.beta.direct.destroy(key)
    assert not pair.beta.direct.holds(key)


def _work_the_same(pair, key, spki):
    alpha, beta = pair.alpha.direct, pair.beta.direct
    if key.usage is KeyUsage.SIGN_VERIFY:
        algorithm = key.spec.signing_algorithms[0]
        n_bytes = algorithm.digest_len_bytes
        signed = b"message" if n_bytes is None else hashlib.new(f"sha{8 * n_bytes}", b"message").digest()
        verify_signature(key.spec, spki, algorithm, signed, beta.sign(key, algorithm, signed))
    elif key.usage is KeyUsage.GENERATE_VERIFY_MAC:
        assert alpha.mac(key, b"message") == beta.mac(key, b"message")
    elif key.usage is KeyUsage.KEY_AGREEMENT:
        assert alpha.derive(key, spki).matches(beta.derive(key, spki))
    elif key.spec.is_rsa:
        sealed = encrypt_oaep(key.spec, spki, OaepAlgorithm.RSAES_OAEP_SHA_1, Secret(b"text"))
        assert beta.decrypt_oaep(key, OaepAlgorithm.RSAES_OAEP_SHA_1, sealed).matches(Secret(b"text"))
    else:
        assert beta.decrypt(key, alpha.encrypt(key, Secret(b"text"), b""), b"").matches(Secret(b"text"))


def test_softhsm_wraps_no_ed25519_key(pair):
    """2.6.1 refuses them under any key; other HSMs may not."""
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.ECC_NIST_EDWARDS25519, KeyUsage.SIGN_VERIFY)
    pair.alpha.direct.generate(key, "k", may_leave=True)
    with pytest.raises(HsmRequestError, match="NOT_WRAPPABLE"):
        pair.alpha.transport.wrap_out(
            key.key_id, TransportKind.EDWARDS, transport_id=pair.names[TransportKind.EDWARDS]
        )


def test_a_key_that_may_not_leave_stays(pair):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    pair.alpha.direct.generate(key, "k", may_leave=False)
    with pytest.raises(HsmRequestError, match="never to leave"):
        pair.alpha.transport.wrap_out(key.key_id, TransportKind.EC, transport_id=pair.names[TransportKind.EC])


def test_a_key_does_not_leave_as_another_kind(pair):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    pair.alpha.direct.generate(key, "k", may_leave=True)
    with pytest.raises(HsmRequestError):
        pair.alpha.transport.wrap_out(
            key.key_id, TransportKind.AES, transport_id=pair.names[TransportKind.AES]
        )


def test_another_members_transport_key_wraps_nothing(pair):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)
    pair.beta.direct.generate(key, "k", may_leave=True)
    with pytest.raises(HsmRequestError, match="not trusted"):
        pair.beta.transport.wrap_out(
            key.key_id, TransportKind.AES, transport_id=pair.names[TransportKind.AES]
        )


def test_a_root_with_another_check_value_or_a_changed_blob_leaves_nothing_behind(pair):
    root_id = random_bytes(16)
    check = pair.alpha.generate_root(root_id, "root")
    under = pair.names[TransportKind.AES]
    wrapped = pair.alpha.transport.wrap_out(root_id, TransportKind.AES, transport_id=under)
    before = pair.beta.list_objects()
    other = KeyCheckValue(check.kind, f"{int(check.value, 16) ^ 1:06x}")
    with pytest.raises(HsmIntegrityError):
        pair.beta.transport.take_in_root(root_id, "r", transport_id=under, wrapped=wrapped, expected=other)
    changed = bytes([wrapped[0] ^ 1]) + wrapped[1:]
    with pytest.raises(Exception, match="taking a root in"):
        pair.beta.transport.take_in_root(root_id, "r", transport_id=under, wrapped=changed, expected=check)
    assert pair.beta.list_objects() == before


def test_each_role_does_its_own_part_only(module, pair):
    with pytest.raises(HsmRequestError, match="security officer"):
        pair.alpha.transport.make_keys(
            [TransportName(random_bytes(16), TransportKind.AES)], "x", mechanism=PAD, targets=[]
        )
    officer = opened(module, new_token(module), Role.SECURITY_OFFICER)
    with pytest.raises(HsmRequestError, match="user"):
        officer.transport.offer(random_bytes(16))
    officer.close()


def test_an_offer_is_over_when_it_is_ended_and_shows_nothing_on_the_token(module):
    token = opened(module, new_token(module))
    token.transport.offer(b"an offer of mine")
    assert token.list_objects() == []
    token.transport.end_offer(b"an offer of mine")
    name = TransportName(random_bytes(16), TransportKind.AES)
    with pytest.raises(HsmRequestError, match="no such offer"):
        token.transport.take_keys(b"an offer of mine", [name], "x", mechanism=PAD, wrapped=[b"x"])
    token.close()


def test_a_transport_key_that_is_gone_is_a_missing_key(pair):
    with pytest.raises(HsmKeyNotFoundError):
        pair.alpha.transport.wrap_out(ROOT_ID, TransportKind.AES, transport_id=random_bytes(16))
