"""A backup is one more target of transport keys: with the share key, and only so, everything that may leave comes in on a blank token."""

import hashlib
from types import SimpleNamespace

import pytest

from fixtures_two_tokens import new_token, opened, raw_session
from strongroom.core import (
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    RootId,
    Secret,
    TransportKind,
    new_backup_transport_id,
    random_bytes,
    transport_kind,
)
from strongroom.hsm.cryptoki import (
    AesKeyGen,
    AesKeyWrapPad,
    Attribute,
    AttributeValueInvalidError,
    CryptokiError,
    HashAlgorithm,
    KeyType,
    ObjectClass,
    RsaOaep,
)
from strongroom.hsm.public_keys import verify_signature
from strongroom.hsm.token import Role
from strongroom.hsm.token._transport_setup import TransportName

pytestmark = pytest.mark.softhsm

A = Attribute
SET_ID = random_bytes(16)
ROOT = RootId(random_bytes(16))
OFFER = b"a restore of all"
SPECS = {
    KeySpec.AES_256: KeyUsage.ENCRYPT_DECRYPT,
    KeySpec.HMAC_256: KeyUsage.GENERATE_VERIFY_MAC,
    KeySpec.RSA_2048: KeyUsage.SIGN_VERIFY,
    KeySpec.ECC_NIST_P256: KeyUsage.SIGN_VERIFY,
    KeySpec.ECC_NIST_P384: KeyUsage.KEY_AGREEMENT,
}


@pytest.fixture(scope="module")
def backed_up(module):
    """Two members whose root and Direct keys left under the transport keys of a set."""
    share_key = Secret(random_bytes(32))
    label = new_token(module)
    alpha = opened(module, label)
    pair = alpha.transport.make_backup_pair(share_key)
    left = alpha.list_objects()
    alpha.close()
    officer = opened(module, label, Role.SECURITY_OFFICER)
    names = [TransportName(new_backup_transport_id(SET_ID), kind) for kind in TransportKind]
    (blobs,) = officer.transport.make_keys(
        names, "backup-alpha", mechanism=pair.mechanism, targets=[pair.spki_der]
    )
    officer.close()
    alpha = opened(module, label)
    check = alpha.generate_root(ROOT, "root")
    ids = {kind: cka_id for cka_id, kind in names}
    root = alpha.transport.wrap_out(ROOT, TransportKind.AES, transport_id=ids[TransportKind.AES])
    keys = {}
    for spec, usage in SPECS.items():
        key = HsmKey(HsmKeyId(random_bytes(16)), spec, usage)
        spki = alpha.direct.generate(key, "k", may_leave=True)
        kind = transport_kind(spec)
        keys[spec] = (key, spki, alpha.transport.wrap_out(key.key_id, kind, transport_id=ids[kind]))
    yield SimpleNamespace(
        module=module, alpha=alpha, share_key=share_key, pair=pair, left=left, names=names, ids=ids, blobs=blobs,
        check=check, root=root, keys=keys, sealed=alpha.wrap(ROOT, Secret(b"an old secret"), b"aad"),
    )  # fmt: skip
    alpha.close()


@pytest.fixture
def blank(module):
    token = opened(module, new_token(module))
    yield token
    token.close()


def offer(token, backup, share_key=None, wrapped=None):
    return token.transport.offer_backup(
        OFFER,
        share_key or backup.share_key,
        wrapped or backup.pair.wrapped_private,
        mechanism=backup.pair.mechanism,
    )


def take(token, backup, blobs=None):
    token.transport.take_keys(
        OFFER, backup.names, "backup-alpha", mechanism=backup.pair.mechanism, wrapped=blobs or backup.blobs
    )


