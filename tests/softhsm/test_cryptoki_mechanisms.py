"""Every mechanism that SoftHSM has, against software; what it has not is written down and refused by name."""

import hashlib
import hmac

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.padding import PKCS7

from fixtures_key_objects import ED25519, P256, P384, rsa_private, rsa_public, secret_key
from fixtures_softhsm import loaded_softhsm, user_session
from strongroom.hsm.cryptoki import (
    AesCbc,
    AesCbcPad,
    AesCmac,
    AesCtr,
    AesEcb,
    AesGcm,
    AesKeyGen,
    AesKeyWrap,
    AesKeyWrapPad,
    AesKwp,
    ArgumentsBadError,
    Attribute,
    EcdhDerive,
    Ecdsa,
    EcEdwardsKeyPairGen,
    EcKeyPairGen,
    Eddsa,
    GenericSecretKeyGen,
    HashAlgorithm,
    Hmac,
    KeyType,
    MechanismInvalidError,
    ObjectClass,
    RsaAesKeyWrap,
    RsaKeyPairGen,
    RsaOaep,
    RsaPkcs,
    RsaPss,
    Sha2,
    SignatureInvalidError,
    SignatureLenRangeError,
)

pytestmark = pytest.mark.softhsm
A, H = Attribute, HashAlgorithm
KEY, IV, DATA = bytes(range(32)), bytes(range(16)), b"sixteen bytes, and then some more"
PYCA_HASH = {H.SHA1: hashes.SHA1(), H.SHA224: hashes.SHA224(), H.SHA256: hashes.SHA256(),  # noqa: S303
             H.SHA384: hashes.SHA384(), H.SHA512: hashes.SHA512()}  # fmt: skip

# What the Debian 12 build of SoftHSM 2.6.1 does not have, of all that this room can name.
ABSENT = {
    "CKM_AES_KEY_WRAP_KWP": AesKwp(),
    "CKM_RSA_AES_KEY_WRAP": RsaAesKeyWrap(RsaOaep(H.SHA1)),
    **{f"CKM_ECDSA_{h.name}": Ecdsa(h) for h in H},
    **{f"CKM_{h.name}_RSA_PKCS": RsaPkcs(h) for h in H if h.name.startswith("SHA3_")},
    **{f"CKM_{h.name}_RSA_PKCS_PSS": RsaPss(h, 20, True) for h in H if h.name.startswith("SHA3_")},
}


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    with loaded_softhsm(tmp_path_factory.mktemp("softhsm")) as tokens, user_session(tokens) as session:
        yield session


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


def aes_cipher(mode):
    return Cipher(algorithms.AES(KEY), mode).encryptor()


def in_software(mode, data):
    cipher = aes_cipher(mode)
    return cipher.update(data) + cipher.finalize()


def padded(data):
    padder = PKCS7(128).padder()
    return padder.update(data) + padder.finalize()


def cmac(data):
    mac = CMAC(algorithms.AES(KEY))
    mac.update(data)
    return mac.finalize()


ENCRYPTING = {
    "GCM": (AesGcm(IV[:12], b"aad"), DATA, lambda: AESGCM(KEY).encrypt(IV[:12], DATA, b"aad")),
    "GCM, 16-byte IV": (AesGcm(IV), DATA, lambda: AESGCM(KEY).encrypt(IV, DATA, None)),
    "GCM, tag of 96 bits": (AesGcm(IV, b"", 96), DATA, lambda: AESGCM(KEY).encrypt(IV, DATA, None)[:-4]),
    "GCM of nothing": (AesGcm(IV, b"aad"), b"", lambda: AESGCM(KEY).encrypt(IV, b"", b"aad")),
    "CBC": (AesCbc(IV), DATA[:32], lambda: in_software(modes.CBC(IV), DATA[:32])),
    "CBC_PAD": (AesCbcPad(IV), DATA, lambda: in_software(modes.CBC(IV), padded(DATA))),
    "CTR": (AesCtr(IV), DATA, lambda: in_software(modes.CTR(IV), DATA)),
    "ECB": (AesEcb(), DATA[:16], lambda: in_software(modes.ECB(), DATA[:16])),  # noqa: S305  # one block
}


