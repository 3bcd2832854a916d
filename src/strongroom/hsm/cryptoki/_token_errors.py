"""One class per CKR_ code about the module, the token, sessions, PINs and login.

Source: PKCS#11 3.2 base specification, section 5.1 (return values). The request may be right: another session,
a login or another member may do better. How to recover is decided in ``hsm.token``.
"""

from strongroom.hsm.cryptoki._errors import CryptokiError


class CancelError(CryptokiError, name="CKR_CANCEL", code=0x1):
    """The application cancelled the function in a callback."""


class HostMemoryError(CryptokiError, name="CKR_HOST_MEMORY", code=0x2):
    """This computer has not enough memory."""


class SlotIdInvalidError(CryptokiError, name="CKR_SLOT_ID_INVALID", code=0x3):
    """There is no such slot (any more)."""


class GeneralError(CryptokiError, name="CKR_GENERAL_ERROR", code=0x5):
    """The module gives no reason; SoftHSM 2.6.1 says this also of a wrong GCM tag."""


class FunctionFailedError(CryptokiError, name="CKR_FUNCTION_FAILED", code=0x6):
    """The function failed without a reason; AWS CloudHSM says this when it throttles."""


class NoEventError(CryptokiError, name="CKR_NO_EVENT", code=0x8):
    """No slot event is waiting."""


class NeedToCreateThreadsError(CryptokiError, name="CKR_NEED_TO_CREATE_THREADS", code=0x9):
    """The module cannot do without threads of its own."""


class CantLockError(CryptokiError, name="CKR_CANT_LOCK", code=0xA):
    """The module cannot use the locking of the operating system, so threads would be unsafe."""


class DeviceError(CryptokiError, name="CKR_DEVICE_ERROR", code=0x30):
    """The token or its connection failed."""


class DeviceMemoryError(CryptokiError, name="CKR_DEVICE_MEMORY", code=0x31):
    """The token has not enough memory."""


class DeviceRemovedError(CryptokiError, name="CKR_DEVICE_REMOVED", code=0x32):
    """The token was removed during the call."""


class FunctionCanceledError(CryptokiError, name="CKR_FUNCTION_CANCELED", code=0x50):
    """The function was cancelled in mid-execution."""


class FunctionNotParallelError(CryptokiError, name="CKR_FUNCTION_NOT_PARALLEL", code=0x51):
    """No function runs in parallel (legacy)."""


class FunctionNotSupportedError(CryptokiError, name="CKR_FUNCTION_NOT_SUPPORTED", code=0x54):
    """The module does not have this function."""


class OperationActiveError(CryptokiError, name="CKR_OPERATION_ACTIVE", code=0x90):
    """Another operation is active in this session."""


class OperationNotInitializedError(CryptokiError, name="CKR_OPERATION_NOT_INITIALIZED", code=0x91):
    """No operation of this kind is active in this session."""


class PinIncorrectError(CryptokiError, name="CKR_PIN_INCORRECT", code=0xA0):
    """The PIN is wrong. Trying again may lock or erase the token."""


class PinInvalidError(CryptokiError, name="CKR_PIN_INVALID", code=0xA1):
    """The new PIN has characters that the token does not take."""


class PinLenRangeError(CryptokiError, name="CKR_PIN_LEN_RANGE", code=0xA2):
    """The PIN is too short or too long."""


class PinExpiredError(CryptokiError, name="CKR_PIN_EXPIRED", code=0xA3):
    """The PIN has expired and must be changed first."""


class PinLockedError(CryptokiError, name="CKR_PIN_LOCKED", code=0xA4):
    """The PIN is locked after too many wrong tries."""


class SessionClosedError(CryptokiError, name="CKR_SESSION_CLOSED", code=0xB0):
    """The session was closed during the call."""


class SessionCountError(CryptokiError, name="CKR_SESSION_COUNT", code=0xB1):
    """The token has no session left to give."""


class SessionHandleInvalidError(CryptokiError, name="CKR_SESSION_HANDLE_INVALID", code=0xB3):
    """There is no such session (any more)."""


class SessionParallelNotSupportedError(CryptokiError, name="CKR_SESSION_PARALLEL_NOT_SUPPORTED", code=0xB4):
    """The session was not asked for as a serial one."""


class SessionReadOnlyError(CryptokiError, name="CKR_SESSION_READ_ONLY", code=0xB5):
    """The session is read-only."""


class SessionExistsError(CryptokiError, name="CKR_SESSION_EXISTS", code=0xB6):
    """A session is open, so the token cannot be initialised."""


class SessionReadOnlyExistsError(CryptokiError, name="CKR_SESSION_READ_ONLY_EXISTS", code=0xB7):
    """A read-only session is open, so the security officer cannot log in."""


class SessionReadWriteSoExistsError(CryptokiError, name="CKR_SESSION_READ_WRITE_SO_EXISTS", code=0xB8):
    """The security officer is logged in, so no read-only session can open."""


