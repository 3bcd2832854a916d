"""Builds a member worker: module, token, gate and sockets."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from strongroom.core import (
    ApprovalGate,
    ConfigError,
    Secret,
    SystemClock,
    TokenNotFoundError,
    WrapAlgorithm,
)
from strongroom.hsm.cryptoki import Module, ModuleLoadError
from strongroom.hsm.token import (
    Profile,
    Role,
    Token,
    TokenIdentity,
    TokenSelector,
    UnkeptAttempts,
    initialise_token,
    load_profile,
    protect_softhsm_store,
    sync_softhsm_store,
)
from strongroom.hsm.worker import Admission, MemberWorker, TokenPerformer, WorkerHealth
from strongroom.wiring.bootstrap import MemberBootstrap, TokenFound, WrapTried
from strongroom.wiring.events import LoggedEvents
from strongroom.wiring.pin_attempts import PinAttemptFile
from strongroom.wiring.standing_gate import StandingGate


class InitialisationGate:
    """Lets every admin verb through: for the workers of ``init`` only, before anybody else can reach them.

    Such a worker is started by ``init`` itself, through a pipe, on a home that serves nobody yet.
    """

    def check(self, verb: str, parameters: Mapping[str, object]) -> None:
        """Allow."""


class MadeToken(NamedTuple):
    """A token that was initialised or tried, and what it can do."""

    token: TokenFound
    wrapping: list[WrapTried]


class BuiltMember(NamedTuple):
    """A worker that is ready to listen."""

    worker: MemberWorker
    token: TokenFound
    broken_because: Callable[[], str | None]
    """Why the token was given up, once it was."""


def build_member(bootstrap: MemberBootstrap) -> BuiltMember:
    """Load the module, log in once, and put the worker together. Must run inside its event loop.

    The PIN of the bootstrap is overwritten, whether it was taken or not: the token keeps the one copy, to log in
    again when it loses the login. What the profile says is proved on the token first: a worker that fails this does
    not serve.
    Raises TokenNotFoundError, PinRefusedError, ConfigError and other HsmErrors.
    """
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    module = _load(bootstrap, profile)
    role = Role.SECURITY_OFFICER if bootstrap.mode == "officer" else Role.USER
    selector = TokenSelector(serial=bootstrap.token_serial, label=bootstrap.token_label)
    attempts = _attempts(bootstrap)
    with _lent_once(bootstrap.pin) as pin:
        token = Token.open(
            module,
            selector,
            pin,
            profile=profile,
            role=role,
            pin_refused=(lambda _pin: None) if attempts is None else attempts.refused,
            pin_attempts=attempts or UnkeptAttempts(),
            wrap_algorithm=_wrap_algorithm(bootstrap),
        )
    if role is Role.USER:  # the security officer can make no key
        _prove(token)
    gate: ApprovalGate = StandingGate() if bootstrap.mode == "serve" else InitialisationGate()
    performer = TokenPerformer(
        token,
        gate,
        use_limit_s=profile.operation_limit_s,
        admin_limit_s=profile.admin_operation_limit_s,
    )
    clock = SystemClock()
    health = WorkerHealth(lambda: token.recoveries, profile, clock=clock)
    worker = MemberWorker(
        performer,
        threads=profile.threads,
        clock=clock,
        health=health,
        admission=Admission(
            clock, calls_per_s=bootstrap.calls_per_s or profile.calls_per_s, burst=profile.burst
        ),
        admin_pid=bootstrap.parent_pid,
    )
    return BuiltMember(worker, _found(token.identity), lambda: token.broken_because)


def initialise_member(bootstrap: MemberBootstrap) -> MadeToken:
    """Initialise the member's blank token, set its user PIN, and try by what it can wrap.

    Both PINs of the bootstrap are overwritten then. Raises TokenNotFoundError when no token is blank.
    """
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    module = _load(bootstrap, profile)
    with _lent_once(bootstrap.so_pin) as so_pin, _lent_once(bootstrap.pin) as user_pin:
        identity = initialise_token(
            module, label=bootstrap.token_label or "", so_pin=so_pin, user_pin=user_pin
        )
        token = Token.open(module, TokenSelector(serial=identity.serial), user_pin, profile=profile)
        tried = _tried(token, until_first=True)
    module.finalize()
    sync_store(bootstrap)
    return MadeToken(_found(identity), tried)


def probe_member(bootstrap: MemberBootstrap) -> MadeToken:
    """Log in as user and try every wrap algorithm; the PIN of the bootstrap is overwritten then. Raises HsmError."""
    profile = load_profile(bootstrap.profile, bootstrap.profile_changes)
    module = _load(bootstrap, profile)
    selector = TokenSelector(serial=bootstrap.token_serial, label=bootstrap.token_label)
    with _lent_once(bootstrap.pin) as pin:
        token = Token.open(module, selector, pin, profile=profile)
        return MadeToken(_found(token.identity), _tried(token, until_first=False))


def _tried(token: Token, *, until_first: bool) -> list[WrapTried]:
    try:
        abilities = token.wrap_abilities(until_first=until_first)
    finally:
        token.close()
    return [WrapTried(int(ability.algorithm), ability.variant, ability.missing) for ability in abilities]


def _attempts(bootstrap: MemberBootstrap) -> PinAttemptFile | None:
    """What keeps tries and refusals, so that a PIN is not sent again and again whatever becomes of this worker."""
    if bootstrap.pin_attempt_path is None or bootstrap.pin_refusal_path is None:
        return None

    def not_kept(cause: str) -> None:
        LoggedEvents(bootstrap.name).emit("pin.refusal_not_kept", member=bootstrap.name, cause=cause)

    return PinAttemptFile(
        Path(bootstrap.pin_attempt_path),
        Path(bootstrap.pin_refusal_path),
        token_serial=bootstrap.token_serial,
        token_label=bootstrap.token_label,
        not_kept=not_kept,
    )


def _prove(token: Token) -> None:
    try:
        token.prove_profile()
    except BaseException:
        token.close()
        raise


def _wrap_algorithm(bootstrap: MemberBootstrap) -> WrapAlgorithm | None:
    if bootstrap.wrap_algorithm is None:
        return None
    try:
        return WrapAlgorithm(bootstrap.wrap_algorithm)
    except ValueError:
        raise ConfigError(f"wrap algorithm {bootstrap.wrap_algorithm} is not known") from None


def sync_store(bootstrap: MemberBootstrap) -> None:
    """Force SoftHSM's files to disk, which it never does itself."""
    if bootstrap.token_store is not None:
        sync_softhsm_store(Path(bootstrap.token_store))


@contextmanager
def _lent_once(pin: bytearray) -> Iterator[Secret]:
    """Lend a PIN, and overwrite it afterwards together with the copy that was lent."""
    secret = Secret(pin)
    try:
        yield secret
    finally:
        secret.zeroize()
        pin[:] = bytes(len(pin))


def _load(bootstrap: MemberBootstrap, profile: Profile) -> Module:
    if bootstrap.token_store is not None:
        report = protect_softhsm_store(Path(bootstrap.token_store))
        for what, tokens in (("restored", report.restored), ("lost", report.lost)):
            if tokens:
                LoggedEvents(bootstrap.name).emit(f"softhsm.{what}", tokens=[str(token) for token in tokens])
    try:
        path = bootstrap.module or profile.find_module()
        return Module.load(path, library_parameters=bootstrap.library_parameters)
    except ModuleLoadError as error:
        raise TokenNotFoundError(error.message, next_step=error.next_step) from error


def _found(identity: TokenIdentity) -> TokenFound:
    return TokenFound(
        serial=identity.serial,
        label=identity.label,
        manufacturer=identity.manufacturer,
        model=identity.model,
        firmware=identity.firmware,
    )
