"""Every return value of the specification has a class of its own."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core import HsmError, HsmRequestError
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import ERROR_CLASSES, error_for

# PKCS#11 3.2, section 5.1 and the values that 2.40 has and 3.2 kept; CKR_OK left out.
SPECIFICATION = """
CANCEL 1, HOST_MEMORY 2, SLOT_ID_INVALID 3, GENERAL_ERROR 5, FUNCTION_FAILED 6, ARGUMENTS_BAD 7, NO_EVENT 8,
NEED_TO_CREATE_THREADS 9, CANT_LOCK A, ATTRIBUTE_READ_ONLY 10, ATTRIBUTE_SENSITIVE 11,
ATTRIBUTE_TYPE_INVALID 12, ATTRIBUTE_VALUE_INVALID 13, ACTION_PROHIBITED 1B, DATA_INVALID 20, DATA_LEN_RANGE 21,
DEVICE_ERROR 30, DEVICE_MEMORY 31, DEVICE_REMOVED 32, ENCRYPTED_DATA_INVALID 40, ENCRYPTED_DATA_LEN_RANGE 41,
AEAD_DECRYPT_FAILED 42, FUNCTION_CANCELED 50, FUNCTION_NOT_PARALLEL 51, FUNCTION_NOT_SUPPORTED 54,
KEY_HANDLE_INVALID 60, KEY_SIZE_RANGE 62, KEY_TYPE_INCONSISTENT 63, KEY_NOT_NEEDED 64, KEY_CHANGED 65,
KEY_NEEDED 66, KEY_INDIGESTIBLE 67, KEY_FUNCTION_NOT_PERMITTED 68, KEY_NOT_WRAPPABLE 69, KEY_UNEXTRACTABLE 6A,
MECHANISM_INVALID 70, MECHANISM_PARAM_INVALID 71, OBJECT_HANDLE_INVALID 82, OPERATION_ACTIVE 90,
OPERATION_NOT_INITIALIZED 91, PIN_INCORRECT A0, PIN_INVALID A1, PIN_LEN_RANGE A2, PIN_EXPIRED A3, PIN_LOCKED A4,
SESSION_CLOSED B0, SESSION_COUNT B1, SESSION_HANDLE_INVALID B3, SESSION_PARALLEL_NOT_SUPPORTED B4,
SESSION_READ_ONLY B5, SESSION_EXISTS B6, SESSION_READ_ONLY_EXISTS B7, SESSION_READ_WRITE_SO_EXISTS B8,
SIGNATURE_INVALID C0, SIGNATURE_LEN_RANGE C1, TEMPLATE_INCOMPLETE D0, TEMPLATE_INCONSISTENT D1,
TOKEN_NOT_PRESENT E0, TOKEN_NOT_RECOGNIZED E1, TOKEN_WRITE_PROTECTED E2, UNWRAPPING_KEY_HANDLE_INVALID F0,
UNWRAPPING_KEY_SIZE_RANGE F1, UNWRAPPING_KEY_TYPE_INCONSISTENT F2, USER_ALREADY_LOGGED_IN 100,
USER_NOT_LOGGED_IN 101, USER_PIN_NOT_INITIALIZED 102, USER_TYPE_INVALID 103, USER_ANOTHER_ALREADY_LOGGED_IN 104,
USER_TOO_MANY_TYPES 105, WRAPPED_KEY_INVALID 110, WRAPPED_KEY_LEN_RANGE 112, WRAPPING_KEY_HANDLE_INVALID 113,
WRAPPING_KEY_SIZE_RANGE 114, WRAPPING_KEY_TYPE_INCONSISTENT 115, RANDOM_SEED_NOT_SUPPORTED 120,
RANDOM_NO_RNG 121, DOMAIN_PARAMS_INVALID 130, CURVE_NOT_SUPPORTED 140, BUFFER_TOO_SMALL 150,
SAVED_STATE_INVALID 160, INFORMATION_SENSITIVE 170, STATE_UNSAVEABLE 180, CRYPTOKI_NOT_INITIALIZED 190,
CRYPTOKI_ALREADY_INITIALIZED 191, MUTEX_BAD 1A0, MUTEX_NOT_LOCKED 1A1, NEW_PIN_MODE 1B0, NEXT_OTP 1B1,
EXCEEDED_MAX_ITERATIONS 1B5, FIPS_SELF_TEST_FAILED 1B6, LIBRARY_LOAD_FAILED 1B7, PIN_TOO_WEAK 1B8,
PUBLIC_KEY_INVALID 1B9, FUNCTION_REJECTED 200, TOKEN_RESOURCE_EXCEEDED 201, OPERATION_CANCEL_FAILED 202,
KEY_EXHAUSTED 203, PENDING 204, SESSION_ASYNC_NOT_SUPPORTED 205, SEED_RANDOM_REQUIRED 206,
OPERATION_NOT_VALIDATED 207, TOKEN_NOT_INITIALIZED 208, PARAMETER_SET_NOT_SUPPORTED 209
"""
CODES = {int(number, 16): f"CKR_{name}" for name, number in (row.split() for row in SPECIFICATION.split(","))}


def test_every_code_of_the_specification_has_a_class_and_no_other_code_has():
    assert {code: error.ckr_name for code, error in ERROR_CLASSES.items()} == CODES


def test_no_two_codes_share_a_class_and_each_is_named_after_its_code():
    for code, name in CODES.items():
        plain = name.removeprefix("CKR_").removesuffix("_ERROR")
        assert ERROR_CLASSES[code].__name__ == plain.title().replace("_", "") + "Error"
    assert len(set(ERROR_CLASSES.values())) == len(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_error_keeps_number_name_and_function(code):
    error = error_for(code, "C_Login")
    assert type(error) is ERROR_CLASSES[code]
    assert isinstance(error, HsmError)
    assert (error.ckr, error.function) == (code, "C_Login")
    assert CODES[code] in str(error)
    assert "C_Login" in str(error)


@given(st.integers(0x80000000, 2**64 - 1))
def test_vendor_codes_keep_their_number(code):
    error = error_for(code, "C_Sign")
    assert type(error) is cryptoki.VendorError
    assert error.ckr == code


@given(st.integers(1, 0x7FFFFFFF).filter(lambda code: code not in CODES))
def test_codes_of_no_specification_keep_their_number(code):
    error = error_for(code, "C_Sign")
    assert type(error) is cryptoki.UnknownReturnValueError
    assert error.ckr == code


def test_an_error_made_without_a_call_has_the_number_and_name_of_its_class():
    error = cryptoki.PinLockedError()
    assert (error.ckr, str(error)) == (0xA4, "CKR_PIN_LOCKED")


def test_errors_survive_pickling_and_copying():
    for made in (error_for(0xA0, "C_Login"), error_for(0x80000123, "C_Login")):
        for again in (pickle.loads(pickle.dumps(made)), copy.copy(made)):  # noqa: S301  # our own bytes
            assert (type(again), str(again), again.ckr, again.function) == (
                type(made),
                str(made),
                made.ckr,
                "C_Login",
            )


def test_a_parameter_error_is_the_requests_fault():
    assert issubclass(cryptoki.ParameterError, HsmRequestError)
    assert not issubclass(cryptoki.ParameterError, cryptoki.CryptokiError)
