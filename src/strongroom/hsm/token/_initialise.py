"""Initialising an empty token, as development clusters and rehearsals need it."""

from strongroom.core import HsmRequestError, Secret, TokenNotFoundError
from strongroom.hsm.cryptoki import Module, TokenFlag, UserType
from strongroom.hsm.token._access import identity_of, initialised_tokens, select_token
from strongroom.hsm.token._classification import translated
from strongroom.hsm.token._values import TokenIdentity, TokenSelector


def initialise_token(module: Module, *, label: str, so_pin: Secret, user_pin: Secret) -> TokenIdentity:
    """Initialise the first empty token of the module, set both PINs, and return who it is now.

    The token of a failure half-way stays as it is: with a label and without a user PIN. Raises HsmRequestError
    when a token of this label exists, TokenNotFoundError when no slot holds an empty token, PinRefusedError when
    the token does not take a PIN (SoftHSM wants 4 to 255 bytes).
    """
    if any(info.label == label for info in initialised_tokens(module).values()):
        raise HsmRequestError(f"a token labelled {label!r} exists already")
    with translated("initialising the token"):
        module.init_token(_empty_slot(module), so_pin.reveal(), label)
    # C_InitToken may move the token to another slot.
    slot, info = select_token(module, TokenSelector(label=label))
    with translated("setting the user PIN"):
        session = module.open_session(slot, read_write=True)
        try:
            module.login(session, UserType.SECURITY_OFFICER, so_pin.reveal())
            module.init_pin(session, user_pin.reveal())
            module.logout(session)
        finally:
            module.close_session(session)
    return identity_of(info)


def _empty_slot(module: Module) -> int:
    for slot in module.slots(with_token=True):
        if TokenFlag.TOKEN_INITIALIZED not in module.token_info(slot).flags:
            return slot
    raise TokenNotFoundError("no slot holds a token that is not initialised yet")
