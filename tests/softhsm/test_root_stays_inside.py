"""No user of any token can get the root in clear, not even while it is being copied; on real SoftHSM tokens.

The state that is attacked is the worst there is: the root on alpha, beta's import pair on beta, its public half
trusted on alpha, and the PINs of both users, but of no security officer, in the attacker's hands.
"""

from typing import NamedTuple

import pytest

from fixtures_two_tokens import PAIR, ROOT_ID, new_token, opened, raw_session, trust
from strongroom.core import HsmError, HsmIntegrityError, RootId
from strongroom.hsm.cryptoki import (
    AesCbcPad,
    AesGcm,
    AesKeyGen,
    AesKeyWrap,
    AesKeyWrapPad,
    Attribute,
    CryptokiError,
    HashAlgorithm,
    KeyNotWrappableError,
    KeyType,
    Mechanism,
    Module,
    ObjectClass,
    RsaKeyPairGen,
    RsaOaep,
    RsaPkcs,
    TemplateInconsistentError,
)
from strongroom.hsm.cryptoki._declarations import ffi
from strongroom.hsm.token import KeyCheckValue, Token
from strongroom.hsm.token._templates import unwrapped_root

pytestmark = pytest.mark.softhsm

A = Attribute
OAEP = RsaOaep(HashAlgorithm.SHA1)
ROOT_TEMPLATE = dict(unwrapped_root(RootId(b"attacker's copy."), "copy").template)
SAID_BY_TEMPLATE = [name for name in ROOT_TEMPLATE if name not in (A.ID, A.LABEL)]


class RawRsa(Mechanism):
    """CKM_RSA_X_509: signing with it is decrypting."""

    number = 0x3


class EcbEncryptData(Mechanism):
    """CKM_AES_ECB_ENCRYPT_DATA of two blocks of zeros; its parameter is a pointer and a length."""

    number = 0x1104

    def build(self):
        data = ffi.new("CK_BYTE[32]")
        parameter = ffi.new("CK_ULONG[2]", (int(ffi.cast("uintptr_t", data)), 32))
        return ffi.new("CK_MECHANISM *", (self.number, parameter, ffi.sizeof(parameter))), parameter, data


class Attacked(NamedTuple):
    """Both tokens, with a raw session of the user in each."""

    module: Module
    alpha: Token
    beta: Token
    at_alpha: int
    at_beta: int
    check: KeyCheckValue

    def handle(self, session, cka_id, object_class):
        template = {A.ID: cka_id, A.CLASS: object_class}
        (handle,) = self.module.find_objects(session, template)
        return handle

    @property
    def root(self):
        return self.handle(self.at_alpha, ROOT_ID, ObjectClass.SECRET_KEY)

    @property
    def trusted(self):
        return self.handle(self.at_alpha, PAIR, ObjectClass.PUBLIC_KEY)

    @property
    def private(self):
        return self.handle(self.at_beta, PAIR, ObjectClass.PRIVATE_KEY)

    def stolen(self):
        """What alpha's user can take away while the trusted key stands."""
        return self.module.wrap_key(self.at_alpha, OAEP, wrapping_key=self.trusted, key=self.root)

    def unwrap(self, template, wrapped=None):
        return self.module.unwrap_key(
            self.at_beta,
            OAEP,
            unwrapping_key=self.private,
            wrapped=wrapped or self.stolen(),
            template=template,
        )


@pytest.fixture(scope="module")
def attacked(module):
    label, beta = new_token(module), opened(module, new_token(module))
    trust(module, label, PAIR, beta.generate_import_pair(PAIR, "import"))
    alpha = opened(module, label)
    check = alpha.generate_root(ROOT_ID, "root")
    yield Attacked(module, alpha, beta, raw_session(module, alpha), raw_session(module, beta), check)
    for token in (alpha, beta):
        token.close()


def test_what_the_template_asks_for_can_be_unwrapped_and_is_as_closed_as_the_root(attacked):
    copy = attacked.unwrap(ROOT_TEMPLATE)
    held = attacked.module.get_attributes(attacked.at_beta, copy, (*SAID_BY_TEMPLATE, A.VALUE))
    assert held == {name: ROOT_TEMPLATE[name] for name in SAID_BY_TEMPLATE}
    own = attacked.module.generate_key(
        attacked.at_beta, AesKeyGen(), {A.VALUE_LEN: 32, A.WRAP: True, A.TOKEN: False}
    )
    with pytest.raises(KeyNotWrappableError):
        attacked.module.wrap_key(attacked.at_beta, AesKeyWrap(), wrapping_key=own, key=copy)
    attacked.module.destroy_object(attacked.at_beta, copy)


