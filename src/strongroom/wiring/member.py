"""Builds a member worker: module, token, gate and sockets."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from strongroom.core import (
    Clock,
    ConfigError,
    SystemClock,
    WrapAlgorithm,
)
from strongroom.hsm.token import (
    Profile,
    Role,
    Token,
    TokenSelector,
    UnkeptAttempts,
    load_profile,
)
from strongroom.hsm.worker import Admission, MemberWorker, TokenPerformer, WorkerHealth
from strongroom.wiring.bootstrap import MemberBootstrap, TokenFound
from strongroom.wiring.custody_gate import MemberCustody, member_custody
from strongroom.wiring.events import LoggedEvents
from strongroom.wiring.member_tokens import lent_once, load_module, token_found
from strongroom.wiring.pin_attempts import PinAttemptFile


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
    module = load_module(bootstrap, profile)
    role = Role.SECURITY_OFFICER if bootstrap.mode == "officer" else Role.USER
    selector = TokenSelector(serial=bootstrap.token_serial, label=bootstrap.token_label)
    attempts = _attempts(bootstrap)
    with lent_once(bootstrap.pin) as pin:
        token = Token.open(
            module,
            selector,
            pin,
            profile=profile,
            role=role,
            pin_refused=(lambda _pin: None) if attempts is None else attempts.refused,
            pin_attempts=attempts or UnkeptAttempts(),
            wrap_algorithm=_wrap_algorithm(bootstrap),
            approved_only=bootstrap.approved_only,
        )
    if role is Role.USER:  # the security officer can make no key
        _prove(token)
    clock = SystemClock()
    custody = _custody(bootstrap, token, profile, clock)
    performer = TokenPerformer(
        token,
        custody,
        use_limit_s=profile.operation_limit_s,
        admin_limit_s=profile.admin_operation_limit_s,
        custody=custody,
    )
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
    return BuiltMember(worker, token_found(token.identity), lambda: token.broken_because)


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
        change_path=None if bootstrap.pin_change_path is None else Path(bootstrap.pin_change_path),
    )


def _custody(bootstrap: MemberBootstrap, token: Token, profile: Profile, clock: Clock) -> MemberCustody:
    try:
        return member_custody(bootstrap, token, profile, clock=clock)
    except BaseException:
        token.close()
        raise


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
