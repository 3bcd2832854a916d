"""The error tree.

StrongroomError                  root of all our errors; carries what to do next
├── ConfigError                  the configuration file or environment is wrong
├── HomeError                    the home directory is absent, locked, half made or of another version
├── StorageError                 the database refused or failed
├── AuditUnavailableError        the audit log cannot be written, so the operation was refused
├── ApprovalRequiredError        the approval gate refused an admin verb
├── VerificationFailedError      a signature or a MAC does not verify
└── HsmError                     anything that has to do with an HSM; ``ckr`` is the PKCS#11 return value
    ├── MemberFailedError        this member could not; another may (retryable)
    │   ├── MemberDeadlineError  it did not answer in time (retryable)
    │   ├── MemberBusyError      it has more to do than it may; nothing is wrong with it (retryable)
    │   ├── MemberReadOnlyError  it takes no new keys at the moment, but serves those that it holds (retryable)
    │   └── HsmKeyNotFoundError  it does not hold the object (retryable; drift)
    ├── NoMemberError            no member could (retryable by the caller's caller, later)
    ├── TokenNotFoundError       not exactly one token fits the selector
    ├── PinRefusedError          the token refused the PIN: never tried again by itself
    ├── HsmOutcomeUnknownError   a change failed, and it cannot be told whether it happened; never repeated blindly
    └── HsmRequestError          the request itself is wrong; no other member will do better
        └── HsmIntegrityError    authentication of a wrapped key failed: tampering or the wrong binding

``core._hsm_keys`` has three more, of keys that are not made or not to be used. Rooms add errors of their own below one of these. Only ``hsm.cluster`` retries, by ``retryable``.
"""

from typing import ClassVar


class StrongroomError(Exception):
    """Root of every error this package raises on purpose.

    ``message`` says what happened, ``next_step`` what the operator can do about it. Neither ever holds a
    secret.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return self.message if self.next_step is None else f"{self.message} ({self.next_step})"


class ConfigError(StrongroomError):
    """The configuration file or the environment is wrong."""


class HomeError(StrongroomError):
    """The home directory is absent, locked by another process, half initialised or of another version."""


class StorageError(StrongroomError):
    """The database refused or failed; nothing of the transaction was kept."""


class AuditUnavailableError(StrongroomError):
    """The audit log cannot be written: the operation was refused, or its outcome is withheld."""


class ApprovalRequiredError(StrongroomError):
    """The approval gate refused an admin verb."""


class VerificationFailedError(StrongroomError):
    """A signature or a MAC does not verify: not by this key, of other data, or malformed."""


class HsmError(StrongroomError):
    """Anything that has to do with an HSM. ``ckr`` is the PKCS#11 return value, where there was one."""

    def __init__(self, message: str, *, ckr: int | None = None, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.ckr = ckr


class MemberFailedError(HsmError):
    """This member could not do it; another member may."""

    retryable = True


class MemberDeadlineError(MemberFailedError):
    """The member did not answer before the deadline of the attempt."""


class MemberBusyError(MemberFailedError):
    """The member takes no more calls for the moment: its rate limit or its HSM's throttle. No reason to suspect it."""


class MemberReadOnlyError(MemberFailedError):
    """The member refuses to make, change or destroy keys at the moment; it serves those that it holds."""


class HsmKeyNotFoundError(MemberFailedError):
    """The member does not hold the object that was named by its CKA_ID."""


class NoMemberError(HsmError):
    """No member of the cluster could do it before the deadline."""


class TokenNotFoundError(HsmError):
    """Not exactly one token fits the selector, or the module cannot be loaded."""


class PinRefusedError(HsmError):
    """The token refused the PIN (or says that it is locked). It is not tried again until it was changed."""


class HsmOutcomeUnknownError(HsmError):
    """A change failed half-way and no look-up could tell whether it happened: look for the object before repeating it."""


class HsmRequestError(HsmError):
    """The request is wrong in itself: no other member will do better."""


class HsmIntegrityError(HsmRequestError):
    """A wrapped key did not authenticate: it was tampered with, or is bound to something else."""
