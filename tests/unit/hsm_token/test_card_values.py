"""Small values on people's cards, with SoftHSM as the card: kept in place of others, read with a login, destroyed."""

import pytest

from fixtures_softhsm import USER_PIN, loaded_softhsm
from strongroom.core import HsmRequestError, PinRefusedError, Secret
from strongroom.hsm.cryptoki import Attribute, ObjectClass, UserType
from strongroom.hsm.token import MAX_CARD_VALUE_BYTES, Card, CardSelector

PIN = Secret(USER_PIN)


@pytest.fixture
def card(tmp_path):
    with loaded_softhsm(tmp_path) as tokens:
        token = tokens.new()
        yield Card(tokens.module, CardSelector(token=token.label)), tokens.module, token


def _values(card, *named):
    return [(one.label, one.value.reveal()) for one in card.values(PIN, "app", *named)]


def test_a_value_takes_the_place_of_others_of_its_name(card):
    card, *_ = card
    card.keep_value(PIN, "app", "b", Secret(b"old"))
    card.keep_value(PIN, "app", "a", Secret(b"one"))
    card.keep_value(PIN, "other", "b", Secret(b"not ours"))
    card.keep_value(PIN, "app", "b", Secret(b"new"))
    assert _values(card) == [("a", b"one"), ("b", b"new")]
    card.keep_value(PIN, "app", "b", Secret(b"new"))
    assert _values(card, "b") == [("b", b"new")]
    assert "new" not in repr(card.values(PIN, "app"))
    assert card.destroy_value(PIN, "app", "b") == 1
    assert card.destroy_value(PIN, "app", "b") == 0
    assert _values(card) == [("a", b"one")]


def test_nobody_reads_a_value_without_a_login(card):
    card, module, token = card
    card.keep_value(PIN, "app", "a", Secret(b"secret"))
    session = module.open_session(token.slot)
    assert module.find_objects(session, {Attribute.CLASS: ObjectClass.DATA}, limit=5) == []
    module.login(session, UserType.USER, USER_PIN)
    assert len(module.find_objects(session, {Attribute.CLASS: ObjectClass.DATA}, limit=5)) == 1
    module.close_session(session)
    with pytest.raises(PinRefusedError):
        card.values(None, "app")


@pytest.mark.parametrize("size", [0, MAX_CARD_VALUE_BYTES + 1])
def test_values_have_bounds(card, size):
    with pytest.raises(HsmRequestError):
        card[0].keep_value(PIN, "app", "a", Secret(bytes(size)))
