"""What a PKCS#11 return value means for whoever called: one table, and the translation into errors of ``core``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Final

from strongroom.core import HsmError, HsmRequestError, MemberFailedError, PinRefusedError
from strongroom.hsm.cryptoki import CryptokiError


class Handling(Enum):
    """What has to be done about a failure before another try makes sense."""

    NEW_SESSION = "new session"
    """The session is gone, or stuck in an operation."""
    FIND_AGAIN = "find the object again"
    """The object's handle is stale."""
    LOG_IN_AGAIN = "log in again"
    """The login is gone."""
    REINITIALISE = "reinitialise the module"
    """Module and token have lost each other: a new process, or C_Finalize and C_Initialize."""
    UNSURE = "new session, then reinitialise"
    """Codes without a reason: a second try in a new session tells which it was."""
    BACK_OFF = "back off"
    """The token is busy, short of something or may not write now; it is not broken."""
    PIN = "alarm, never retry"
    """The PIN was refused, is locked or has run out."""
    CALLER = "the request is wrong"
    """No other session will do better. Of an admin verb, no other member either; of a use verb one may (``Workshop.use``)."""


HANDLING: Final[Mapping[Handling, str]] = {
    Handling.NEW_SESSION: """
        CKR_SESSION_CLOSED CKR_SESSION_HANDLE_INVALID CKR_SESSION_READ_ONLY
        CKR_OPERATION_ACTIVE CKR_OPERATION_NOT_INITIALIZED CKR_OPERATION_CANCEL_FAILED
        """,
    Handling.FIND_AGAIN: """
        CKR_OBJECT_HANDLE_INVALID CKR_KEY_HANDLE_INVALID
        CKR_WRAPPING_KEY_HANDLE_INVALID CKR_UNWRAPPING_KEY_HANDLE_INVALID
        """,
    Handling.LOG_IN_AGAIN: "CKR_USER_NOT_LOGGED_IN",
    Handling.REINITIALISE: """
        CKR_CRYPTOKI_NOT_INITIALIZED CKR_CRYPTOKI_ALREADY_INITIALIZED CKR_LIBRARY_LOAD_FAILED
        CKR_DEVICE_ERROR CKR_DEVICE_REMOVED CKR_FIPS_SELF_TEST_FAILED CKR_SLOT_ID_INVALID
        CKR_TOKEN_NOT_PRESENT CKR_TOKEN_NOT_RECOGNIZED CKR_TOKEN_NOT_INITIALIZED
        CKR_CANT_LOCK CKR_NEED_TO_CREATE_THREADS CKR_MUTEX_BAD CKR_MUTEX_NOT_LOCKED
        CKR_VENDOR_DEFINED
        """,
    Handling.UNSURE: "CKR_GENERAL_ERROR",
    Handling.BACK_OFF: """
        CKR_FUNCTION_FAILED CKR_FUNCTION_CANCELED CKR_FUNCTION_REJECTED CKR_CANCEL CKR_PENDING CKR_NO_EVENT
        CKR_HOST_MEMORY CKR_DEVICE_MEMORY CKR_SESSION_COUNT CKR_TOKEN_RESOURCE_EXCEEDED
        CKR_TOKEN_WRITE_PROTECTED CKR_RANDOM_NO_RNG CKR_SEED_RANDOM_REQUIRED
        """,
    Handling.PIN: """
        CKR_PIN_INCORRECT CKR_PIN_INVALID CKR_PIN_LEN_RANGE CKR_PIN_EXPIRED CKR_PIN_LOCKED CKR_PIN_TOO_WEAK
        CKR_USER_PIN_NOT_INITIALIZED CKR_NEW_PIN_MODE CKR_NEXT_OTP
        """,
    Handling.CALLER: """
        CKR_ARGUMENTS_BAD CKR_ACTION_PROHIBITED CKR_BUFFER_TOO_SMALL CKR_INFORMATION_SENSITIVE
        CKR_ATTRIBUTE_READ_ONLY CKR_ATTRIBUTE_SENSITIVE CKR_ATTRIBUTE_TYPE_INVALID CKR_ATTRIBUTE_VALUE_INVALID
        CKR_DATA_INVALID CKR_DATA_LEN_RANGE CKR_DOMAIN_PARAMS_INVALID CKR_CURVE_NOT_SUPPORTED
        CKR_ENCRYPTED_DATA_INVALID CKR_ENCRYPTED_DATA_LEN_RANGE CKR_AEAD_DECRYPT_FAILED
        CKR_EXCEEDED_MAX_ITERATIONS CKR_FUNCTION_NOT_PARALLEL CKR_FUNCTION_NOT_SUPPORTED
        CKR_KEY_SIZE_RANGE CKR_KEY_TYPE_INCONSISTENT CKR_KEY_NOT_NEEDED CKR_KEY_CHANGED CKR_KEY_NEEDED
        CKR_KEY_INDIGESTIBLE CKR_KEY_FUNCTION_NOT_PERMITTED CKR_KEY_NOT_WRAPPABLE CKR_KEY_UNEXTRACTABLE
        CKR_KEY_EXHAUSTED CKR_MECHANISM_INVALID CKR_MECHANISM_PARAM_INVALID CKR_OPERATION_NOT_VALIDATED
        CKR_PARAMETER_SET_NOT_SUPPORTED CKR_PUBLIC_KEY_INVALID CKR_RANDOM_SEED_NOT_SUPPORTED
        CKR_SAVED_STATE_INVALID CKR_STATE_UNSAVEABLE CKR_SIGNATURE_INVALID CKR_SIGNATURE_LEN_RANGE
        CKR_SESSION_EXISTS CKR_SESSION_READ_ONLY_EXISTS CKR_SESSION_READ_WRITE_SO_EXISTS
        CKR_SESSION_PARALLEL_NOT_SUPPORTED CKR_SESSION_ASYNC_NOT_SUPPORTED
        CKR_TEMPLATE_INCOMPLETE CKR_TEMPLATE_INCONSISTENT
        CKR_USER_ALREADY_LOGGED_IN CKR_USER_ANOTHER_ALREADY_LOGGED_IN CKR_USER_TOO_MANY_TYPES CKR_USER_TYPE_INVALID
        CKR_UNWRAPPING_KEY_SIZE_RANGE CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT
        CKR_WRAPPED_KEY_INVALID CKR_WRAPPED_KEY_LEN_RANGE
        CKR_WRAPPING_KEY_SIZE_RANGE CKR_WRAPPING_KEY_TYPE_INCONSISTENT
        """,
}
"""The table. A name that is not in it (a number of no specification, a module that breaks the rules) is UNSURE."""