def other_value(name):
    if name is A.CLASS:
        return ObjectClass.PRIVATE_KEY
    return KeyType.GENERIC_SECRET if name is A.KEY_TYPE else not ROOT_TEMPLATE[name]


@pytest.mark.parametrize("name", SAID_BY_TEMPLATE, ids=lambda name: name.name)
def test_the_root_is_not_unwrapped_with_any_attribute_other_than_a_roots(attacked, name):
    with pytest.raises(CryptokiError):
        attacked.unwrap({**ROOT_TEMPLATE, name: other_value(name)})


@pytest.mark.parametrize("name", SAID_BY_TEMPLATE, ids=lambda name: name.name)
def test_leaving_an_attribute_out_opens_nothing(attacked, name):
    template = {said: value for said, value in ROOT_TEMPLATE.items() if said is not name}
    try:
        copy = attacked.unwrap(template)
    except CryptokiError:
        return
    held = attacked.module.get_attributes(attacked.at_beta, copy, (*SAID_BY_TEMPLATE, A.VALUE))
    attacked.module.destroy_object(attacked.at_beta, copy)
    assert held == {said: ROOT_TEMPLATE[said] for said in SAID_BY_TEMPLATE}


def test_the_template_that_reads_a_root_in_clear_is_refused(attacked):
    wide_open = {A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: KeyType.GENERIC_SECRET, A.TOKEN: False,
                 A.SENSITIVE: False, A.EXTRACTABLE: True}  # fmt: skip
    for key_type in (KeyType.GENERIC_SECRET, KeyType.AES):
        with pytest.raises(TemplateInconsistentError):
            attacked.unwrap({**wide_open, A.KEY_TYPE: key_type})


def test_the_stolen_blob_is_opened_by_no_other_function_of_the_import_pair(attacked):
    module, session, private, stolen = (
        attacked.module, attacked.at_beta, attacked.private, attacked.stolen(),
    )  # fmt: skip
    with pytest.raises(CryptokiError):
        module.decrypt(session, OAEP, private, stolen)
    for mechanism in (RawRsa(), RsaPkcs()):
        with pytest.raises(CryptokiError):
            module.sign(session, mechanism, private, stolen[:200])
        with pytest.raises(CryptokiError):
            module.decrypt(session, mechanism, private, stolen)
        with pytest.raises(CryptokiError):
            module.unwrap_key(
                session,
                mechanism,
                unwrapping_key=private,
                wrapped=stolen,
                template={**ROOT_TEMPLATE, A.SENSITIVE: False},
            )


@pytest.mark.parametrize("victim", ["root", "trusted", "private"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {A.TOKEN: False},
        {A.SENSITIVE: False},
        {A.EXTRACTABLE: True},
        {A.WRAP_WITH_TRUSTED: False},
        {A.UNWRAP_TEMPLATE: {A.SENSITIVE: False}},
        {A.COPYABLE: True},
        {A.MODIFIABLE: True},
        {A.DECRYPT: True},
        {A.DERIVE: True},
        {A.SIGN: True},
        {A.WRAP: True},
        {A.TRUSTED: True},
        {A.LABEL: "renamed"},
    ],
    ids=lambda change: "+".join(name.name for name in change) or "nothing",
)
def test_nothing_is_copied_or_changed(attacked, victim, change):
    module = attacked.module
    session = attacked.at_beta if victim == "private" else attacked.at_alpha
    handle = getattr(attacked, victim)
    with pytest.raises(CryptokiError):
        module.copy_object(session, handle, change)
    if change:
        with pytest.raises(CryptokiError):
            module.set_attributes(session, handle, change)


