"""Initialising an empty token: its label and security officer first, then its user."""

from collections.abc import Iterable

from strongroom.core import HsmRequestError, Secret, TokenNotFoundError
from strongroom.hsm.cryptoki import Module, TokenFlag, TokenInfo
from strongroom.hsm.token._access import (
    identity_of,
    initialised_tokens,
    log_in,
    refuse_risky_login,
    select_token,
)
from strongroom.hsm.token._classification import translated
from strongroom.hsm.token._values import Role, TokenIdentity, TokenSelector


def initialise_token(module: Module, *, label: str, so_pin: Secret, user_pin: Secret) -> TokenIdentity:
    """Initialise the first empty token of the module, set both PINs, and return who it is now.

    The token of a failure half-way stays as it is: with a label and without a user PIN. Raises as ``make_token`` and
    ``set_user_pin``.
    """
    make_token(module, label=label, so_pin=so_pin)
    return set_user_pin(module, TokenSelector(label=label), so_pin=so_pin, user_pin=user_pin)


def make_token(module: Module, *, label: str, so_pin: Secret, may_exist: bool = False) -> TokenIdentity:
    """Initialise the first empty token of the module (C_InitToken): it has a label, a security officer, and no user.

    Never touches one that is initialised. ``may_exist``: an earlier try may have made the token of this label, which is
    then returned as it is, if it has no user. Raises HsmRequestError when a token of this label exists otherwise, TokenNotFoundError when no
    slot holds an empty token, PinRefusedError when the token does not take the PIN (SoftHSM wants 4 to 255 bytes).
    """
    tokens = initialised_tokens(module)
    if any(info.label == label for info in tokens.values()):
        slot_and_info = select_token(module, TokenSelector(label=label)) if may_exist else None
        if slot_and_info is not None and TokenFlag.USER_PIN_INITIALIZED not in slot_and_info[1].flags:
            return identity_of(slot_and_info[1])
        raise HsmRequestError(
            f"a token labelled {label!r} exists already",
            next_step="an initialised token may hold keys, so it is never initialised anew by itself",
        )
    with translated("initialising the token"):
        module.init_token(_empty_slot(module, tokens.values()), so_pin.reveal(), label)
    # C_InitToken may move the token to another slot.
    return identity_of(select_token(module, TokenSelector(label=label))[1])


def reset_token(module: Module, serial: str, *, label: str, so_pin: Secret) -> TokenIdentity:
    """Initialise a token anew (C_InitToken), which ERASES it; its security officer's PIN is the present one and stays.

    Whether it may be done is the caller's to know. Raises TokenNotFoundError, PinRefusedError, HsmRequestError when another
    token has the label, HsmError.
    """
    slot, info = select_token(module, TokenSelector(serial=serial))
    refuse_risky_login(info, Role.SECURITY_OFFICER)
    if any(other.label == label and other.serial != serial for other in initialised_tokens(module).values()):
        raise HsmRequestError(f"another token is labelled {label!r}")
    with translated("erasing the token"):
        module.init_token(slot, so_pin.reveal(), label)
    return identity_of(select_token(module, TokenSelector(label=label))[1])


def set_user_pin(
    module: Module, selector: TokenSelector, *, so_pin: Secret, user_pin: Secret
) -> TokenIdentity:
    """Log in as security officer, set the user PIN (C_InitPIN), log out. Raises TokenNotFoundError, PinRefusedError, HsmError."""
    slot, info = select_token(module, selector)
    session = log_in(module, slot, info, so_pin, Role.SECURITY_OFFICER)
    with translated("setting the user PIN"):
        try:
            module.init_pin(session, user_pin.reveal())
            module.logout(session)
        finally:
            module.close_session(session)
    return identity_of(info)


def _empty_slot(module: Module, initialised: Iterable[TokenInfo]) -> int:
    for slot in module.slots(with_token=True):
        if TokenFlag.TOKEN_INITIALIZED not in module.token_info(slot).flags:
            return slot
    listed = ", ".join(f"{info.label!r} (serial {info.serial})" for info in initialised) or "no token at all"
    raise TokenNotFoundError(
        f"no slot holds a token that is not initialised yet; the module shows: {listed}",
        next_step="an initialised token may hold keys, so it is never initialised anew by itself",
    )