_BY_NAME: Final = {name: handling for handling, names in HANDLING.items() for name in names.split()}

_NEXT_STEPS: Final[Mapping[Handling, str]] = {
    Handling.LOG_IN_AGAIN: "the worker must be restarted, which logs in again",
    Handling.REINITIALISE: "the worker must be restarted; if that does not help, look at the HSM and its connection",
    Handling.UNSURE: "the worker must be restarted; if that does not help, look at the HSM's own log",
    Handling.PIN: "check the PIN by hand before the service tries it again: a few wrong tries lock or erase an HSM",
}


def handling_of(error: CryptokiError) -> Handling:
    """Look a failure up in the table."""
    return _BY_NAME.get(error.ckr_name, Handling.UNSURE)


def translate(error: CryptokiError, doing: str) -> HsmError:
    """Make the error of ``core`` that callers of this room see; ``doing`` says during what it happened."""
    handling = handling_of(error)
    kind: type[HsmError] = MemberFailedError
    if handling is Handling.PIN:
        kind = PinRefusedError
    elif handling is Handling.CALLER:
        kind = HsmRequestError
    next_step = error.next_step or _NEXT_STEPS.get(handling)
    return kind(f"{doing}: {error.message}", ckr=error.ckr, next_step=next_step)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise ``translate``'s error in place of what PKCS#11 calls in the block raise."""
    try:
        yield
    except CryptokiError as error:
        raise translate(error, doing) from error