def test_nothing_is_derived_from_the_root(attacked):
    open_key = {A.CLASS: ObjectClass.SECRET_KEY, A.KEY_TYPE: KeyType.GENERIC_SECRET, A.VALUE_LEN: 32,
                A.TOKEN: False, A.SENSITIVE: False, A.EXTRACTABLE: True}  # fmt: skip
    module, session = attacked.module, attacked.at_alpha
    own = module.generate_key(session, AesKeyGen(), {A.VALUE_LEN: 32, A.DERIVE: True, A.TOKEN: False})
    made = module.derive_key(session, EcbEncryptData(), base_key=own, template=open_key)
    assert A.VALUE in module.get_attributes(session, made, (A.VALUE,))  # it is a way, where it is open
    with pytest.raises(CryptokiError):
        module.derive_key(session, EcbEncryptData(), base_key=attacked.root, template=open_key)


def test_the_root_is_wrapped_under_no_key_that_a_user_makes(attacked):
    module, session, root = attacked.module, attacked.at_alpha, attacked.root
    own = module.generate_key(
        session, AesKeyGen(), {A.VALUE_LEN: 32, A.WRAP: True, A.ENCRYPT: True, A.TOKEN: False}
    )
    for mechanism in (AesKeyWrap(), AesKeyWrapPad(), AesCbcPad(bytes(16)), AesGcm(bytes(12))):
        with pytest.raises(CryptokiError):
            module.wrap_key(session, mechanism, wrapping_key=own, key=root)
    public = {A.MODULUS_BITS: 2048, A.WRAP: True, A.TOKEN: False, A.ID: b"own"}
    pair, _ = module.generate_key_pair(
        session, RsaKeyPairGen(), public=public, private={A.DECRYPT: True, A.UNWRAP: True, A.TOKEN: False}
    )
    with pytest.raises(KeyNotWrappableError):
        module.wrap_key(session, OAEP, wrapping_key=pair, key=root)
    with pytest.raises(CryptokiError):
        module.set_attributes(session, pair, {A.TRUSTED: True})
    with pytest.raises(CryptokiError):
        module.copy_object(session, pair, {A.TRUSTED: True})
    numbers = module.get_attributes(session, pair, (A.MODULUS, A.PUBLIC_EXPONENT))
    forged = {
        A.CLASS: ObjectClass.PUBLIC_KEY,
        A.KEY_TYPE: KeyType.RSA,
        A.WRAP: True,
        A.TRUSTED: True,
        A.TOKEN: False,
    }
    with pytest.raises(CryptokiError):
        module.create_object(session, {**forged, **numbers})
    with pytest.raises(CryptokiError):
        module.generate_key_pair(session, RsaKeyPairGen(), public={**public, A.TRUSTED: True}, private={})


def test_no_member_takes_its_import_pair_for_another_ones(attacked):
    """The private half does not leave, so that no token can be made to look like beta."""
    module, session = attacked.module, attacked.at_beta
    own = module.generate_key(session, AesKeyGen(), {A.VALUE_LEN: 32, A.WRAP: True, A.TOKEN: False})
    for mechanism in (AesKeyWrapPad(), AesCbcPad(bytes(16))):
        with pytest.raises(CryptokiError):
            module.wrap_key(session, mechanism, wrapping_key=own, key=attacked.private)


def test_a_token_that_drops_the_template_gets_no_import_pair(module, token, monkeypatch):
    generate = Module.generate_key_pair

    def forgetful(self, session, mechanism, *, public, private):
        kept = {name: value for name, value in private.items() if name is not A.UNWRAP_TEMPLATE}
        return generate(self, session, mechanism, public=public, private=kept)

    monkeypatch.setattr(Module, "generate_key_pair", forgetful)
    with pytest.raises(HsmError, match="CKA_UNWRAP_TEMPLATE"):
        token.generate_import_pair(b"pair", "import")
    assert token.list_objects() == []


def test_a_root_that_arrives_with_another_check_value_is_destroyed(attacked):
    other = KeyCheckValue(attacked.check.kind, f"{int(attacked.check.value, 16) ^ 1:06x}")
    with pytest.raises(HsmIntegrityError, match="another key check value"):
        attacked.beta.unwrap_in_root(
            ROOT_ID, "root", import_cka_id=PAIR, wrapped=attacked.stolen(), expected=other
        )
    assert not attacked.beta.has_root(ROOT_ID)
    assert {found.cka_id for found in attacked.beta.list_objects()} == {PAIR}