def test_root_and_keys_of_every_kind_come_in_on_a_blank_token_and_work_as_before(backed_up, blank):
    assert offer(blank, backed_up).spki_der == backed_up.pair.spki_der
    take(blank, backed_up)
    aes = backed_up.ids[TransportKind.AES]
    blank.transport.take_in_root(
        ROOT, "root", transport_id=aes, wrapped=backed_up.root, expected=backed_up.check
    )
    assert blank.unwrap(ROOT, backed_up.sealed, b"aad").matches(Secret(b"an old secret"))
    for spec, (key, spki, wrapped) in backed_up.keys.items():
        under = backed_up.ids[transport_kind(spec)]
        blank.transport.take_in_key(key, "k", transport_id=under, wrapped=wrapped, spki_der=spki)
    _works_as_before(backed_up, blank)
    blank.transport.end_offer(OFFER)
    for transport_id in backed_up.ids.values():
        blank.transport.destroy_key(transport_id)
    names = {summary.cka_id for summary in blank.list_objects()}
    assert names == {ROOT, *(key.key_id for key, _, _ in backed_up.keys.values())}


def _works_as_before(backup, blank):
    before, after = backup.alpha.direct, blank.direct
    aes, hmac, rsa, p256, p384 = (key for key, _, _ in backup.keys.values())
    assert after.decrypt(aes, before.encrypt(aes, Secret(b"text"), b""), b"").matches(Secret(b"text"))
    assert before.mac(hmac, b"message") == after.mac(hmac, b"message")
    digest = hashlib.sha256(b"message").digest()
    for key in (rsa, p256):
        spki = backup.keys[key.spec][1]
        algorithm = key.spec.signing_algorithms[0]
        verify_signature(key.spec, spki, algorithm, digest, after.sign(key, algorithm, digest))
    peer = backup.keys[p384.spec][1]
    assert before.derive(p384, peer).matches(after.derive(p384, peer))


def test_making_the_pair_leaves_nothing_on_the_token_nor_in_the_session(backed_up, blank, module):
    assert backed_up.left == []
    blank.transport.make_backup_pair(Secret(random_bytes(32)))
    session = raw_session(module, blank)
    assert module.find_objects(session, {}) == []
    assert blank.list_objects() == []


def test_a_token_that_takes_no_key_in_clear_does_the_same(backed_up, blank, module, monkeypatch):
    made = module.create_object

    def refuse(session, template):
        if template[A.CLASS] is ObjectClass.SECRET_KEY:
            raise AttributeValueInvalidError(function="C_CreateObject")
        return made(session, template)

    monkeypatch.setattr(module, "create_object", refuse)
    pair = blank.transport.make_backup_pair(backed_up.share_key)
    session = raw_session(module, blank)
    assert module.find_objects(session, {}) == []
    opened = blank.transport.offer_backup(
        OFFER, backed_up.share_key, pair.wrapped_private, mechanism=pair.mechanism
    )
    assert opened.spki_der == pair.spki_der
    assert len(module.find_objects(session, {})) == 1
    offer(blank, backed_up)
    take(blank, backed_up)
    with pytest.raises(HsmIntegrityError):
        offer(blank, backed_up, share_key=Secret(bytes(32)))


def test_another_share_key_opens_nothing(backed_up, blank, module):
    other = bytearray(backed_up.share_key.reveal())
    other[31] ^= 1
    with pytest.raises(HsmIntegrityError, match="another set"):
        offer(blank, backed_up, share_key=Secret(other))
    with pytest.raises(HsmRequestError, match="no such offer"):
        take(blank, backed_up)
    assert module.find_objects(raw_session(module, blank), {}) == []
    assert not blank.is_broken


@pytest.mark.parametrize("at", [0, 7, 8, 600, -1])
def test_a_changed_private_half_does_not_open(backed_up, blank, at):
    changed = bytearray(backed_up.pair.wrapped_private)
    changed[at] ^= 1
    with pytest.raises(HsmIntegrityError, match="does not open"):
        offer(blank, backed_up, wrapped=bytes(changed))
    with pytest.raises(HsmIntegrityError, match="does not open"):
        offer(blank, backed_up, wrapped=backed_up.pair.wrapped_private[:-8])


