"""AES-CBC with HMAC: the composition against published vectors, padding, and what is refused unseen."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import HsmRequestError, WrapAlgorithm, WrappedBytes
from strongroom.hsm.cryptoki import ModuleContractError
from strongroom.hsm.token import load_profile
from strongroom.hsm.token._wrapping_cbc_hmac import CbcHmacWrapping, mac_input, pad, unpad

# RFC 7518, appendix B.3 (AEAD_AES_256_CBC_HMAC_SHA_512): the same composition with another hash and a cut tag.
MAC_KEY, ENC_KEY = bytes(range(32)), bytes(range(32, 64))
PLAINTEXT = (
    b"A cipher system must not be required to be secret, and it must be able to fall into the hands of the enemy "
    b"without inconvenience"
)
IV = bytes.fromhex("1af38c2dc2b96ffdd86694092341bc04")
AAD = b"The second principle of Auguste Kerckhoffs"
FIRST_BLOCK = bytes.fromhex("4affaaadb78c31c5da4b1b590d10ffbd")
TAG = bytes.fromhex("4dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b267761955bc5")

# NIST SP 800-38A, F.2.5 (CBC-AES256.Encrypt), first block.
NIST_KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
NIST_PLAINTEXT = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
NIST_CIPHERTEXT = bytes.fromhex("f58c4c04d6e5f1ba779eabfb5f7bfbd6")


class FixedKeys:
    """AES-CBC and HMAC-SHA-256 under fixed keys, as a module does them for handles 1 and 2."""

    def __init__(self, cipher_key=ENC_KEY, mac_key=MAC_KEY):
        self.cipher_key, self.mac_key = cipher_key, mac_key

    def encrypt(self, session, mechanism, key, data):
        assert key == 1
        encryptor = Cipher(algorithms.AES(self.cipher_key), modes.CBC(mechanism.iv)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def decrypt(self, session, mechanism, key, data):
        assert key == 1
        decryptor = Cipher(algorithms.AES(self.cipher_key), modes.CBC(mechanism.iv)).decryptor()
        return decryptor.update(data) + decryptor.finalize()

    def sign(self, session, mechanism, key, data):
        assert key == 2
        return hmac.new(self.mac_key, data, hashlib.sha256).digest()


def wrapping(**keys):
    return CbcHmacWrapping(FixedKeys(**keys), load_profile("softhsm2"))


def test_the_composition_is_that_of_rfc_7518():
    ciphertext = FixedKeys().encrypt(0, WithIv(IV), 1, pad(PLAINTEXT))
    assert ciphertext.startswith(FIRST_BLOCK)
    assert mac_input(AAD, IV, ciphertext).endswith(bytes.fromhex("0000000000000150"))
    assert hmac.new(MAC_KEY, mac_input(AAD, IV, ciphertext), hashlib.sha512).digest()[:32] == TAG


def test_the_cipher_is_that_of_sp_800_38a():
    iv = bytes(range(16))
    assert FixedKeys(cipher_key=NIST_KEY).encrypt(0, WithIv(iv), 1, NIST_PLAINTEXT) == NIST_CIPHERTEXT


class WithIv:
    def __init__(self, iv):
        self.iv = iv


@given(plaintext=st.binary(min_size=1, max_size=200), aad=st.binary(max_size=100))
def test_what_was_wrapped_is_unwrapped(plaintext, aad):
    cbc = wrapping()
    wrapped = cbc.encrypt(0, (1, 2), plaintext, aad)
    cbc.check(wrapped)
    assert len(plaintext) < len(wrapped.ciphertext) <= len(plaintext) + 16
    assert cbc.decrypt(0, (1, 2), wrapped, aad) == plaintext


@given(st.binary(min_size=1, max_size=100))
def test_padding_comes_off_again(plaintext):
    padded = pad(plaintext)
    assert len(padded) % 16 == 0
    assert unpad(padded) == plaintext


@given(st.binary(max_size=64))
def test_unpadding_gives_a_shorter_text_or_blames_the_token(data):
    try:
        assert pad(unpad(data)) == data or len(data) % 16
    except ModuleContractError:
        return


def test_a_token_that_decrypts_to_garbage_after_a_right_tag_is_at_fault():
    good = wrapping().encrypt(0, (1, 2), b"k" * 31, b"")
    block = Cipher(algorithms.AES(ENC_KEY), modes.CBC(good.iv)).encryptor().update(bytes(16))
    zeros = good._replace(ciphertext=block)  # 16 zero bytes: no padding at all
    zeros = zeros._replace(tag=FixedKeys().sign(0, None, 2, mac_input(b"", zeros.iv, block)))
    with pytest.raises(ModuleContractError, match="padding"):
        wrapping().decrypt(0, (1, 2), zeros, b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"iv": bytes(12)}, {"tag": bytes(16)}, {"tag": b""}, {"ciphertext": b""}, {"ciphertext": bytes(17)},
        {"ciphertext": bytes(4096 + 32)},
    ],
)  # fmt: skip
def test_lengths_that_no_wrapping_makes_are_refused_before_the_token_is_asked(changes):
    good = WrappedBytes(WrapAlgorithm.HSM_AES_CBC_HMAC, bytes(16), bytes(48), bytes(32))
    wrapping().check(good)
    wrapping().check(good._replace(ciphertext=bytes(4096 + 16)))
    with pytest.raises(HsmRequestError):
        wrapping().check(good._replace(**changes))