class TokenNotPresentError(CryptokiError, name="CKR_TOKEN_NOT_PRESENT", code=0xE0):
    """The slot is empty."""


class TokenNotRecognizedError(CryptokiError, name="CKR_TOKEN_NOT_RECOGNIZED", code=0xE1):
    """The slot holds something the module does not know, or a broken token."""


class TokenWriteProtectedError(CryptokiError, name="CKR_TOKEN_WRITE_PROTECTED", code=0xE2):
    """The token is write-protected."""


class UserAlreadyLoggedInError(CryptokiError, name="CKR_USER_ALREADY_LOGGED_IN", code=0x100):
    """The user is logged in already; login belongs to the whole process."""


class UserNotLoggedInError(CryptokiError, name="CKR_USER_NOT_LOGGED_IN", code=0x101):
    """The operation needs a login."""


class UserPinNotInitializedError(CryptokiError, name="CKR_USER_PIN_NOT_INITIALIZED", code=0x102):
    """The security officer has not set the user's PIN yet."""


class UserTypeInvalidError(CryptokiError, name="CKR_USER_TYPE_INVALID", code=0x103):
    """The token has no such kind of user, or not here."""


class UserAnotherAlreadyLoggedInError(CryptokiError, name="CKR_USER_ANOTHER_ALREADY_LOGGED_IN", code=0x104):
    """Another user is logged in in this process."""


class UserTooManyTypesError(CryptokiError, name="CKR_USER_TOO_MANY_TYPES", code=0x105):
    """Too many different users are logged in."""


class RandomSeedNotSupportedError(CryptokiError, name="CKR_RANDOM_SEED_NOT_SUPPORTED", code=0x120):
    """The generator takes no seed from outside."""


class RandomNoRngError(CryptokiError, name="CKR_RANDOM_NO_RNG", code=0x121):
    """The token has no random number generator."""


class SavedStateInvalidError(CryptokiError, name="CKR_SAVED_STATE_INVALID", code=0x160):
    """The saved operation state cannot be restored."""


class StateUnsaveableError(CryptokiError, name="CKR_STATE_UNSAVEABLE", code=0x180):
    """The operation state cannot be saved."""


class CryptokiNotInitializedError(CryptokiError, name="CKR_CRYPTOKI_NOT_INITIALIZED", code=0x190):
    """C_Initialize has not run in this process, or C_Finalize has."""


class CryptokiAlreadyInitializedError(CryptokiError, name="CKR_CRYPTOKI_ALREADY_INITIALIZED", code=0x191):
    """C_Initialize has run in this process already."""


class MutexBadError(CryptokiError, name="CKR_MUTEX_BAD", code=0x1A0):
    """A mutex function got a bad mutex."""


class MutexNotLockedError(CryptokiError, name="CKR_MUTEX_NOT_LOCKED", code=0x1A1):
    """A mutex that is not locked was unlocked."""


class NewPinModeError(CryptokiError, name="CKR_NEW_PIN_MODE", code=0x1B0):
    """The one-time password token wants a new PIN."""


class NextOtpError(CryptokiError, name="CKR_NEXT_OTP", code=0x1B1):
    """The one-time password token wants its next value."""


class FipsSelfTestFailedError(CryptokiError, name="CKR_FIPS_SELF_TEST_FAILED", code=0x1B6):
    """The token failed its FIPS 140 self-test."""


class LibraryLoadFailedError(CryptokiError, name="CKR_LIBRARY_LOAD_FAILED", code=0x1B7):
    """A library that the module needs cannot be loaded."""


class PinTooWeakError(CryptokiError, name="CKR_PIN_TOO_WEAK", code=0x1B8):
    """The new PIN is too easy to guess."""


class FunctionRejectedError(CryptokiError, name="CKR_FUNCTION_REJECTED", code=0x200):
    """A person rejected the request at the token."""


class TokenResourceExceededError(CryptokiError, name="CKR_TOKEN_RESOURCE_EXCEEDED", code=0x201):
    """The token is busy or has no resources left for now."""


class OperationCancelFailedError(CryptokiError, name="CKR_OPERATION_CANCEL_FAILED", code=0x202):
    """The operation could not be cancelled."""


class PendingError(CryptokiError, name="CKR_PENDING", code=0x204):
    """An asynchronous operation is not finished."""


class SessionAsyncNotSupportedError(CryptokiError, name="CKR_SESSION_ASYNC_NOT_SUPPORTED", code=0x205):
    """The token has no asynchronous sessions."""


class SeedRandomRequiredError(CryptokiError, name="CKR_SEED_RANDOM_REQUIRED", code=0x206):
    """The generator must be seeded first."""


class OperationNotValidatedError(CryptokiError, name="CKR_OPERATION_NOT_VALIDATED", code=0x207):
    """The operation is outside what the token's validation covers."""


class TokenNotInitializedError(CryptokiError, name="CKR_TOKEN_NOT_INITIALIZED", code=0x208):
    """The token is not initialised."""
