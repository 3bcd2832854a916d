"""Direct keys on real SoftHSM tokens: what they are, what nobody can do with them, and how they end."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from fixtures_direct_keys import a_key, made, token_maker
from strongroom.core import (
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    OaepAlgorithm,
    RootId,
    Secret,
    SigningAlgorithm,
    random_bytes,
)
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import (
    AesGcm,
    AesKeyGen,
    AesKeyWrapPad,
    Attribute,
    EcdhDerive,
    KeyType,
    ObjectClass,
)
from strongroom.hsm.public_keys import curve_of, encrypt_oaep, verify_signature

pytestmark = pytest.mark.softhsm

A = Attribute
SLOW = {KeySpec.RSA_3072, KeySpec.RSA_4096}
EVERY_KIND = [
    pytest.param(spec, usage, marks=[pytest.mark.slow] * (spec in SLOW), id=f"{spec}-{usage}")
    for spec in KeySpec
    for usage in sorted(spec.usages)
]


@pytest.fixture(scope="module")
def token(module):
    with token_maker(module) as make:
        yield make()


@pytest.fixture(scope="module")
def session(module, token):
    """A session of our own on the token: what its user can do without this package."""
    slot = next(s for s in module.slots() if module.token_info(s).serial == token.identity.serial)
    opened = module.open_session(slot)
    yield opened
    module.close_session(opened)


@pytest.fixture
def handles_of(module, session):
    def find(key, object_class=None):
        template = {A.ID: bytes(key.key_id)}
        if object_class is not None:
            template[A.CLASS] = object_class
        return module.find_objects(session, template)

    return find


@pytest.fixture(scope="module")
def aes(token):
    return made(token, KeySpec.AES_256)[0]


@pytest.fixture(scope="module")
def p256(token):
    return made(token, KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)


@pytest.fixture(scope="module")
def rsa(token):
    return made(token, KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT)


@pytest.mark.parametrize(("spec", "usage"), EVERY_KIND)
def test_a_key_of_every_kind_is_made_shown_and_destroyed_for_good(token, handles_of, spec, usage):
    key, spki = made(token, spec, usage)
    assert token.direct.holds(key)
    assert len(handles_of(key)) == (2 if spec.is_pair else 1)
    assert {found.label for found in token.direct.inventory() if found.cka_id == key.key_id} == {
        "direct-test"
    }
    if spec.is_pair:
        assert token.direct.public_key(key) == spki
        load_der_public_key(spki)
    else:
        assert spki == b""
        with pytest.raises(HsmRequestError, match="public half"):
            token.direct.public_key(key)
    token.direct.destroy(key)
    assert not token.direct.holds(key)
    assert handles_of(key) == []
    with pytest.raises(HsmKeyNotFoundError):
        token.direct.destroy(key)


@pytest.mark.parametrize("may_leave", [True, False])
@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.HMAC_256, KeySpec.ECC_NIST_P256])
def test_the_secret_half_is_told_to_nobody_and_changed_by_nobody(
    token, module, session, handles_of, spec, may_leave
):
    key, _ = made(token, spec, may_leave=may_leave)
    object_class = ObjectClass.PRIVATE_KEY if spec.is_pair else ObjectClass.SECRET_KEY
    (handle,) = handles_of(key, object_class)
    wanted = (A.PRIVATE, A.SENSITIVE, A.ALWAYS_SENSITIVE, A.EXTRACTABLE, A.NEVER_EXTRACTABLE,
              A.WRAP_WITH_TRUSTED, A.MODIFIABLE, A.COPYABLE, A.LOCAL)  # fmt: skip
    found = module.get_attributes(session, handle, wanted)
    assert found == {
        A.PRIVATE: True, A.SENSITIVE: True, A.ALWAYS_SENSITIVE: True, A.EXTRACTABLE: may_leave,
        A.NEVER_EXTRACTABLE: not may_leave, A.WRAP_WITH_TRUSTED: True, A.MODIFIABLE: False, A.COPYABLE: False,
        A.LOCAL: True,
    }  # fmt: skip
    assert module.get_attributes(session, handle, (A.VALUE,)) == {}
    for change in ({A.LABEL: "mine"}, {A.SIGN: True, A.DECRYPT: True}, {A.SENSITIVE: False}):
        with pytest.raises(cryptoki.CryptokiError):
            module.set_attributes(session, handle, change)
    with pytest.raises(cryptoki.CryptokiError):
        module.copy_object(session, handle, {A.TOKEN: False})


@pytest.mark.parametrize("may_leave", [True, False])
@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.HMAC_512, KeySpec.ECC_NIST_P384])
def test_no_user_of_the_token_wraps_a_key_out(token, module, session, handles_of, spec, may_leave):
    key, _ = made(token, spec, may_leave=may_leave)
    own = module.generate_key(
        session, AesKeyGen(), {A.VALUE_LEN: 32, A.TOKEN: False, A.WRAP: True, A.UNWRAP: True, A.DECRYPT: True}
    )
    object_class = ObjectClass.PRIVATE_KEY if spec.is_pair else ObjectClass.SECRET_KEY
    (handle,) = handles_of(key, object_class)
    with pytest.raises(cryptoki.CryptokiError):
        module.wrap_key(session, AesKeyWrapPad(), wrapping_key=own, key=handle)


def test_a_key_does_what_its_usage_says_and_nothing_else(token, module, session, handles_of, aes, p256, rsa):
    (aes_handle,) = handles_of(aes)
    (signing,) = handles_of(p256[0], ObjectClass.PRIVATE_KEY)
    (decrypting,) = handles_of(rsa[0], ObjectClass.PRIVATE_KEY)
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    for wrong in (
        lambda: module.sign(session, cryptoki.AesCmac(), aes_handle, b"m"),
        lambda: module.derive_key(
            session, EcdhDerive(point), base_key=signing,
            template={A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: KeyType.GENERIC_SECRET, A.VALUE_LEN: 32},
        ),
        lambda: module.sign(session, cryptoki.RsaPkcs(), decrypting, bytes(51)),
        lambda: module.wrap_key(session, AesKeyWrapPad(), wrapping_key=aes_handle, key=signing),
    ):  # fmt: skip
        with pytest.raises(cryptoki.CryptokiError):
            wrong()
    assert module.encrypt(session, AesGcm(bytes(12)), aes_handle, b"m")


@pytest.mark.parametrize("spec", [KeySpec.AES_256, KeySpec.ECC_NIST_P256])
def test_a_name_that_is_taken_is_refused(token, spec):
    key, _ = made(token, spec)
    with pytest.raises(HsmRequestError, match="already holds"):
        token.direct.generate(key, "again", may_leave=True)
    root_id = RootId(random_bytes(16))
    token.generate_root(root_id, "root")
    with pytest.raises(HsmRequestError, match="already holds"):
        token.direct.generate(HsmKey(HsmKeyId(bytes(root_id)), *a_key(spec)[1:]), "x", may_leave=True)


def test_no_root_and_no_key_of_another_kind_is_destroyed(token, p256):
    root_id = RootId(random_bytes(16))
    token.generate_root(root_id, "root")
    as_key = HsmKey(HsmKeyId(bytes(root_id)), KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)
    assert not token.direct.holds(as_key)
    with pytest.raises(HsmKeyNotFoundError):
        token.direct.destroy(as_key)
    assert token.has_root(root_id)
    with pytest.raises(HsmKeyNotFoundError):
        token.direct.destroy(HsmKey(p256[0].key_id, KeySpec.RSA_2048, KeyUsage.SIGN_VERIFY))
    assert token.direct.holds(p256[0])


@pytest.mark.parametrize("lost", [ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY])
def test_what_is_left_of_a_pair_is_destroyed(token, module, session, handles_of, lost):
    key, _ = made(token, KeySpec.ECC_NIST_P256)
    module.destroy_object(session, *handles_of(key, lost))
    token.direct.destroy(key)
    assert handles_of(key) == []


def test_a_destroyed_key_signs_no_more(token):
    key, _ = made(token, KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    token.direct.sign(key, SigningAlgorithm.ECDSA_SHA_256, bytes(32))
    token.direct.destroy(key)
    with pytest.raises(HsmKeyNotFoundError):
        token.direct.sign(key, SigningAlgorithm.ECDSA_SHA_256, bytes(32))


@pytest.mark.parametrize("algorithm", OaepAlgorithm)
def test_hostile_ciphertexts_get_one_answer_and_cost_no_member(token, rsa, algorithm):
    key, spki = rsa
    good = encrypt_oaep(key.spec, spki, algorithm, Secret(b"secret"))
    assert token.direct.decrypt_oaep(key, algorithm, good).matches(Secret(b"secret"))
    other = next(a for a in OaepAlgorithm if a is not algorithm)
    hostile = [
        good[:-1] + bytes([good[-1] ^ 1]),
        bytes(256),
        bytes(255) + b"\x01",
        b"\xff" * 256,
        good[:-1],
        good + b"\0",
        b"",
        encrypt_oaep(key.spec, spki, other, Secret(b"secret")),
    ]
    said = set()
    for ciphertext in hostile:
        with pytest.raises(HsmIntegrityError) as caught:
            token.direct.decrypt_oaep(key, algorithm, ciphertext)
        said.add(caught.value.message)
    assert said == {"the ciphertext does not decrypt"}
    assert not token.is_broken
    assert token.direct.decrypt_oaep(key, algorithm, good).matches(Secret(b"secret"))


@pytest.mark.parametrize(("spec", "n_peers"), [(KeySpec.ECC_NIST_P256, 300), (KeySpec.ECC_NIST_P521, 20)])
def test_agreements_are_those_of_another_implementation_leading_zeros_and_all(
    token, module, session, spec, n_peers
):
    key, spki = made(token, spec, KeyUsage.KEY_AGREEMENT)
    public = load_der_public_key(spki)
    for _ in range(n_peers):
        peer = ec.generate_private_key(curve_of(spec).implementation)
        peer_spki = peer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        agreed = token.direct.derive(key, peer_spki)
        assert agreed.matches(Secret(peer.exchange(ec.ECDH(), public)))
    left = module.find_objects(session, {A.TOKEN: False, A.KEY_TYPE: KeyType.GENERIC_SECRET})
    assert left == [], "the agreed secret stays nowhere in the token"


def test_many_signatures_of_each_kind_verify(token, p256):
    key, spki = p256
    for _ in range(100):
        digest = random_bytes(32)
        signature = token.direct.sign(key, SigningAlgorithm.ECDSA_SHA_256, digest)
        verify_signature(key.spec, spki, SigningAlgorithm.ECDSA_SHA_256, digest, signature)


def test_a_stale_handle_is_found_again(token, module, session, handles_of):
    key, _ = made(token, KeySpec.HMAC_256)
    first = token.direct.mac(key, b"m")
    token._direct._finder._handles[bytes(key.key_id), ObjectClass.SECRET_KEY] = 0xDEAD
    assert token.direct.mac(key, b"m") == first
