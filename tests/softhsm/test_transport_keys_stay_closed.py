"""With transport keys standing, no user of any token gets a root or a Direct key in clear; on real SoftHSM tokens.

The attacker has the PINs of both users, but of no security officer, and may call anything. On alpha are a root,
Direct keys and its own transport keys; beta has alpha's, to unwrap under. ``stolen`` is what alpha's user can
take away: the root, wrapped.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from fixtures_transport import PAD, joined
from fixtures_two_tokens import ROOT_ID, raw_session
from strongroom.core import (
    HsmKey,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    RootId,
    Secret,
    TransportKind,
    random_bytes,
)
from strongroom.hsm.cryptoki import (
    AesCbc,
    AesCbcPad,
    AesCmac,
    AesEcb,
    AesGcm,
    AesKeyGen,
    AesKeyWrap,
    AesKeyWrapPad,
    Attribute,
    CryptokiError,
    HashAlgorithm,
    KeyType,
    Mechanism,
    ObjectClass,
    RsaKeyPairGen,
    RsaOaep,
)
from strongroom.hsm.cryptoki._declarations import ffi
from strongroom.hsm.token._direct_templates import secret_half
from strongroom.hsm.token._templates import unwrapped_root
from strongroom.hsm.token._transport_templates import arriving

pytestmark = pytest.mark.softhsm

A = Attribute
SECRET = ObjectClass.SECRET_KEY
SOME_OF_EACH = {
    TransportKind.MAC: (KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC),
    TransportKind.RSA: (KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT),
    TransportKind.EC: (KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY),
}
IN_FULL = [
    AesEcb(),
    AesCbc(bytes(16)),
    AesCbcPad(bytes(16)),
    AesGcm(bytes(12)),
    AesCmac(),
    AesKeyWrap(),
    AesKeyWrapPad(),
]


@dataclass(frozen=True)
class Bare(Mechanism):
    """Any CKM_ number without a parameter."""

    bare_number: int

    @property
    def number(self):
        return self.bare_number


class EcbEncryptData(Mechanism):
    """CKM_AES_ECB_ENCRYPT_DATA of two blocks of zeros; its parameter is a pointer and a length."""

    number = 0x1104

    def build(self):
        data = ffi.new("CK_BYTE[32]")
        parameter = ffi.new("CK_ULONG[2]", (int(ffi.cast("uintptr_t", data)), 32))
        return ffi.new("CK_MECHANISM *", (self.number, parameter, ffi.sizeof(parameter))), parameter, data


@pytest.fixture(scope="module")
def attacked(module):
    pair = joined(module)
    pair.alpha.generate_root(ROOT_ID, "root")
    at_alpha, at_beta = raw_session(module, pair.alpha), raw_session(module, pair.beta)

    def find(session, cka_id, object_class=SECRET):
        (handle,) = module.find_objects(session, {A.ID: bytes(cka_id), A.CLASS: object_class})
        return handle

    own = {kind: find(at_alpha, cka_id) for kind, cka_id in pair.names.items()}
    theirs = {kind: find(at_beta, cka_id) for kind, cka_id in pair.names.items()}
    root = find(at_alpha, ROOT_ID)
    direct, blobs = {}, {}
    for kind, (spec, usage) in SOME_OF_EACH.items():
        key = HsmKey(HsmKeyId(random_bytes(16)), spec, usage)
        pair.alpha.direct.generate(key, "k", may_leave=True)
        direct[kind] = (key, find(at_alpha, key.key_id, ObjectClass.PRIVATE_KEY if spec.is_pair else SECRET))
        blobs[kind] = module.wrap_key(at_alpha, AesKeyWrapPad(), wrapping_key=own[kind], key=direct[kind][1])
    blobs[TransportKind.AES] = module.wrap_key(
        at_alpha, AesKeyWrapPad(), wrapping_key=own[TransportKind.AES], key=root
    )
    numbers = module.mechanisms(module.session_info(at_alpha).slot)
    yield SimpleNamespace(
        module=module, pair=pair, at_alpha=at_alpha, at_beta=at_beta, own=own, theirs=theirs, root=root,
        direct=direct, blobs=blobs, mechanisms=[*map(Bare, sorted(numbers)), *IN_FULL],
    )  # fmt: skip
    pair.close()


def template_of(attacked, kind):
    """What the token takes in under a transport key of this kind."""
    if kind is TransportKind.AES:
        return dict(unwrapped_root(RootId(random_bytes(16)), "copy").template)
    key = attacked.direct[kind][0]._replace(key_id=HsmKeyId(random_bytes(16)))
    return dict(secret_half(key, "direct-copy", may_leave=True, made_inside=False).template)


def unwrap(attacked, kind, template, *, blob=None, mechanism=None):
    return attacked.module.unwrap_key(
        attacked.at_beta,
        mechanism or AesKeyWrapPad(),
        unwrapping_key=attacked.theirs[kind],
        wrapped=blob or attacked.blobs[kind],
        template=template,
    )


KINDS = [TransportKind.AES, *SOME_OF_EACH]


@pytest.mark.parametrize("kind", KINDS)
def test_what_arrives_is_closed_and_leaves_no_other_way(attacked, kind):
    module, session = attacked.module, attacked.at_beta
    copy = unwrap(attacked, kind, template_of(attacked, kind))
    held = module.get_attributes(session, copy, (*arriving(kind), A.VALUE, A.PRIVATE_EXPONENT))
    assert held == dict(arriving(kind))
    own = module.generate_key(session, AesKeyGen(), {A.VALUE_LEN: 32, A.WRAP: True, A.TOKEN: False})
    for wrapping_key in (own, *attacked.theirs.values()):
        for mechanism in attacked.mechanisms:
            with pytest.raises(CryptokiError):
                module.wrap_key(session, mechanism, wrapping_key=wrapping_key, key=copy)
    module.destroy_object(session, copy)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in KINDS for name in arriving(kind)], ids=str
)
def test_nothing_arrives_with_an_attribute_changed_or_left_out(attacked, kind, name):
    template = template_of(attacked, kind)
    others = {A.CLASS: ObjectClass.DATA, A.KEY_TYPE: KeyType.DES3}
    for value in {
        others.get(name, not template[name]),
        KeyType.GENERIC_SECRET if name is A.KEY_TYPE else None,
    }:
        if value is not None and value != template[name]:
            with pytest.raises(CryptokiError):
                unwrap(attacked, kind, {**template, name: value})
    del template[name]
    try:
        copy = unwrap(attacked, kind, template)
    except CryptokiError:
        return
    held = attacked.module.get_attributes(attacked.at_beta, copy, (*arriving(kind), A.VALUE))
    attacked.module.destroy_object(attacked.at_beta, copy)
    assert held == dict(arriving(kind))  # SoftHSM fills CKA_PRIVATE in by itself


@pytest.mark.parametrize("kind", KINDS)
def test_a_blob_is_unwrapped_under_no_key_of_another_kind_and_by_no_other_mechanism(attacked, kind):
    for other in TransportKind:
        for shape in KINDS:
            if other is not kind:
                with pytest.raises(CryptokiError):
                    unwrap(attacked, other, template_of(attacked, shape), blob=attacked.blobs[kind])
    for mechanism in attacked.mechanisms:
        if mechanism.number != PAD:
            with pytest.raises(CryptokiError):
                unwrap(attacked, kind, template_of(attacked, kind), mechanism=mechanism)


@pytest.mark.parametrize("where", ["own", "theirs"])
@pytest.mark.parametrize("kind", list(TransportKind))
def test_a_transport_key_does_nothing_but_its_half(attacked, where, kind):
    module = attacked.module
    session = attacked.at_alpha if where == "own" else attacked.at_beta
    key = getattr(attacked, where)[kind]
    blob = attacked.blobs[TransportKind.AES]
    open_key = {A.CLASS: SECRET, A.KEY_TYPE: KeyType.GENERIC_SECRET, A.VALUE_LEN: 32, A.TOKEN: False,
                A.SENSITIVE: False, A.EXTRACTABLE: True}  # fmt: skip
    for mechanism in (*attacked.mechanisms, EcbEncryptData()):
        for call in (module.encrypt, module.decrypt, module.sign):
            with pytest.raises(CryptokiError):
                call(session, mechanism, key, blob[:32])
        with pytest.raises(CryptokiError):
            module.derive_key(session, mechanism, base_key=key, template=open_key)
    if where == "own":
        with pytest.raises(CryptokiError):
            module.unwrap_key(session, AesKeyWrapPad(), unwrapping_key=key, wrapped=blob, template=open_key)
    assert A.VALUE not in module.get_attributes(session, key, (A.VALUE,))


@pytest.mark.parametrize("kind", list(TransportKind))
def test_own_transport_keys_wrap_their_kind_by_their_mechanism_and_never_each_other(attacked, kind):
    module, session, own = attacked.module, attacked.at_alpha, attacked.own
    victims = {TransportKind.AES: attacked.root} | {k: handle for k, (_, handle) in attacked.direct.items()}
    for victim_kind, victim in victims.items():
        for mechanism in attacked.mechanisms:
            if victim_kind is kind and mechanism.number == PAD:
                continue
            with pytest.raises(CryptokiError):
                module.wrap_key(session, mechanism, wrapping_key=own[kind], key=victim)
    for other in own.values():
        for mechanism in attacked.mechanisms:
            with pytest.raises(CryptokiError):
                module.wrap_key(session, mechanism, wrapping_key=own[kind], key=other)


@pytest.mark.parametrize("where", ["own", "theirs"])
def test_transport_keys_do_not_leave_under_a_users_own_keys(attacked, where):
    module = attacked.module
    session = attacked.at_alpha if where == "own" else attacked.at_beta
    own = module.generate_key(
        session, AesKeyGen(), {A.VALUE_LEN: 32, A.WRAP: True, A.ENCRYPT: True, A.TOKEN: False}
    )
    public, _ = module.generate_key_pair(
        session,
        RsaKeyPairGen(),
        public={A.MODULUS_BITS: 2048, A.WRAP: True, A.TOKEN: False},
        private={A.TOKEN: False},
    )
    for key in getattr(attacked, where).values():
        for mechanism in attacked.mechanisms:
            with pytest.raises(CryptokiError):
                module.wrap_key(session, mechanism, wrapping_key=own, key=key)
        with pytest.raises(CryptokiError):
            module.wrap_key(session, RsaOaep(HashAlgorithm.SHA1), wrapping_key=public, key=key)


@pytest.mark.parametrize("where", ["own", "theirs"])
@pytest.mark.parametrize(
    "change",
    [{}, {A.TOKEN: False}, {A.PRIVATE: True}, {A.PRIVATE: False}, {A.SENSITIVE: False}, {A.EXTRACTABLE: True},
     {A.WRAP_WITH_TRUSTED: False}, {A.UNWRAP_TEMPLATE: {A.SENSITIVE: False}}, {A.WRAP_TEMPLATE: {A.TOKEN: True}},
     {A.ALLOWED_MECHANISMS: (0x2109,)}, {A.COPYABLE: True}, {A.MODIFIABLE: True}, {A.DECRYPT: True},
     {A.ENCRYPT: True}, {A.DERIVE: True}, {A.SIGN: True}, {A.WRAP: True}, {A.UNWRAP: True}, {A.TRUSTED: True},
     {A.TRUSTED: False}, {A.LABEL: "renamed"}],
    ids=lambda change: "+".join(name.name for name in change) or "nothing",
)  # fmt: skip
def test_no_transport_key_is_copied_or_changed(attacked, where, change):
    module = attacked.module
    session = attacked.at_alpha if where == "own" else attacked.at_beta
    for key in getattr(attacked, where).values():
        with pytest.raises(CryptokiError):
            module.copy_object(session, key, change)
        if change:
            with pytest.raises(CryptokiError):
                module.set_attributes(session, key, change)


def test_no_user_makes_a_trusted_key_of_his_own(attacked):
    module, session = attacked.module, attacked.at_alpha
    wanted = {A.CLASS: SECRET, A.KEY_TYPE: KeyType.AES, A.WRAP: True, A.TRUSTED: True, A.TOKEN: False}
    with pytest.raises(CryptokiError):
        module.generate_key(session, AesKeyGen(), {**wanted, A.VALUE_LEN: 32})
    with pytest.raises(CryptokiError):
        module.create_object(session, {**wanted, A.VALUE: bytes(32)})
    plain = module.generate_key(session, AesKeyGen(), {A.VALUE_LEN: 32, A.WRAP: True, A.TOKEN: False})
    for call in (module.copy_object, module.set_attributes):
        with pytest.raises(CryptokiError):
            call(session, plain, {A.TRUSTED: True})
    unwrapping = module.generate_key(
        session,
        AesKeyGen(),
        {A.VALUE_LEN: 32, A.WRAP: True, A.UNWRAP: True, A.TOKEN: False, A.EXTRACTABLE: True},
    )
    blob = module.wrap_key(session, AesKeyWrap(), wrapping_key=unwrapping, key=unwrapping)
    with pytest.raises(CryptokiError):
        module.unwrap_key(session, AesKeyWrap(), unwrapping_key=unwrapping, wrapped=blob, template=wanted)


def test_the_root_still_works_after_all_that(attacked):
    sealed = attacked.pair.alpha.wrap(ROOT_ID, Secret(b"a key"), b"")
    assert attacked.pair.alpha.unwrap(ROOT_ID, sealed, b"").matches(Secret(b"a key"))
