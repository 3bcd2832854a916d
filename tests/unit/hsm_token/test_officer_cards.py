"""Smart cards of officers, with SoftHSM as the card: which key, which login, and what is never tried."""

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fixtures_softhsm import USER_PIN, loaded_softhsm
from officer_tools import make_card_keys
from strongroom.core import HsmError, HsmRequestError, PinRefusedError, Secret, TokenNotFoundError
from strongroom.hsm.cryptoki import TokenFlag
from strongroom.hsm.token import Card, CardSelector

PIN = Secret(USER_PIN)
NONE = TokenFlag(0)
DATA = b"SSHSIG and more"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    with loaded_softhsm(tmp_path_factory.mktemp("cards")) as loaded:
        make_card_keys(loaded.module, loaded.new())
        loaded.new()
        yield loaded


class SaysFlags:
    """A module whose tokens say some flags more."""

    def __init__(self, module, flags, *, without=NONE):
        self._module = module
        self._flags = flags
        self._without = without

    def token_info(self, slot):
        info = self._module.token_info(slot)
        return info._replace(flags=(info.flags | self._flags) & ~self._without)

    def login(self, session, user, pin):
        if TokenFlag.PROTECTED_AUTHENTICATION_PATH in self._flags:
            assert pin is None
            pin = USER_PIN  # typed at the reader
        self._module.login(session, user, pin)

    def __getattr__(self, name):
        return getattr(self._module, name)


def _verify(key, signature):
    public = load_der_public_key(key.spki_der)
    if isinstance(public, ec.EllipticCurvePublicKey):
        numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        prehashed = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        public.verify(utils.encode_dss_signature(*numbers), hashlib.sha256(DATA).digest(), prehashed)
    else:
        public.verify(signature, DATA)


@pytest.mark.parametrize(
    "named", [{"key_label": "sign"}, {"key_id": b"\x02"}, {"key_label": "each-time", "key_id": b"\x03"}]
)
def test_each_key_of_a_kind_that_officers_use_signs(tokens, named):
    card = Card(tokens.module, CardSelector(token="token 1", **named))
    key, signature = card.sign(PIN, DATA)
    assert card.fits(key)
    _verify(key, signature)
    with pytest.raises(InvalidSignature):
        _verify(key, bytes(64))


def test_public_halves_are_shown_without_a_login_and_other_kinds_not_at_all(tokens):
    card = Card(tokens.module, CardSelector(token="token 1"))
    assert [key.label for key in card.keys(None, logs_in=False)] == ["sign", "edwards", "each-time"]
    assert not card.has_pin_pad
    assert card.identity.label == "token 1"


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (CardSelector(token="another"), "no cards fit; the library shows: 'token 1'"),
        (CardSelector(), r"^\d cards fit"),
        (CardSelector(token="token 1", serial="00"), "no cards fit"),
        (CardSelector(token="token 1", model="x"), "no cards fit"),
        (CardSelector(token="token 1", manufacturer="x"), "no cards fit"),
    ],
)
def test_exactly_one_card_must_fit(tokens, selector, words):
    with pytest.raises(TokenNotFoundError, match=words):
        Card(tokens.module, selector)


@pytest.mark.parametrize(
    ("named", "words"),
    [({}, "3 keys on the card fit"), ({"key_label": "other"}, "no keys"), ({"key_id": b"\x09"}, "no keys")],
)
def test_exactly_one_key_must_fit(tokens, named, words):
    with pytest.raises(HsmRequestError, match=words):
        Card(tokens.module, CardSelector(token="token 1", **named)).sign(PIN, DATA)


@pytest.mark.parametrize(
    ("flag", "without"),
    [
        (TokenFlag.USER_PIN_LOCKED, NONE),
        (TokenFlag.USER_PIN_FINAL_TRY, NONE),
        (NONE, TokenFlag.USER_PIN_INITIALIZED),
    ],
)
def test_a_login_that_could_lock_the_card_is_not_tried(tokens, flag, without):
    module = SaysFlags(tokens.module, flag, without=without)
    card = Card(module, CardSelector(token="token 1", key_label="sign"))
    module.login = None  # calling it would fail otherwise
    with pytest.raises(PinRefusedError):
        card.sign(PIN, DATA)
    with pytest.raises(PinRefusedError):
        card.check_login()


def test_a_wrong_pin_and_none_are_refused_and_the_card_tells_of_it_later(tokens):
    token = tokens.new()
    make_card_keys(tokens.module, token)
    selector = CardSelector(token=token.label, key_label="sign")
    card = Card(tokens.module, selector)
    assert not card.was_pin_wrong
    with pytest.raises(PinRefusedError, match="CKR_PIN_INCORRECT"):
        card.sign(Secret(b"wrong-pin"), DATA)
    with pytest.raises(PinRefusedError, match="wants a PIN"):
        card.sign(None, DATA)
    assert Card(tokens.module, selector).was_pin_wrong


def test_at_a_pin_pad_no_pin_is_given(tokens):
    module = SaysFlags(tokens.module, TokenFlag.PROTECTED_AUTHENTICATION_PATH)
    card = Card(module, CardSelector(token="token 1", key_label="each-time"))
    assert card.has_pin_pad
    key, signature = card.sign(None, DATA)
    _verify(key, signature)


def test_a_card_that_lost_its_secret_half_or_has_it_twice_says_so(tokens):
    token = tokens.new()
    make_card_keys(tokens.module, token, twice=True)
    card = Card(tokens.module, CardSelector(token=token.label, key_label="sign"))
    with pytest.raises(HsmError, match=r"2 secret halves|2 keys"):
        card.sign(Secret(token.user_pin), DATA)
