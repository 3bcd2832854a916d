"""Changing a PIN and proving one: one login each, noted before and after, in a process that does nothing else."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from strongroom.core import HsmError, HsmOutcomeUnknownError, HsmRequestError, PinRefusedError, Secret
from strongroom.hsm.cryptoki import CryptokiError, Module, TokenFlag, TokenInfo
from strongroom.hsm.token._access import (
    COUNT_LOW,
    LoginUnclearError,
    identity_of,
    log_in,
    refuse_risky_login,
    select_token,
)
from strongroom.hsm.token._data_objects import kept_values
from strongroom.hsm.token._objects import ObjectFinder
from strongroom.hsm.token._pin import PinTry
from strongroom.hsm.token._values import Role, TokenIdentity, TokenSelector

KeptValues = Callable[[str, str], list[bytes]]
"""Returns the values that the token keeps under an application and a label (``DataVerbs.values``)."""
_COMPARED: Final = frozenset({"CKR_PIN_INCORRECT", "CKR_PIN_INVALID", "CKR_PIN_LEN_RANGE"})
"""C_Login looked at the PIN and did not take it. A locked or expired PIN may be right."""
_NOT_CHANGED: Final = frozenset(
    {
        "CKR_ACTION_PROHIBITED",
        "CKR_ARGUMENTS_BAD",
        "CKR_FUNCTION_NOT_SUPPORTED",
        "CKR_FUNCTION_REJECTED",
        "CKR_PIN_INCORRECT",
        "CKR_PIN_INVALID",
        "CKR_PIN_LEN_RANGE",
        "CKR_PIN_LOCKED",
        "CKR_PIN_TOO_WEAK",
        "CKR_SESSION_HANDLE_INVALID",
        "CKR_SESSION_READ_ONLY",
        "CKR_TOKEN_WRITE_PROTECTED",
        "CKR_USER_NOT_LOGGED_IN",
    }
)
"""C_SetPIN says these before it changes anything. Of every other failure nobody knows what it did."""


class PinNotChangedError(HsmRequestError):
    """The token did not take the new PIN, or changes none: the old one stays."""


def change_pin(
    module: Module,
    selector: TokenSelector,
    role: Role,
    *,
    old: Secret,
    new: Secret,
    tries: PinTry,
    setting: Callable[[KeptValues], None],
) -> TokenIdentity:
    """Log in with the old PIN, once, and set the new one (C_SetPIN).

    ``tries`` notes the login. ``setting`` is called before C_SetPIN is, and must have noted durably what it has to by its end; what
    it raises is raised, and nothing was set. It is lent what reads the data objects that the token keeps for its user.
    Raises PinRefusedError when the old PIN was refused, is not to be risked or its outcome is not known, PinNotChangedError,
    HsmOutcomeUnknownError when nobody can tell which of the two the token has now, and other HsmErrors before that.
    """
    slot, info = select_token(module, selector)
    _check_new(info, new)
    session = _log_in(module, (slot, info), old, role, tries=tries)
    try:
        setting(partial(kept_values, module, ObjectFinder(module), session))
        try:
            module.set_pin(session, old.reveal(), new.reveal())
        except CryptokiError as error:
            if error.ckr_name in _NOT_CHANGED:
                raise PinNotChangedError(
                    f"changing the PIN of the {role.value}: {error.message}",
                    ckr=error.ckr,
                    next_step="the old PIN stays; see what PINs the token takes (pin_length and pin_characters of the profile)",
                ) from error
            raise HsmOutcomeUnknownError(
                f"changing the PIN of the {role.value}: {error.message}; it is unclear which PIN the token has",
                ckr=error.ckr,
            ) from error
    finally:
        _let_go(module, session)
    return identity_of(info)


def prove_pin(
    module: Module, selector: TokenSelector, role: Role, pin: Secret, *, tries: PinTry
) -> TokenIdentity:
    """Log in once, and out. Raises PinRefusedError as ``change_pin``, and other HsmErrors."""
    slot, info = select_token(module, selector)
    _let_go(module, _log_in(module, (slot, info), pin, role, tries=tries))
    return identity_of(info)


def _log_in(module: Module, found: tuple[int, TokenInfo], pin: Secret, role: Role, *, tries: PinTry) -> int:
    slot, info = found
    refuse_risky_login(info, role)
    tries.begin(is_count_low=COUNT_LOW[role] in info.flags)
    try:
        session = log_in(module, slot, info, pin, role)
    except LoginUnclearError:
        raise
    except PinRefusedError as error:
        if isinstance(error.__cause__, CryptokiError) and error.__cause__.ckr_name in _COMPARED:
            tries.refused()
        raise
    except HsmError:
        tries.not_tried()
        raise
    tries.accepted()
    return session


def _check_new(info: TokenInfo, new: Secret) -> None:
    if TokenFlag.PROTECTED_AUTHENTICATION_PATH in info.flags:
        raise PinNotChangedError(
            "PINs of this token are entered at its own keypad", next_step="change it there"
        )
    if info.max_pin_len and not info.min_pin_len <= len(new) <= info.max_pin_len:
        raise PinNotChangedError(
            f"PINs of this token have {info.min_pin_len} to {info.max_pin_len} bytes, the new one {len(new)}",
            next_step="set pin_length in profile_changes of the member",
        )


def _let_go(module: Module, session: int) -> None:
    with suppress(HsmError):
        module.logout(session)
    with suppress(HsmError):
        module.close_session(session)