@pytest.mark.parametrize("case", ENCRYPTING)
def test_aes_encrypts_as_software_does(user, case):
    mechanism, data, expected = ENCRYPTING[case]
    key = secret_key(user, KEY)
    ciphertext = user.module.encrypt(user.session, mechanism, key, data)
    assert ciphertext == expected()
    assert user.module.decrypt(user.session, mechanism, key, ciphertext) == data


MACS = {
    "CMAC": (AesCmac(), KeyType.AES, KEY, cmac),
    **{
        f"HMAC {bits}": (
            Hmac(bits), KeyType.GENERIC_SECRET, bytes(64),
            lambda data, bits=bits: hmac.digest(bytes(64), data, f"sha{bits}"),
        )
        for bits in (224, 256, 384, 512)
    },
}  # fmt: skip


@pytest.mark.parametrize("case", MACS)
def test_macs_are_what_software_makes_and_a_wrong_one_is_refused(user, case):
    mechanism, key_type, value, expected = MACS[case]
    key = secret_key(user, value, key_type)
    mac = user.module.sign(user.session, mechanism, key, DATA)
    assert mac == expected(DATA)
    user.module.verify(user.session, mechanism, key, DATA, mac)
    for wrong, error in ((bytes(len(mac)), SignatureInvalidError), (mac[:-1], SignatureLenRangeError)):
        with pytest.raises(error):
            user.module.verify(user.session, mechanism, key, DATA, wrong)


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_digests_are_what_software_makes(user, bits):
    assert user.module.digest(user.session, Sha2(bits), DATA) == hashlib.new(f"sha{bits}", DATA).digest()


@pytest.mark.parametrize(
    ("mechanism", "software"),
    [(AesKeyWrap(), keywrap.aes_key_wrap), (AesKeyWrapPad(), keywrap.aes_key_wrap_with_padding)],
    ids=["KEY_WRAP", "KEY_WRAP_PAD"],
)
def test_keys_are_wrapped_as_software_does(user, mechanism, software):
    wrapping, inner = secret_key(user, KEY), secret_key(user, b"k" * 32)
    wrapped = user.module.wrap_key(user.session, mechanism, wrapping_key=wrapping, key=inner)
    assert wrapped == software(KEY, b"k" * 32)
    template = {A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: KeyType.AES, A.TOKEN: False,
                A.SENSITIVE: False, A.EXTRACTABLE: True}  # fmt: skip
    again = user.module.unwrap_key(
        user.session, mechanism, unwrapping_key=wrapping, wrapped=wrapped, template=template
    )
    assert user.module.get_attributes(user.session, again, [A.VALUE]) == {A.VALUE: b"k" * 32}


@pytest.mark.parametrize("hash_algorithm", [None, *PYCA_HASH])
def test_rsa_pkcs1_signatures_are_what_software_makes(user, rsa_key, hash_algorithm):
    public, private = rsa_public(user, rsa_key.public_key()), rsa_private(user, rsa_key)
    mechanism = RsaPkcs(hash_algorithm)
    if hash_algorithm is None:
        data = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(DATA).digest()
    else:
        data = DATA
    signature = user.module.sign(user.session, mechanism, private, data)
    assert signature == rsa_key.sign(DATA, padding.PKCS1v15(), PYCA_HASH[hash_algorithm or H.SHA256])
    user.module.verify(user.session, mechanism, public, data, signature)
    with pytest.raises(SignatureInvalidError):
        user.module.verify(user.session, mechanism, public, data, bytes(255) + b"\x01")


