"""Import pairs and trusted keys are destroyed for certain, and nothing else with them; on real SoftHSM tokens."""

import shutil

import pytest

from fixtures_token import softhsm_module
from fixtures_two_tokens import PAIR, PROFILE, ROOT_ID, new_token, opened, raw_session, trust
from strongroom.config import Home
from strongroom.core import HsmError, HsmKeyNotFoundError, HsmRequestError, RootId, Secret, TransportKind
from strongroom.hsm.cryptoki import (
    AesKeyGen,
    Attribute,
    KeyType,
    Module,
    ObjectClass,
    RsaKeyPairGen,
)
from strongroom.hsm.token import Role, Token, TokenSelector
from strongroom.wiring.cluster_setup import MEMBER_NAMES

pytestmark = pytest.mark.softhsm

A = Attribute


def test_once_the_import_keys_are_destroyed_neither_pin_nor_a_stolen_blob_is_of_use(module):
    label, beta = new_token(module), opened(module, new_token(module))
    trust(module, label, PAIR, beta.generate_import_pair(PAIR, "import"))
    alpha = opened(module, label)
    check = alpha.generate_root(ROOT_ID, "root")
    stolen = alpha.wrap_out_root(ROOT_ID, wrapping_cka_id=PAIR)
    beta.unwrap_in_root(ROOT_ID, "root", import_cka_id=PAIR, wrapped=stolen, expected=check)

    alpha.destroy_trusted_public(PAIR)
    beta.destroy_import_pair(PAIR)
    for token in (alpha, beta):
        assert [(found.object_class, found.cka_id) for found in token.list_objects()] == [
            ("secret_key", ROOT_ID)
        ]
    with pytest.raises(HsmKeyNotFoundError):
        alpha.wrap_out_root(ROOT_ID, wrapping_cka_id=PAIR)
    with pytest.raises(HsmKeyNotFoundError):
        beta.unwrap_in_root(
            RootId(b"another one, new"), "root", import_cka_id=PAIR, wrapped=stolen, expected=check
        )
    session = raw_session(module, beta)
    assert module.find_objects(session, {A.CLASS: ObjectClass.PRIVATE_KEY}) == []
    alpha.close()
    beta.close()


def test_destroying_an_import_pair_spares_everything_else_of_the_same_id(module, token):
    session = raw_session(module, token)
    token.generate_import_pair(b"pair", "import")
    module.generate_key_pair(
        session, RsaKeyPairGen(),
        public={A.MODULUS_BITS: 2048, A.TOKEN: True, A.ID: b"pair", A.VERIFY: True, A.WRAP: False, A.ENCRYPT: False},
        private={A.TOKEN: True, A.ID: b"pair", A.SIGN: True, A.UNWRAP: False, A.DECRYPT: False},
    )  # fmt: skip
    module.generate_key(session, AesKeyGen(), {A.VALUE_LEN: 32, A.TOKEN: True, A.ID: b"pair"})
    with pytest.raises(HsmKeyNotFoundError, match="trusted public key"):
        token.destroy_trusted_public(b"pair")
    token.destroy_import_pair(b"pair")
    assert sorted(found.object_class for found in token.list_objects()) == [
        "private_key", "public_key", "secret_key",
    ]  # fmt: skip
    with pytest.raises(HsmKeyNotFoundError, match="import pair with CKA_ID 70616972"):
        token.destroy_import_pair(b"pair")


def test_half_an_import_pair_is_destroyed_too(module, token):
    token.generate_import_pair(b"pair", "import")
    session = raw_session(module, token)
    (private,) = module.find_objects(session, {A.CLASS: ObjectClass.PRIVATE_KEY})
    module.destroy_object(session, private)
    token.destroy_import_pair(b"pair")
    assert token.list_objects() == []


def test_every_trusted_key_of_an_id_is_destroyed_by_either_role(module, token):
    spki = token.generate_import_pair(b"pair", "import")
    numbers = module.get_attributes(
        session := raw_session(module, token),
        module.find_objects(session, {A.CLASS: ObjectClass.PUBLIC_KEY})[0],
        (A.MODULUS, A.PUBLIC_EXPONENT),
    )
    label = new_token(module)
    for role in Role:
        trust(module, label, b"pair", spki)
        officer = opened(module, label, Role.SECURITY_OFFICER)
        module.create_object(raw_session(module, officer), {
            A.CLASS: ObjectClass.PUBLIC_KEY, A.KEY_TYPE: KeyType.RSA, A.TOKEN: True, A.PRIVATE: False,
            A.ID: b"pair", A.TRUSTED: True, A.WRAP: True, **numbers,
        })  # fmt: skip
        assert len(officer.list_objects()) == 2
        officer.close()
        who = opened(module, label, role)
        who.destroy_trusted_public(b"pair")
        assert who.list_objects() == []
        who.close()


def test_the_security_officer_is_not_told_that_a_pair_it_cannot_see_is_gone(module):
    officer = opened(module, new_token(module), Role.SECURITY_OFFICER)
    with pytest.raises(HsmRequestError, match="only the token's user"):
        officer.destroy_import_pair(b"pair")
    officer.close()


def test_a_token_that_only_says_that_it_destroyed_something_is_found_out(module, token, monkeypatch):
    token.generate_import_pair(b"pair", "import")
    monkeypatch.setattr(Module, "destroy_object", lambda *_: None)
    with pytest.raises(HsmError, match="still shows it"):
        token.destroy_import_pair(b"pair")


def test_a_lost_login_makes_no_pair_look_absent_it_is_restored_first(module, token):
    token.generate_import_pair(b"pair", "import")
    module.logout(raw_session(module, token))
    token.destroy_import_pair(b"pair")
    assert token.recoveries.logins == 1
    with pytest.raises(HsmKeyNotFoundError):
        token.destroy_import_pair(b"pair")


@pytest.mark.parametrize("member", MEMBER_NAMES)
def test_a_home_that_init_made_holds_the_root_and_transport_keys_and_nothing_else(
    initialised_home, tmp_path, member
):
    home = Home(initialised_home)
    shutil.copytree(home.tokens / member, tmp_path / "tokens")
    own = {f"transport-{member}-{kind}" for kind in TransportKind}
    all_of_them = {f"transport-{name}-{kind}" for name in MEMBER_NAMES for kind in TransportKind}
    with softhsm_module(tmp_path) as module:
        for role, file, held in (
            (Role.USER, member, {"strongroom-root", *all_of_them}),
            (Role.SECURITY_OFFICER, f"{member}-so", own),
        ):
            pin = Secret((home.pins / file).read_bytes())
            selector = TokenSelector(label=f"strongroom-{member}")
            token = Token.open(module, selector, pin, profile=PROFILE, role=role)
            found = token.list_objects()
            token.close()
            assert {one.label for one in found} == held
            assert {one.object_class for one in found} == {"secret_key"}
            assert len(found) == len(held)
