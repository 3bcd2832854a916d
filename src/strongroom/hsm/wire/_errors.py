"""Errors across the socket: by the name of their class, so both ends raise the same type."""

from typing import Never

from strongroom.core import (
    ApprovalRequiredError,
    HsmError,
    HsmIntegrityError,
    HsmKeyLimitError,
    HsmKeyNotFoundError,
    HsmKeyQuarantinedError,
    HsmOutcomeUnknownError,
    HsmRequestError,
    MemberBusyError,
    MemberDeadlineError,
    MemberFailedError,
    MemberReadOnlyError,
    NoMemberError,
    PinRefusedError,
    StrongroomError,
    TokenNotFoundError,
    TooFewMembersError,
)
from strongroom.hsm.wire._messages import Failure

_HSM_ERRORS: dict[str, type[HsmError]] = {
    error.__name__: error
    for error in (
        HsmError,
        HsmIntegrityError,
        HsmKeyLimitError,
        HsmKeyNotFoundError,
        HsmKeyQuarantinedError,
        HsmOutcomeUnknownError,
        HsmRequestError,
        MemberBusyError,
        MemberDeadlineError,
        MemberFailedError,
        MemberReadOnlyError,
        NoMemberError,
        PinRefusedError,
        TokenNotFoundError,
        TooFewMembersError,
    )
}


def failure_from(error: Exception) -> Failure:
    """Describe an error for the other end: the nearest class that both ends know.

    An error that is none of ours is described by its type alone, since its text might hold anything.
    """
    if isinstance(error, ApprovalRequiredError):
        return Failure(ApprovalRequiredError.__name__, error.message, None, error.next_step)
    if isinstance(error, StrongroomError):
        kind = next(
            (cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _HSM_ERRORS), "MemberFailedError"
        )
        ckr = error.ckr if isinstance(error, HsmError) else None
        return Failure(kind, error.message, ckr, error.next_step)
    return Failure("MemberFailedError", f"unexpected {type(error).__name__} in the worker", None, None)


def error_of(failure: Failure) -> StrongroomError:
    """Make the error that the other end described."""
    if failure.kind == ApprovalRequiredError.__name__:
        return ApprovalRequiredError(failure.message, next_step=failure.next_step)
    error_class = _HSM_ERRORS.get(failure.kind, MemberFailedError)
    return error_class(failure.message, ckr=failure.ckr, next_step=failure.next_step)


def raise_failure(failure: Failure) -> Never:
    """Raise what the other end described."""
    raise error_of(failure)
