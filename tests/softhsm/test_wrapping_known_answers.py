"""Every wrap algorithm on a real SoftHSM token, against pyca/cryptography with the same keys outside."""

import hashlib
import hmac
import struct

import pytest
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures_two_tokens import PIN, PROFILE, new_token, raw_session
from strongroom.core import (
    HsmIntegrityError,
    Secret,
    WrappedBytes,
    random_bytes,
)
from strongroom.hsm.cryptoki import Attribute, KeyType, ObjectClass
from strongroom.hsm.token import WRAP_PREFERENCE, Token, TokenSelector
from strongroom.hsm.token._wrappings import wrapping_for

pytestmark = pytest.mark.softhsm

GCM, CBC, OAEP = WRAP_PREFERENCE
KEY, AAD = Secret(b"k" * 32), b"domain 1, version 1"


@pytest.fixture(scope="module")
def session(module):
    """A session of a user who is logged in."""
    token = Token.open(module, TokenSelector(label=new_token(module)), PIN, profile=PROFILE)
    yield raw_session(module, token)
    token.close()


def secret_key(module, session, key_type, value, **uses):
    template = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: key_type,
        Attribute.TOKEN: False,
        Attribute.VALUE: value,
        **{Attribute[name]: True for name in uses},
    }
    return module.create_object(session, template)


def integer_bytes(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def rsa_pair(module, session, key):
    """Put a key pair of ours into the token."""
    numbers = key.private_numbers()
    public = {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.TOKEN: False,
        Attribute.ENCRYPT: True,
        Attribute.MODULUS: integer_bytes(numbers.public_numbers.n),
        Attribute.PUBLIC_EXPONENT: integer_bytes(numbers.public_numbers.e),
    }
    private = {
        **public,
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.DECRYPT: True,
        Attribute.PRIVATE_EXPONENT: integer_bytes(numbers.d),
        Attribute.PRIME_1: integer_bytes(numbers.p),
        Attribute.PRIME_2: integer_bytes(numbers.q),
        Attribute.EXPONENT_1: integer_bytes(numbers.dmp1),
        Attribute.EXPONENT_2: integer_bytes(numbers.dmq1),
        Attribute.COEFFICIENT: integer_bytes(numbers.iqmp),
    }
    del private[Attribute.ENCRYPT]
    return module.create_object(session, public), module.create_object(session, private)


def sealed_by_pyca(cipher_key, mac_key, iv, plaintext, aad):
    """The page's words, in other hands: docs/ciphertext-format.md, algorithm 03."""
    padder = padding.PKCS7(128).padder()
    padded = padder.update(plaintext) + padder.finalize()
    encryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(iv)).encryptor()
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    length = struct.pack(">Q", 8 * len(aad))
    tag = hmac.new(mac_key, aad + iv + ciphertext + length, hashlib.sha256).digest()
    return WrappedBytes(CBC, iv, ciphertext, tag)


def test_aes_gcm_is_what_others_compute(module, session):
    key = random_bytes(32)
    wrapping = wrapping_for(module, PROFILE, GCM)
    handles = (secret_key(module, session, KeyType.AES, key, ENCRYPT=1, DECRYPT=1),)
    wrapped = wrapping.encrypt(session, handles, b"k" * 32, AAD)
    assert AESGCM(key).decrypt(wrapped.iv, wrapped.ciphertext + wrapped.tag, AAD) == b"k" * 32


def test_an_iv_of_16_bytes_that_another_member_made_is_taken(module, session):
    key, iv = random_bytes(32), random_bytes(16)
    handles = (secret_key(module, session, KeyType.AES, key, ENCRYPT=1, DECRYPT=1),)
    sealed = AESGCM(key).encrypt(iv, b"k" * 32, AAD)
    wrapped = WrappedBytes(GCM, iv, sealed[:-16], sealed[-16:])
    assert wrapping_for(module, PROFILE, GCM).decrypt(session, handles, wrapped, AAD) == b"k" * 32


@settings(max_examples=30, deadline=None)
@given(plaintext=st.binary(min_size=1, max_size=100), aad=st.binary(max_size=60))
def test_aes_cbc_with_hmac_is_what_others_compute(shared_keys, plaintext, aad):
    module, session, handles, cipher_key, mac_key = shared_keys
    wrapping = wrapping_for(module, PROFILE, CBC)
    wrapped = wrapping.encrypt(session, handles, plaintext, aad)
    assert wrapped == sealed_by_pyca(cipher_key, mac_key, wrapped.iv, plaintext, aad)
    theirs = sealed_by_pyca(cipher_key, mac_key, random_bytes(16), plaintext, aad)
    assert wrapping.decrypt(session, handles, theirs, aad) == plaintext


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_aes_cbc_with_hmac_refuses_every_changed_bit_before_it_decrypts(shared_keys, data):
    module, session, handles, *_ = shared_keys
    wrapping = wrapping_for(module, PROFILE, CBC)
    wrapped = wrapping.encrypt(session, handles, b"k" * 32, AAD)
    field = data.draw(st.sampled_from(["iv", "ciphertext", "tag"]))
    changed = bytearray(getattr(wrapped, field))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    spoilt = wrapped._replace(**{field: bytes(changed)})
    with pytest.raises(HsmIntegrityError):
        wrapping.decrypt(session, (0, handles[1]), spoilt, AAD)  # with no AES key at hand


def test_bytes_do_not_move_between_the_parts_of_the_mac(shared_keys):
    module, session, handles, *_ = shared_keys
    wrapping = wrapping_for(module, PROFILE, CBC)
    wrapped = wrapping.encrypt(session, handles, b"k" * 40, AAD)
    moved = wrapped._replace(iv=wrapped.ciphertext[:16], ciphertext=wrapped.ciphertext[16:])
    with pytest.raises(HsmIntegrityError):
        wrapping.decrypt(session, handles, moved, AAD + wrapped.iv)


@pytest.fixture(scope="module")
def shared_keys(module, session):
    cipher_key, mac_key = random_bytes(32), random_bytes(32)
    handles = (
        secret_key(module, session, KeyType.AES, cipher_key, ENCRYPT=1, DECRYPT=1),
        secret_key(module, session, KeyType.GENERIC_SECRET, mac_key, SIGN=1, VERIFY=1),
    )
    return module, session, handles, cipher_key, mac_key


def test_rsa_oaep_is_what_others_compute(module, session):
    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    handles = rsa_pair(module, session, key)
    wrapping = wrapping_for(module, PROFILE, OAEP)
    sha_1 = hashes.SHA1()  # noqa: S303  # all that SoftHSM takes; in OAEP it is sound
    scheme = rsa_padding.OAEP(rsa_padding.MGF1(sha_1), sha_1, None)
    wrapped = wrapping.encrypt(session, handles, b"k" * 32, AAD)
    assert key.decrypt(wrapped.ciphertext, scheme) == hashlib.sha256(AAD).digest() + b"k" * 32
    assert (wrapped.iv, wrapped.tag) == (b"\x01", b"")
    theirs = key.public_key().encrypt(hashlib.sha256(AAD).digest() + b"theirs", scheme)
    assert wrapping.decrypt(session, handles, wrapped._replace(ciphertext=theirs), AAD) == b"theirs"
    unbound = key.public_key().encrypt(b"short", scheme)
    with pytest.raises(HsmIntegrityError):
        wrapping.decrypt(session, handles, wrapped._replace(ciphertext=unbound), AAD)