@pytest.mark.parametrize("hashed_by_token", [True, False])
@pytest.mark.parametrize("hash_algorithm", PYCA_HASH)
def test_pss_works_both_ways_with_software(user, rsa_key, hash_algorithm, hashed_by_token):
    public, private = rsa_public(user, rsa_key.public_key()), rsa_private(user, rsa_key)
    size, pyca = hash_algorithm.digest_len_bytes, PYCA_HASH[hash_algorithm]
    pss = padding.PSS(padding.MGF1(pyca), size)
    mechanism = RsaPss(hash_algorithm, size, hashed_by_token)
    data = DATA if hashed_by_token else hashlib.new(hash_algorithm.name, DATA).digest()
    signature = user.module.sign(user.session, mechanism, private, data)
    rsa_key.public_key().verify(signature, DATA, pss, pyca)
    user.module.verify(user.session, mechanism, public, data, rsa_key.sign(DATA, pss, pyca))
    with pytest.raises(InvalidSignature):
        rsa_key.public_key().verify(signature, DATA + b"!", pss, pyca)


def test_oaep_works_both_ways_with_software(user, rsa_key):
    public, private = rsa_public(user, rsa_key.public_key()), rsa_private(user, rsa_key)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303  # all that SoftHSM has
    mechanism = RsaOaep(H.SHA1)
    ciphertext = user.module.encrypt(user.session, mechanism, public, DATA)
    assert rsa_key.decrypt(ciphertext, oaep) == DATA
    ciphertext = rsa_key.public_key().encrypt(DATA, oaep)
    assert user.module.decrypt(user.session, mechanism, private, ciphertext) == DATA
    wrapped = user.module.wrap_key(user.session, mechanism, wrapping_key=public, key=secret_key(user, KEY))
    assert rsa_key.decrypt(wrapped, oaep) == KEY


@pytest.mark.parametrize("mechanism", [RsaOaep(H.SHA256), RsaOaep(H.SHA1, b"label")])
def test_softhsm_has_no_other_oaep(user, rsa_key, mechanism):
    with pytest.raises(ArgumentsBadError):
        user.module.encrypt(user.session, mechanism, rsa_public(user, rsa_key.public_key()), DATA)


def test_softhsm_ignores_the_label_of_oaep_when_it_decrypts(user, rsa_key):
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303  # all that SoftHSM has
    ciphertext = rsa_key.public_key().encrypt(DATA, oaep)
    private = rsa_private(user, rsa_key)
    assert user.module.decrypt(user.session, RsaOaep(H.SHA1, b"bound to this"), private, ciphertext) == DATA


EC_PUBLIC = {A.CLASS: ObjectClass.PUBLIC_KEY, A.TOKEN: False, A.VERIFY: True}
EC_PRIVATE = {A.CLASS: ObjectClass.PRIVATE_KEY, A.TOKEN: False, A.SIGN: True, A.DERIVE: True}


@pytest.mark.parametrize(("oid", "curve"), [(P256, ec.SECP256R1()), (P384, ec.SECP384R1())])
def test_ecdsa_and_ecdh_agree_with_software(user, oid, curve):
    module, session = user.module, user.session
    public, private = module.generate_key_pair(
        session, EcKeyPairGen(), public=EC_PUBLIC | {A.EC_PARAMS: oid}, private=EC_PRIVATE
    )
    point = module.get_attributes(session, public, [A.EC_POINT])[A.EC_POINT]
    assert point[:2] == bytes([4, len(point) - 2])
    software = ec.EllipticCurvePublicKey.from_encoded_point(curve, point[2:])
    digest = hashlib.sha256(DATA).digest()
    signature = module.sign(session, Ecdsa(), private, digest)
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    software.verify(utils.encode_dss_signature(r, s), DATA, ec.ECDSA(hashes.SHA256()))
    module.verify(session, Ecdsa(), public, digest, signature)
    with pytest.raises(SignatureInvalidError):
        module.verify(session, Ecdsa(), public, hashlib.sha256(b"").digest(), signature)
    other = ec.generate_private_key(curve)
    encoded = other.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    template = {A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: KeyType.GENERIC_SECRET, A.TOKEN: False,
                A.VALUE_LEN: half, A.SENSITIVE: False, A.EXTRACTABLE: True}  # fmt: skip
    shared = module.derive_key(session, EcdhDerive(encoded), base_key=private, template=template)
    value = module.get_attributes(session, shared, [A.VALUE])[A.VALUE]
    assert value == other.exchange(ec.ECDH(), software)


