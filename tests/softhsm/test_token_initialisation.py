"""Blank tokens get a label, a security officer and a user; a token that is initialised is never touched."""

import pytest

from fixtures_token import softhsm_module
from strongroom.core import HsmRequestError, PinRefusedError, Secret
from strongroom.hsm.cryptoki import TokenFlag
from strongroom.hsm.token import TokenSelector, make_token, set_user_pin

pytestmark = pytest.mark.softhsm

SO, USER, OTHER = Secret(b"officer-1234"), Secret(b"user-1234"), Secret(b"another-1234")


@pytest.fixture
def module(tmp_path):
    with softhsm_module(tmp_path) as loaded:
        yield loaded


def initialised(module):
    infos = [module.token_info(slot) for slot in module.slots(with_token=True)]
    return {info.label: info for info in infos if TokenFlag.TOKEN_INITIALIZED in info.flags}


def test_both_halves_may_be_repeated_until_the_token_has_a_user(module):
    made = make_token(module, label="alpha", so_pin=SO)
    assert make_token(module, label="alpha", so_pin=SO, may_exist=True) == made
    for _ in range(2):
        set_user_pin(module, TokenSelector(serial=made.serial), so_pin=SO, user_pin=USER)
    assert list(initialised(module)) == ["alpha"]
    with pytest.raises(HsmRequestError, match="exists already"):
        make_token(module, label="alpha", so_pin=SO, may_exist=True)


def test_an_initialised_token_of_the_label_is_left_alone(module):
    made = make_token(module, label="alpha", so_pin=SO)
    with pytest.raises(HsmRequestError, match="exists already") as caught:
        make_token(module, label="alpha", so_pin=OTHER)
    assert "never initialised anew" in caught.value.next_step
    assert initialised(module)["alpha"].serial == made.serial
    set_user_pin(module, TokenSelector(serial=made.serial), so_pin=SO, user_pin=USER)


def test_a_token_of_somebody_else_gets_no_user(module):
    made = make_token(module, label="alpha", so_pin=OTHER)
    with pytest.raises(PinRefusedError):
        set_user_pin(module, TokenSelector(serial=made.serial), so_pin=SO, user_pin=USER)
    assert TokenFlag.USER_PIN_INITIALIZED not in initialised(module)["alpha"].flags
