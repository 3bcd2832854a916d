"""AES-GCM on tokens that make the IV themselves: each way of telling it, and what is refused."""

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import HsmRequestError, WrapAlgorithm, WrappedBytes, random_bytes
from strongroom.hsm.cryptoki import AesGcm, CryptokiError, MechanismParamInvalidError, ModuleContractError
from strongroom.hsm.token import load_profile
from strongroom.hsm.token._wrapping_gcm import GcmWrapping

KEY = random_bytes(32)
AAD = b"domain 1, version 1"
CLOUDHSM_GCM = 0x80001087


class OwnIvModule:
    """The AES-GCM of a token that makes its own IV and tells it in one of three ways. ``make_iv`` may be a bad one."""

    def __init__(self, rule, iv_len, make_iv=random_bytes):
        self.rule, self.iv_len, self.make_iv = rule, iv_len, make_iv
        self.given = []

    def encrypt(self, session, mechanism, key, data):
        self.given.append(mechanism)
        if self.rule == "caller" and not mechanism.iv:
            raise MechanismParamInvalidError
        iv = mechanism.iv if self.rule == "caller" else self.make_iv(self.iv_len)
        sealed = AESGCM(KEY).encrypt(iv if any(iv) else b"\1" * len(iv), data, mechanism.aad)
        return {"hsm-prepended": iv + sealed, "hsm-appended": sealed + iv}.get(self.rule, sealed)

    def encrypt_reporting_iv(self, session, mechanism, key, data):
        self.given.append(mechanism)
        iv = self.make_iv(self.iv_len)
        return iv, AESGCM(KEY).encrypt(iv if any(iv) else b"\1" * len(iv), data, mechanism.aad)

    def decrypt_gcm(self, session, key, iv, aad, data, vendor_number=None):
        return self.decrypt(session, AesGcm(iv, aad, 128, vendor_number), key, data)

    def decrypt(self, session, mechanism, key, data):
        iv = mechanism.iv
        if self.rule == "hsm-prepended":
            assert not iv
            iv, data = data[: self.iv_len], data[self.iv_len :]
        return AESGCM(KEY).decrypt(iv, data, mechanism.aad)


def wrapping(module, rule, iv_len, **changes):
    profile = msgspec.structs.replace(load_profile("softhsm2"), iv_rule=rule, iv_len=iv_len, **changes)
    return GcmWrapping(module, profile)


RULES = [
    ("caller", 12),
    ("hsm-in-parameter", 12),
    ("hsm-prepended", 12),
    ("hsm-appended", 16),
    ("hsm-appended", 12),
]
OWN = [rule for rule in RULES if rule[0] != "caller"]


@pytest.mark.parametrize(("rule", "iv_len"), RULES)
def test_the_iv_that_was_used_is_the_one_that_is_kept(rule, iv_len):
    module = OwnIvModule(rule, iv_len)
    gcm = wrapping(module, rule, iv_len)
    wrapped = gcm.encrypt(1, (2,), b"k" * 32, AAD)
    gcm.check(wrapped)
    assert (len(wrapped.iv), len(wrapped.ciphertext), len(wrapped.tag)) == (iv_len, 32, 16)
    assert AESGCM(KEY).decrypt(wrapped.iv, wrapped.ciphertext + wrapped.tag, AAD) == b"k" * 32
    assert gcm.decrypt(1, (2,), wrapped, AAD) == b"k" * 32
    assert gcm.encrypt(1, (2,), b"k" * 32, AAD).iv != wrapped.iv


@pytest.mark.parametrize(("rule", "iv_len"), OWN)
def test_zeros_are_no_iv_of_the_token(rule, iv_len):
    gcm = wrapping(OwnIvModule(rule, iv_len, make_iv=bytes), rule, iv_len)
    with pytest.raises(ModuleContractError, match="no IV of its own"):
        gcm.encrypt(1, (2,), b"k" * 32, AAD)


@pytest.mark.parametrize(("rule", "iv_len"), OWN)
def test_a_token_that_gives_the_same_iv_twice_running_is_refused(rule, iv_len):
    gcm = wrapping(OwnIvModule(rule, iv_len, make_iv=lambda length: b"\7" * length), rule, iv_len)
    gcm.encrypt(1, (2,), b"k" * 32, AAD)
    with pytest.raises(ModuleContractError, match="same IV"):
        gcm.encrypt(1, (2,), b"k" * 32, AAD)


@pytest.mark.parametrize(
    ("told", "does"),
    [
        (("hsm-appended", 16), ("caller", 12)),
        (("hsm-prepended", 12), ("caller", 12)),
        (("hsm-appended", 16), ("hsm-appended", 12)),
        (("caller", 12), ("hsm-appended", 16)),
    ],
)
def test_a_profile_that_tells_another_length_than_the_token_gives_is_found_out(told, does):
    gcm = wrapping(OwnIvModule(*does), *told)
    with pytest.raises(CryptokiError):
        gcm.encrypt(1, (2,), b"k" * 32, AAD)


def test_what_the_token_is_given_is_zeros_as_room_or_nothing():
    for rule, iv_len in OWN:
        module = OwnIvModule(rule, iv_len)
        wrapping(module, rule, iv_len).encrypt(1, (2,), b"k", AAD)
        (mechanism,) = module.given
        assert mechanism.iv == (bytes(iv_len) if rule == "hsm-in-parameter" else b"")


def test_a_vendor_s_own_mechanism_number_is_used():
    module = OwnIvModule("hsm-prepended", 12)
    gcm = wrapping(module, "hsm-prepended", 12, gcm_mechanism=CLOUDHSM_GCM)
    gcm.encrypt(1, (2,), b"k", AAD)
    assert module.given == [AesGcm(b"", AAD, 128, CLOUDHSM_GCM, is_iv_from_token=True)]
    assert CLOUDHSM_GCM in gcm.mechanisms


@pytest.mark.parametrize(
    "changes", [{"iv": bytes(13)}, {"iv": b""}, {"tag": bytes(12)}, {"ciphertext": b""}, {"ciphertext": bytes(4097)}]
)  # fmt: skip
def test_lengths_that_no_token_makes_are_refused_before_it_is_asked(changes):
    good = WrappedBytes(WrapAlgorithm.HSM_AES_GCM, bytes(12), bytes(32), bytes(16))
    with pytest.raises(HsmRequestError):
        wrapping(OwnIvModule("caller", 12), "caller", 12).check(good._replace(**changes))