def test_ed25519_agrees_with_software(user):
    module, session = user.module, user.session
    public, private = module.generate_key_pair(
        session, EcEdwardsKeyPairGen(), public=EC_PUBLIC | {A.EC_PARAMS: ED25519}, private=EC_PRIVATE
    )
    signature = module.sign(session, Eddsa(), private, DATA)
    point = module.get_attributes(session, public, [A.EC_POINT])[A.EC_POINT]
    ed25519.Ed25519PublicKey.from_public_bytes(point[-32:]).verify(signature, DATA)
    module.verify(session, Eddsa(), public, DATA, signature)


def test_generated_keys_are_as_long_as_asked_for(user):
    module, session = user.module, user.session
    for mechanism, key_type, size in ((AesKeyGen(), KeyType.AES, 24), (GenericSecretKeyGen(), 0x10, 61)):
        template = {A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: key_type, A.TOKEN: False, A.VALUE_LEN: size,
                    A.SENSITIVE: False, A.EXTRACTABLE: True}  # fmt: skip
        key = module.generate_key(session, mechanism, template)
        answer = module.get_attributes(session, key, [A.VALUE, A.LOCAL, A.KEY_GEN_MECHANISM])
        assert (len(answer[A.VALUE]), answer[A.LOCAL]) == (size, True)
        assert answer[A.KEY_GEN_MECHANISM] == mechanism.number
    public, _ = module.generate_key_pair(
        session,
        RsaKeyPairGen(),
        public=EC_PUBLIC | {A.MODULUS_BITS: 2048, A.PUBLIC_EXPONENT: b"\x01\x00\x01"},
        private={A.CLASS: ObjectClass.PRIVATE_KEY, A.TOKEN: False, A.SIGN: True},
    )
    assert len(module.get_attributes(session, public, [A.MODULUS])[A.MODULUS]) == 256


@pytest.mark.parametrize("name", ABSENT)
def test_a_mechanism_that_the_token_says_it_lacks_is_refused(user, rsa_key, name):
    mechanism = ABSENT[name]
    if mechanism.number in user.module.mechanisms(user.token.slot):
        pytest.skip(f"this SoftHSM has {name}")
    key = rsa_private(user, rsa_key)
    if name.endswith(("KWP", "KEY_WRAP")):
        with pytest.raises(MechanismInvalidError):
            user.module.wrap_key(user.session, mechanism, wrapping_key=key, key=key)
        return
    with pytest.raises(MechanismInvalidError):
        user.module.sign(user.session, mechanism, key, DATA)


def test_the_token_has_every_mechanism_that_is_not_written_down_as_absent(user):
    ours = [mechanism for mechanism, _, _ in ENCRYPTING.values()] + [mac[0] for mac in MACS.values()]
    ours += [Sha2(bits) for bits in (224, 256, 384, 512)] + [
        AesKeyWrap(),
        AesKeyWrapPad(),
        RsaPkcs(),
        Ecdsa(),
    ]
    ours += (
        [RsaPkcs(h) for h in PYCA_HASH]
        + [RsaPss(h, 20, True) for h in PYCA_HASH]
        + [RsaOaep(H.SHA1), Eddsa()]
    )
    ours += [RsaPss(H.SHA1, 20, False), EcdhDerive(b"p"), AesKeyGen(), GenericSecretKeyGen(), RsaKeyPairGen()]
    ours += [EcKeyPairGen(), EcEdwardsKeyPairGen()]
    assert {mechanism.number for mechanism in ours} <= user.module.mechanisms(user.token.slot)
