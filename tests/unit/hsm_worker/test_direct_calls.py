"""Direct keys at a worker's two doors: uses need no approval, making and destroying do."""

import msgspec
import pytest

from fixtures_token import FakeModule, open_token
from strongroom.core import (
    ApprovalRequiredError,
    ClosedGate,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    OaepAlgorithm,
    SigningAlgorithm,
    WrapAlgorithm,
    WrappedBytes,
)
from strongroom.hsm.wire import (
    AdminCall,
    DestroyDirect,
    DirectDecrypt,
    DirectDecryptOaep,
    DirectDerive,
    DirectEncrypt,
    DirectMac,
    DirectPublicKey,
    DirectSign,
    GenerateDirect,
    HoldsDirect,
    Request,
    UseCall,
)
from strongroom.hsm.worker import TokenPerformer
from strongroom.testing import FakeHsm, FakePerformer, OpenGate


def key_of(spec, usage=None):
    return HsmKey(HsmKeyId(b"k" * 16), spec, usage or min(spec.usages))


AES, MAC = key_of(KeySpec.AES_256), key_of(KeySpec.HMAC_256)
SIGNING = key_of(KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
AGREEING = key_of(KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT)
USES = [
    DirectSign(SIGNING, SigningAlgorithm.ECDSA_SHA_256, bytes(32)),
    DirectMac(MAC, b"m"),
    DirectEncrypt(AES, b"m", b""),
    DirectDecrypt(AES, WrappedBytes(WrapAlgorithm.HSM_AES_GCM, bytes(12), b"c", bytes(16)), b""),
    DirectDecryptOaep(
        key_of(KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT), OaepAlgorithm.RSAES_OAEP_SHA_256, bytes(256)
    ),
    DirectDerive(AGREEING, b"spki"),
    DirectPublicKey(SIGNING),
]
CHANGES = [GenerateDirect(AES, "label", may_leave=True), DestroyDirect(AES)]
names = {"ids": lambda call: type(call).__name__}


@pytest.fixture
def performer():
    def make(gate):
        return TokenPerformer(open_token(FakeModule("a")), gate, use_limit_s=1, admin_limit_s=60)

    return make


@pytest.mark.parametrize("call", CHANGES, **names)
def test_what_changes_keys_needs_an_approval(performer, call):
    with pytest.raises(ApprovalRequiredError):
        performer(ClosedGate()).perform(call)
    with pytest.raises(ApprovalRequiredError):
        FakePerformer(FakeHsm("a"), ClosedGate()).perform(call)


@pytest.mark.parametrize("call", USES, **names)
def test_uses_need_none_and_have_the_limit_of_uses(performer, call):
    closed = performer(ClosedGate())
    with pytest.raises((HsmKeyNotFoundError, HsmRequestError)):  # there is no key, or no point in b"spki"
        closed.perform(call)
    assert closed.limit_s(call) == 1


def test_asking_whether_a_key_is_there_needs_none_but_is_no_use(performer):
    closed = performer(ClosedGate())
    assert closed.perform(HoldsDirect(AES)) is False
    assert closed.limit_s(HoldsDirect(AES)) == closed.limit_s(CHANGES[0]) == 60


@pytest.mark.parametrize("call", [*CHANGES, HoldsDirect(AES)], **names)
def test_the_use_socket_does_not_even_understand_admin_calls(call):
    encoded = msgspec.msgpack.encode([Request(1, 1.0, call)])
    assert msgspec.msgpack.decode(encoded, type=list[Request[AdminCall]])[0].call == call
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(encoded, type=list[Request[UseCall]])


@pytest.mark.parametrize("call", USES, **names)
def test_calls_arrive_as_they_were_sent(call):
    encoded = msgspec.msgpack.encode([Request(1, 1.0, call)])
    (arrived,) = msgspec.msgpack.decode(encoded, type=list[Request[UseCall]])
    assert arrived.call == call
    if not isinstance(call, DirectDecrypt):
        assert isinstance(arrived.call.key, HsmKey)
        assert arrived.call.key.spec is call.key.spec


@pytest.mark.parametrize(
    "key", [[b"k" * 16, "AES_512", "ENCRYPT_DECRYPT"], [b"k" * 16, "AES_256", "ALL"], [b"k" * 16, "AES_256"]]
)
def test_a_key_of_no_spec_or_usage_does_not_parse(key):
    encoded = msgspec.msgpack.encode([[1, 1.0, ["direct-mac", key, b"m"]]])
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(encoded, type=list[Request[UseCall]])


def test_a_fake_performs_the_life_of_a_key():
    performer = FakePerformer(FakeHsm("a"), OpenGate())
    assert performer.perform(GenerateDirect(MAC, "label", may_leave=True)) == b""
    assert performer.perform(HoldsDirect(MAC)) is True
    assert len(performer.perform(DirectMac(MAC, b"m"))) == 32
    performer.perform(DestroyDirect(MAC))
    assert performer.perform(HoldsDirect(MAC)) is False
    with pytest.raises(HsmKeyNotFoundError):
        performer.perform(DirectMac(MAC, b"m"))
