"""What a worker does that serves nobody: it makes a token, gives it its user, or tries what it can do, and ends."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from strongroom.core import Secret, SystemClock, TokenNotFoundError
from strongroom.hsm.cryptoki import Module, ModuleLoadError
from strongroom.hsm.token import (
    NotedModule,
    Profile,
    Token,
    TokenIdentity,
    TokenSelector,
    initialise_token,
    load_profile,
    make_token,
    protect_softhsm_store,
    reset_token,
    set_user_pin,
    sync_softhsm_store,
)
from strongroom.vendorlogs import UseJournal
from strongroom.wiring.bootstrap import MemberBootstrap, TokenFound, WrapTried
from strongroom.wiring.events import LoggedEvents
from strongroom.wiring.reset_approval import require_approved_reset


class MadeToken(NamedTuple):
    """A token that was initialised or tried, and what it can do."""

    token: TokenFound
    wrapping: list[WrapTried]


def work_once(bootstrap: MemberBootstrap) -> MadeToken:
    """Do what the mode says. Raises HsmError and ConfigError; the PINs of the bootstrap are overwritten then too."""
    match bootstrap.mode:
        case "initialise":
            return initialise_member(bootstrap)
        case "make-token":
            return make_member_token(bootstrap)
        case "set-user-pin":
            return set_member_pin(bootstrap)
        case "reset-token":
            return reset_member_token(bootstrap)
        case _:
            return probe_member(bootstrap)


def initialise_member(bootstrap: MemberBootstrap) -> MadeToken:
    """Initialise the member's blank token, set its user PIN, and try by what it can wrap.

    Both PINs of the bootstrap are overwritten then. Raises TokenNotFoundError when no token is blank.
    """
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    module = load_module(bootstrap, profile)
    with lent_once(bootstrap.so_pin) as so_pin, lent_once(bootstrap.pin) as user_pin:
        identity = initialise_token(
            module, label=bootstrap.token_label or "", so_pin=so_pin, user_pin=user_pin
        )
        token = Token.open(module, TokenSelector(serial=identity.serial), user_pin, profile=profile)
        tried = _tried(token, until_first=True)
    module.finalize()
    sync_store(bootstrap)
    return MadeToken(token_found(identity), tried)


def make_member_token(bootstrap: MemberBootstrap) -> MadeToken:
    """Initialise a blank token under the member's label and the security officer's PIN; it has no user then.

    Where an earlier try was interrupted (``token_may_exist``) a token of this label is the one that it made. Raises
    HsmRequestError for a token of this label otherwise, TokenNotFoundError when no token is blank.
    """
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    if bootstrap.token_may_exist and bootstrap.token_store is not None:
        _remove_unfinished(Path(bootstrap.token_store))
    module = load_module(bootstrap, profile)
    with lent_once(bootstrap.so_pin) as so_pin:
        identity = make_token(
            module, label=bootstrap.token_label or "", so_pin=so_pin, may_exist=bootstrap.token_may_exist
        )
    module.finalize()
    sync_store(bootstrap)
    return MadeToken(token_found(identity), [])


def reset_member_token(bootstrap: MemberBootstrap) -> MadeToken:
    """Erase a token, if the officers of the home approved just that. Raises ApprovalRequiredError, PinRefusedError, HsmError."""
    require_approved_reset(bootstrap, now=int(SystemClock().now()))
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    module = load_module(bootstrap, profile)
    serial = "" if bootstrap.reset is None else bootstrap.reset.token_serial
    with lent_once(bootstrap.so_pin) as so_pin:
        identity = reset_token(module, serial, label=bootstrap.token_label or "", so_pin=so_pin)
    module.finalize()
    sync_store(bootstrap)
    return MadeToken(token_found(identity), [])


def set_member_pin(bootstrap: MemberBootstrap) -> MadeToken:
    """Have the security officer set the user PIN (C_InitPIN), log in with it, and try by what the token can wrap.

    What it is set to once more is the same PIN, so it may be repeated. Raises TokenNotFoundError, PinRefusedError, HsmError.
    """
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    module = load_module(bootstrap, profile)
    selector = TokenSelector(serial=bootstrap.token_serial, label=bootstrap.token_label)
    with lent_once(bootstrap.so_pin) as so_pin, lent_once(bootstrap.pin) as user_pin:
        identity = set_user_pin(module, selector, so_pin=so_pin, user_pin=user_pin)
        token = Token.open(module, selector, user_pin, profile=profile)
        tried = _tried(token, until_first=True)
    module.finalize()
    sync_store(bootstrap)
    return MadeToken(token_found(identity), tried)


def probe_member(bootstrap: MemberBootstrap) -> MadeToken:
    """Log in as user and try every wrap algorithm; the PIN of the bootstrap is overwritten then. Raises HsmError."""
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    module = load_module(bootstrap, profile)
    selector = TokenSelector(serial=bootstrap.token_serial, label=bootstrap.token_label)
    with lent_once(bootstrap.pin) as pin:
        token = Token.open(module, selector, pin, profile=profile)
        return MadeToken(token_found(token.identity), _tried(token, until_first=False))


def _tried(token: Token, *, until_first: bool) -> list[WrapTried]:
    try:
        abilities = token.wrap_abilities(until_first=until_first)
    finally:
        token.close()
    return [WrapTried(int(ability.algorithm), ability.variant, ability.missing) for ability in abilities]


def sync_store(bootstrap: MemberBootstrap) -> None:
    """Force SoftHSM's files to disk, which it never does itself."""
    if bootstrap.token_store is not None:
        sync_softhsm_store(Path(bootstrap.token_store))


def _remove_unfinished(store: Path) -> None:
    """Remove tokens of SoftHSM that an interrupted C_InitToken left: their files are not whole, so nobody can use them."""
    for name in protect_softhsm_store(store).lost:
        shutil.rmtree(store / name)


@contextmanager
def lent_once(pin: bytearray) -> Iterator[Secret]:
    """Lend a PIN, and overwrite it afterwards together with the copy that was lent."""
    secret = Secret(pin)
    try:
        yield secret
    finally:
        secret.zeroize()
        pin[:] = bytes(len(pin))


def load_module(bootstrap: MemberBootstrap, profile: Profile) -> Module:
    """Initialise the member's PKCS#11 module; files of SoftHSM are protected first.

    Where the HSM's own log is going to be compared with what we asked of it, all that is counted from here on. Raises TokenNotFoundError, and
    MemberFailedError where it cannot be counted.
    """
    if bootstrap.token_store is not None:
        report = protect_softhsm_store(Path(bootstrap.token_store))
        for what, tokens in (("restored", report.restored), ("lost", report.lost)):
            if tokens:
                LoggedEvents(bootstrap.name).emit(f"softhsm.{what}", tokens=[str(token) for token in tokens])
    try:
        path = bootstrap.module or profile.find_module()
        if not bootstrap.audit_folder:
            return Module.load(path, library_parameters=bootstrap.library_parameters)
        noted = NotedModule.load(path, library_parameters=bootstrap.library_parameters)
        noted.note_to(UseJournal(Path(bootstrap.audit_folder), bootstrap.name, clock=SystemClock()))
        return noted
    except ModuleLoadError as error:
        raise TokenNotFoundError(error.message, next_step=error.next_step) from error


def token_found(identity: TokenIdentity) -> TokenFound:
    """Return an identity as it is told to who started the worker."""
    return TokenFound(
        serial=identity.serial,
        label=identity.label,
        manufacturer=identity.manufacturer,
        model=identity.model,
        firmware=identity.firmware,
    )
