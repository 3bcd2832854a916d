"""The way to a token: select exactly one, look at its flags, and spend exactly one login try."""

from contextlib import suppress
from typing import Final

from strongroom.core import HsmError, PinRefusedError, Secret, TokenNotFoundError
from strongroom.hsm.cryptoki import (
    CryptokiError,
    CryptokiNotInitializedError,
    DeviceError,
    DeviceMemoryError,
    DeviceRemovedError,
    HostMemoryError,
    Module,
    SessionClosedError,
    SessionCountError,
    SessionExistsError,
    SessionHandleInvalidError,
    SessionReadOnlyError,
    SessionReadOnlyExistsError,
    SessionState,
    TokenFlag,
    TokenInfo,
    TokenNotPresentError,
    UserAlreadyLoggedInError,
    UserAnotherAlreadyLoggedInError,
    UserType,
)
from strongroom.hsm.token._classification import Handling, handling_of, translated
from strongroom.hsm.token._values import Role, TokenIdentity, TokenSelector

_USER_TYPE = {Role.USER: UserType.USER, Role.SECURITY_OFFICER: UserType.SECURITY_OFFICER}
LOGGED_IN_STATES = {
    Role.USER: frozenset({SessionState.RO_USER_FUNCTIONS, SessionState.RW_USER_FUNCTIONS}),
    Role.SECURITY_OFFICER: frozenset({SessionState.RW_SO_FUNCTIONS}),
}
"""The session states in which a role is logged in."""
COUNT_LOW: Final = {
    Role.USER: TokenFlag.USER_PIN_COUNT_LOW,
    Role.SECURITY_OFFICER: TokenFlag.SO_PIN_COUNT_LOW,
}
"""Set by the token when a wrong PIN came since the last login; never set by one that does not tell (PKCS#11 2.40, 3.2)."""
_REFUSING_FLAGS = {
    Role.USER: (TokenFlag.USER_PIN_LOCKED, TokenFlag.USER_PIN_FINAL_TRY),
    Role.SECURITY_OFFICER: (TokenFlag.SO_PIN_LOCKED, TokenFlag.SO_PIN_FINAL_TRY),
}

_PIN_NOT_TRIED = (
    CryptokiNotInitializedError,
    DeviceError,
    DeviceMemoryError,
    DeviceRemovedError,
    HostMemoryError,
    SessionClosedError,
    SessionCountError,
    SessionExistsError,
    SessionHandleInvalidError,
    SessionReadOnlyError,
    SessionReadOnlyExistsError,
    TokenNotPresentError,
    UserAnotherAlreadyLoggedInError,
)
"""What C_Login answers for reasons that have nothing to do with the PIN: the connection, or somebody else's login."""


class LoginUnclearError(PinRefusedError):
    """C_Login failed in a way that does not tell whether the PIN was counted as a wrong one."""


def identity_of(info: TokenInfo) -> TokenIdentity:
    """Tell who a token is."""
    return TokenIdentity(
        serial=info.serial,
        label=info.label,
        manufacturer=info.manufacturer,
        model=info.model,
        firmware=".".join(map(str, info.firmware_version)),
    )


def initialised_tokens(module: Module) -> dict[int, TokenInfo]:
    """Return every slot whose token is initialised. Raises MemberFailedError and its kin."""
    with translated("looking for tokens"):
        found = {slot: module.token_info(slot) for slot in module.slots(with_token=True)}
    return {slot: info for slot, info in found.items() if TokenFlag.TOKEN_INITIALIZED in info.flags}


def select_token(module: Module, selector: TokenSelector) -> tuple[int, TokenInfo]:
    """Return the slot of the one token that fits. Raises TokenNotFoundError, which lists what there is."""
    if (selector.serial is None) == (selector.label is None):
        raise TokenNotFoundError(
            "a token is named by its serial number or by its label, by exactly one of them"
        )
    tokens = initialised_tokens(module)
    fitting = {slot: info for slot, info in tokens.items() if _fits(info, selector)}
    if len(fitting) == 1:
        return fitting.popitem()
    listed = (
        ", ".join(f"{info.label!r} (serial {info.serial})" for info in tokens.values()) or "no token at all"
    )
    raise TokenNotFoundError(
        f"{len(fitting) or 'no'} tokens have the {selector}; the module shows: {listed}",
        next_step="name the token by its serial number"
        if fitting
        else "check the member's token and its module",
    )


def log_in(module: Module, slot: int, info: TokenInfo, pin: Secret, role: Role) -> int:
    """Open a session and log in with the one try that a PIN gets; return the session, which holds the login.

    Raises PinRefusedError when the PIN is refused, locked or one failure away from being locked, and when it is not
    clear whether the PIN was counted as wrong: whoever starts workers again must not send it again by itself.
    """
    refuse_risky_login(info, role)
    with translated("opening a session"):
        session = module.open_session(slot, read_write=True)
    try:
        with translated(f"logging in as {role.value}"):
            _log_in_once(module, session, pin, role)
    except BaseException:
        with suppress(HsmError):
            module.close_session(session)
        raise
    return session


def refuse_risky_login(info: TokenInfo, role: Role) -> None:
    """Raise PinRefusedError when one more wrong PIN would lock the token, or when it is locked."""
    for flag in _REFUSING_FLAGS[role]:
        if flag in info.flags:
            raise PinRefusedError(
                f"token {info.label!r} says {flag.name} for the {role.value}: the PIN was not tried",
                next_step="log in once by hand with the vendor's tool, or have the PIN reset, then start again",
            )
    if role is Role.USER and TokenFlag.USER_PIN_INITIALIZED not in info.flags:
        raise PinRefusedError(
            f"token {info.label!r} has no user PIN yet", next_step="its security officer must set one"
        )


def _log_in_once(module: Module, session: int, pin: Secret, role: Role) -> None:
    try:
        module.login(session, _USER_TYPE[role], pin.reveal())
    except UserAlreadyLoggedInError:
        # The login belongs to the process, so somebody else's counts; but only if it is the right one.
        if module.session_info(session).state not in LOGGED_IN_STATES[role]:
            raise
    except CryptokiError as error:
        if handling_of(error) is Handling.PIN or isinstance(error, _PIN_NOT_TRIED):
            raise
        raise LoginUnclearError(
            f"logging in as {role.value}: {error.message}; it is unclear whether the PIN counted as a wrong one",
            ckr=error.ckr,
            next_step="log in once by hand with the vendor's tool, then start again",
        ) from error


def _fits(info: TokenInfo, selector: TokenSelector) -> bool:
    return info.serial == selector.serial if selector.serial is not None else info.label == selector.label
