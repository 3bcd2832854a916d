"""What a child process is told through its standard input, and what it answers on its standard output.

One frame each way (``hsm.wire``). Nothing of it ever stands in an argument or in the environment.
"""

import os
from typing import Final, Literal, TypeVar

import msgspec

from strongroom.hsm.wire import MAX_FRAME_BYTES, Failure, FrameError, failure_from, frame

T = TypeVar("T")

MemberMode = Literal[
    "serve",
    "administer",
    "officer",
    "initialise",
    "probe",
    "make-token",
    "set-user-pin",
    "reset-token",
    "change-pin",
    "prove-pin",
]
"""``serve``: logged in as user, admin verbs refused. ``administer`` and ``officer`` (logged in as user and as
security officer) accept admin verbs and are used by ``init`` only. ``initialise`` initialises a blank token and ends.
``probe`` tries what the token can do, as user, and ends. ``make-token`` and ``set-user-pin`` are the two halves of
``initialise``, each of which may be repeated after an interruption. ``change-pin`` logs in and sets another PIN, under an approval,
``prove-pin`` logs in with it (``wiring.pin_work``). ``reset-token`` erases a token under an approval."""
PIN_MODES: Final = frozenset({"change-pin", "prove-pin"})
ONCE_MODES: Final = frozenset({"initialise", "probe", "make-token", "set-user-pin", "reset-token"})
"""The modes of a worker that does one thing and ends (``wiring.member_tokens``)."""


class ApprovedReset(msgspec.Struct, frozen=True):
    """Which token is to be erased, and what proves that officers approved it."""

    token_serial: str
    records: list[bytes]
    """The chain behind the genesis."""
    request: bytes
    signatures: list[bytes]


class ApprovedChange(msgspec.Struct, frozen=True):
    """What proves that officers approved a change of a PIN (``AdmitAct``)."""

    records: list[bytes]
    """The chain behind the genesis."""
    request: bytes
    signatures: list[bytes]
    executed: int
    """When main began it."""
    parameters: bytes
    """Under a standing approval."""


class MemberBootstrap(msgspec.Struct, frozen=True):
    """Everything a member worker has to know."""

    mode: MemberMode
    name: str
    profile: str
    parent_pid: int
    pin: bytearray
    """User PIN, or the security officer's in the mode ``officer``; overwritten once the token has its copy."""
    profile_changes: dict[str, str | int | float | bool | list[str]] = {}
    module: str | None = None
    library_parameters: str | None = None
    wrap_algorithm: int | None = None
    """``core.WrapAlgorithm`` of the cluster; the worker refuses every other. None before the cluster has one."""
    token_serial: str | None = None
    token_label: str | None = None
    use_path: str = ""
    admin_path: str = ""
    token_store: str | None = None
    """Folder of SoftHSM's tokens, to be protected; None for a real HSM."""
    token_config: str | None = None
    """SoftHSM's configuration, when it lies in the home: to be kept pointing at ``token_store``."""
    pin_refusal_path: str | None = None
    """Where the worker leaves the marker of a refused PIN (``wiring.pin_refusals``); None: nowhere."""
    pin_attempt_path: str | None = None
    """Where the worker notes that it tries its PIN (``wiring.pin_attempts``); None: nowhere."""
    genesis: bytes = b""
    """By which the officers of the home began; empty: the home has no custody."""
    custody_folder: str = ""
    """``Home.custody``: where the member remembers what was done under approvals."""
    calls_per_s: float = 0.0
    """Use verbs a second that the worker lets through; 0 = as its profile says."""
    approved_only: bool = False
    """Whether the home is in FIPS mode: the token refuses what is not approved (``hsm.token``), whoever asks."""
    so_pin: bytearray = bytearray()
    """Of the modes that initialise only; overwritten too."""
    new_pin: bytearray = bytearray()
    """Of the mode ``change-pin``: what ``pin`` is replaced by; overwritten too."""
    pin_role: Literal["user", "so"] = "user"
    """Of the modes ``change-pin`` and ``prove-pin``: whose PIN it is."""
    pin_tried_as: Literal["old", "new"] = "new"
    """Of the mode ``prove-pin``: which of the two PINs of the change it is."""
    pin_change_path: str | None = None
    """The record of the PIN's last change (``wiring.pin_changes``)."""
    approved_change: ApprovedChange | None = None
    """Of the mode ``change-pin``, in a home with officers."""
    token_may_exist: bool = False
    """Of the mode ``make-token``: whether an earlier try may have made the token."""
    reset: ApprovedReset | None = None
    """Of the mode ``reset-token``."""

    audit_folder: str = ""
    """Where the worker counts what it asks of the HSM (``vendorlogs``); empty: the HSM's own log is not compared with it."""

    def __repr__(self) -> str:
        return f"MemberBootstrap({self.mode} {self.name})"


class ApiBootstrap(msgspec.Struct, frozen=True):
    """Everything an API process has to know."""

    home: str
    control_path: str
    writer: str
    """Name of its audit log."""
    parent_pid: int
    listener_fd: int


class TokenFound(msgspec.Struct, frozen=True):
    """Which token a worker serves."""

    serial: str
    label: str
    manufacturer: str
    model: str
    firmware: str


class WrapTried(msgspec.Struct, frozen=True):
    """Whether a token can do a wrap algorithm (``hsm.token.WrapAbility``)."""

    algorithm: int
    variant: str
    missing: str | None


class Started(msgspec.Struct, frozen=True):
    """A child's answer: it is at work, or why not."""

    token: TokenFound | None = None
    failure: Failure | None = None
    protections: list[str] = []
    """What of the memory protection the system refused, in words."""
    wrapping: list[WrapTried] = []
    """Of the modes ``initialise`` (up to the first that works) and ``probe`` (all): what was tried, the best first."""


def started_frame(started: Started) -> bytes:
    """Encode the answer."""
    return frame(msgspec.msgpack.encode(started))


def failed_frame(error: Exception) -> bytes:
    """Encode the answer of a child that cannot start."""
    return started_frame(Started(failure=failure_from(error)))


def read_bootstrap(descriptor: int, kind: type[T]) -> T:
    """Read the one frame on standard input. Raises FrameError when it is no such frame.

    Past Python's own buffer of standard input, which would keep a PIN for as long as the process lives; the frame
    is overwritten once it was decoded.
    """
    length = int.from_bytes(_exactly(descriptor, 4), "big")
    if length > MAX_FRAME_BYTES:
        raise FrameError("the bootstrap frame is too long")
    payload = _exactly(descriptor, length)
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except msgspec.MsgspecError as error:
        raise FrameError("the bootstrap frame has the wrong form") from error
    finally:
        payload[:] = bytes(length)


def _exactly(descriptor: int, n_bytes: int) -> bytearray:
    data, filled = bytearray(n_bytes), 0
    with memoryview(data) as view:
        while filled < n_bytes:
            came = os.readv(descriptor, [view[filled:]])
            if not came:
                raise FrameError("standard input ended before the bootstrap frame was complete")
            filled += came
    return data
