"""Another key in the place of a Direct key, by somebody who has the user's PIN, is found out; real SoftHSM tokens."""

import pytest

from fixtures_token import softhsm_module
from fixtures_transport import joined
from fixtures_two_tokens import raw_session
from strongroom.core import (
    Deadline,
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmKeyNotFoundError,
    KeySpec,
    KeyUsage,
    SystemClock,
    random_bytes,
    transport_kind,
)
from strongroom.hsm.cluster._key_canary import make_key_canary, prove_key_canary
from strongroom.hsm.cryptoki import AesKeyGen, Attribute, GenericSecretKeyGen, KeyType, ObjectClass
from strongroom.hsm.token._direct_templates import secret_half

pytestmark = pytest.mark.softhsm

A = Attribute
AES = (KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)
MAC = (KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
EC = (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
BOTH = pytest.mark.parametrize("kind", [AES, MAC], ids=["AES", "HMAC"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with softhsm_module(tmp_path_factory.mktemp("softhsm")) as module:
        tokens = joined(module)
        yield tokens
        tokens.close()


class Use:
    """What ``make_key_canary`` asks of a member, on a token of this process."""

    def __init__(self, token):
        self._direct = token.direct

    async def mac(self, key, message, *, deadline):
        return self._direct.mac(key, message)

    async def encrypt(self, key, plaintext, aad, *, deadline):
        return self._direct.encrypt(key, plaintext, aad)

    async def decrypt(self, key, sealed, aad, *, deadline):
        return self._direct.decrypt(key, sealed, aad)


def soon():
    return Deadline.after(SystemClock(), 30)


def made(pair, kind, *, may_leave=True):
    key = HsmKey(HsmKeyId(random_bytes(16)), *kind)
    return key, pair.alpha.direct.generate(key, "k", may_leave=may_leave)


def copied(pair, key, spki):
    kind = transport_kind(key.spec)
    under = pair.names[kind]
    wrapped = pair.alpha.transport.wrap_out(key.key_id, kind, transport_id=under)
    pair.beta.transport.take_in_key(key, "k", transport_id=under, wrapped=wrapped, spki_der=spki)


def replace(pair, key, *, may_leave=True, **changes):
    """Put another key under the same names, by calls that any user of the token can make."""
    session = raw_session(pair.module, pair.alpha)
    (handle,) = pair.module.find_objects(session, {A.TOKEN: True, A.ID: bytes(key.key_id)})
    pair.module.destroy_object(session, handle)
    template = dict(secret_half(key, "direct-k", may_leave=may_leave, made_inside=True).template)
    template |= {A[name]: value for name, value in changes.items()}
    mechanism = AesKeyGen() if key.spec is KeySpec.AES_256 else GenericSecretKeyGen()
    pair.module.generate_key(session, mechanism, template)


@BOTH
async def test_the_same_key_passes_on_both_members_and_another_in_its_place_does_not(pair, kind):
    key, spki = made(pair, kind)
    canary = await make_key_canary(key, Use(pair.alpha), deadline=soon())
    copied(pair, key, spki)
    for token in (pair.alpha, pair.beta):
        await prove_key_canary(key, canary, Use(token), deadline=soon())
        assert token.direct.inspect(key, may_leave=True) == []
    replace(pair, key)
    assert pair.alpha.direct.inspect(key, may_leave=True) == [], "it looks like the one that was there"
    with pytest.raises(HsmIntegrityError):
        await prove_key_canary(key, canary, Use(pair.alpha), deadline=soon())
    await prove_key_canary(key, canary, Use(pair.beta), deadline=soon())


@pytest.mark.parametrize("kind", [AES, MAC, EC], ids=["AES", "HMAC", "EC"])
def test_a_key_that_may_not_leave_is_as_it_was_made_and_one_that_may_is_none_such(pair, kind):
    key, _ = made(pair, kind, may_leave=False)
    assert pair.alpha.direct.inspect(key, may_leave=False) == []
    assert pair.alpha.direct.inspect(key, may_leave=True) == ["CKA_EXTRACTABLE", "CKA_NEVER_EXTRACTABLE"]
    left, _ = made(pair, kind)
    assert pair.alpha.direct.inspect(left, may_leave=False) == ["CKA_EXTRACTABLE", "CKA_NEVER_EXTRACTABLE"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"SENSITIVE": False}, ["CKA_ALWAYS_SENSITIVE", "CKA_SENSITIVE"]),
        ({"WRAP_WITH_TRUSTED": False}, ["CKA_WRAP_WITH_TRUSTED"]),
        ({"WRAP": True, "MODIFIABLE": True}, ["CKA_MODIFIABLE", "CKA_WRAP"]),
        ({"COPYABLE": True}, ["CKA_COPYABLE"]),
    ],
    ids="-".join,
)
def test_what_was_made_more_open_is_named(pair, changes, found):
    key, _ = made(pair, AES)
    replace(pair, key, **changes)
    assert pair.alpha.direct.inspect(key, may_leave=True) == found


def test_a_key_that_came_from_outside_is_none_that_was_made_inside(pair):
    key, _ = made(pair, AES, may_leave=False)
    session = raw_session(pair.module, pair.alpha)
    (handle,) = pair.module.find_objects(session, {A.TOKEN: True, A.ID: bytes(key.key_id)})
    pair.module.destroy_object(session, handle)
    pair.module.create_object(
        session,
        {
            A.CLASS: ObjectClass.SECRET_KEY,
            A.KEY_TYPE: KeyType.AES,
            A.TOKEN: True,
            A.PRIVATE: True,
            A.ID: bytes(key.key_id),
            A.LABEL: "direct-k",
            A.VALUE: random_bytes(32),
            A.SENSITIVE: True,
            A.EXTRACTABLE: False,
        },
    )
    found = pair.alpha.direct.inspect(key, may_leave=False)
    assert {"CKA_LOCAL", "CKA_NEVER_EXTRACTABLE", "CKA_ALWAYS_SENSITIVE"} <= set(found)


def test_what_is_not_there_is_not_inspected(pair):
    with pytest.raises(HsmKeyNotFoundError):
        pair.alpha.direct.inspect(HsmKey(HsmKeyId(bytes(16)), *AES), may_leave=True)