@pytest.mark.parametrize("which", range(len(TransportKind)))
def test_a_changed_transport_key_is_not_taken_in_and_no_other_stays(backed_up, blank, which):
    offer(blank, backed_up)
    blobs = list(backed_up.blobs)
    blobs[which] = blobs[which][:-1] + bytes([blobs[which][-1] ^ 1])
    with pytest.raises(Exception, match="taking transport keys in"):
        take(blank, backed_up, blobs)
    assert blank.list_objects() == []


def test_a_changed_root_is_not_taken_in(backed_up, blank):
    offer(blank, backed_up)
    take(blank, backed_up)
    before = blank.list_objects()
    changed = bytes([backed_up.root[0] ^ 1]) + backed_up.root[1:]
    with pytest.raises(Exception, match="taking a root in"):
        blank.transport.take_in_root(
            ROOT,
            "root",
            transport_id=backed_up.ids[TransportKind.AES],
            wrapped=changed,
            expected=backed_up.check,
        )
    assert blank.list_objects() == before


def test_the_opened_private_half_only_unwraps_and_only_to_closed_transport_keys(backed_up, blank, module):
    offer(blank, backed_up)
    session = raw_session(module, blank)
    (private,) = module.find_objects(session, {})
    secret = (A.PRIVATE_EXPONENT, A.PRIME_1, A.PRIME_2, A.EXPONENT_1, A.COEFFICIENT)
    assert module.get_attributes(session, private, secret) == {}
    assert module.get_attributes(
        session, private, (A.TOKEN, A.SENSITIVE, A.EXTRACTABLE, A.MODIFIABLE, A.COPYABLE)
    ) == {A.TOKEN: False, A.SENSITIVE: True, A.EXTRACTABLE: False, A.MODIFIABLE: False, A.COPYABLE: False}
    own = module.generate_key(session, AesKeyGen(), {A.VALUE_LEN: 32, A.WRAP: True, A.TOKEN: False})
    oaep = RsaOaep(HashAlgorithm.SHA1)
    open_key = {A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: KeyType.AES, A.TOKEN: False,
                A.SENSITIVE: False, A.EXTRACTABLE: True}  # fmt: skip
    attempts = [
        lambda: module.wrap_key(session, AesKeyWrapPad(), wrapping_key=own, key=private),
        lambda: module.decrypt(session, oaep, private, backed_up.blobs[0]),
        lambda: module.unwrap_key(
            session, oaep, unwrapping_key=private, wrapped=backed_up.blobs[0], template=open_key
        ),
        lambda: module.set_attributes(session, private, {A.DECRYPT: True}),
        lambda: module.set_attributes(session, private, {A.EXTRACTABLE: True}),
        lambda: module.copy_object(session, private, {A.TOKEN: True}),
    ]
    for attempt in attempts:
        with pytest.raises(CryptokiError):
            attempt()
    blank.transport.end_offer(OFFER)
    assert module.find_objects(session, {A.CLASS: ObjectClass.PRIVATE_KEY}) == []


def test_transport_keys_of_a_set_wrap_only_what_may_leave(backed_up):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    backed_up.alpha.direct.generate(key, "k", may_leave=False)
    with pytest.raises(HsmRequestError, match="never to leave"):
        backed_up.alpha.transport.wrap_out(
            key.key_id, TransportKind.EC, transport_id=backed_up.ids[TransportKind.EC]
        )


def test_pairs_are_for_users_and_for_share_keys_of_256_bits(backed_up, module):
    officer = opened(module, new_token(module), Role.SECURITY_OFFICER)
    with pytest.raises(HsmRequestError, match="user"):
        officer.transport.make_backup_pair(backed_up.share_key)
    officer.close()
    with pytest.raises(HsmRequestError, match="32 bytes"):
        backed_up.alpha.transport.make_backup_pair(Secret(bytes(16)))
    with pytest.raises(HsmRequestError, match="mechanism"):
        backed_up.alpha.transport.offer_backup(
            OFFER, backed_up.share_key, backed_up.pair.wrapped_private, mechanism=1
        )
