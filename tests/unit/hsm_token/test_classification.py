"""Every return value of the specification has one place in the table."""

import pytest

from strongroom.core import HsmRequestError, MemberFailedError, PinRefusedError
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import CryptokiError
from strongroom.hsm.token._classification import HANDLING, Handling, handling_of, translate


def _names():
    return [name for names in HANDLING.values() for name in names.split()]


def test_the_table_holds_every_code_of_the_specification_once_and_nothing_else():
    known = sorted(error.ckr_name for error in CryptokiError.__subclasses__() if error.ckr_name)
    assert sorted(_names()) == known


@pytest.mark.parametrize(
    ("error", "handling"),
    [
        (cryptoki.SessionHandleInvalidError(), Handling.NEW_SESSION),
        (cryptoki.KeyHandleInvalidError(), Handling.FIND_AGAIN),
        (cryptoki.UserNotLoggedInError(), Handling.LOG_IN_AGAIN),
        (cryptoki.DeviceError(), Handling.REINITIALISE),
        (cryptoki.VendorError("x", ckr=0x8000001A), Handling.REINITIALISE),
        (cryptoki.GeneralError(), Handling.UNSURE),
        (cryptoki.UnknownReturnValueError("x", ckr=0x7FFFFFFF), Handling.UNSURE),
        (cryptoki.FunctionFailedError(), Handling.BACK_OFF),
        (cryptoki.PinLockedError(), Handling.PIN),
        (cryptoki.TemplateInconsistentError(), Handling.CALLER),
    ],
)
def test_codes_are_handled_as_real_hsms_taught(error, handling):
    assert handling_of(error) is handling


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (cryptoki.DeviceError(), MemberFailedError),
        (cryptoki.PinIncorrectError(), PinRefusedError),
        (cryptoki.MechanismInvalidError(), HsmRequestError),
    ],
)
def test_translation_keeps_the_number_and_says_during_what_it_happened(error, kind):
    translated = translate(error, "wrapping")
    assert type(translated) is kind
    assert translated.ckr == error.code
    assert translated.message.startswith("wrapping: ")
