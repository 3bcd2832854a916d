"""A token in memory that counts wrong PINs and locks, and a home whose PINs are changed on it, where anything may be killed."""

import asyncio
import contextlib

import msgspec

from strongroom.config import Home, MemberConfig, PinsConfig, PinSource, SecretSource
from strongroom.core import Secret, SystemClock
from strongroom.hsm.cryptoki import (
    ERROR_CLASSES,
    Attribute,
    SessionInfo,
    SessionState,
    TokenFlag,
    TokenInfo,
    UserType,
)
from strongroom.runtime import _pin_change_files, _pin_changing
from strongroom.runtime._pin_changing import PinChanging
from strongroom.testing import RecordingEvents
from strongroom.wiring import pin_work
from strongroom.wiring.pin_sealing import PinBinding, make_sealing_key, write_sealed_pin

OK, INCORRECT, LOCKED, DEVICE_ERROR = 0, 0xA0, 0xA4, 0x30
FIRST_PIN = b"the-first-pin"
SERIAL = "0123456789abcdef"
PINS = PinsConfig(sealing_key=SecretSource(file="pins/sealing-key"))


class Killed(BaseException):
    """SIGKILL, as seen from inside: nothing after it happens."""


class Fate:
    """Kills at the n-th thing that happens from now on; None: never."""

    def __init__(self):
        self.left = None
        self.kills_after = None
        """Where it happens next, whatever it is, is the end, once."""
        self._last = ""

    def step(self, what):
        last, self._last = self._last, what
        if last and last == self.kills_after:
            raise Killed(what)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed(what)


class LockingToken:
    """The calls of ``hsm.cryptoki.Module`` that changing and proving a PIN make, on one token with one user."""

    def __init__(self, fate, *, tries=3, tells=True):
        """It locks after ``tries`` wrong PINs in a row; ``tells``: by CKF_USER_PIN_COUNT_LOW that one came."""
        self.pin = FIRST_PIN
        self.tries, self.tells = tries, tells
        self.wrong = 0
        self.is_locked = False
        self.refused = []
        self.sent = []
        self.kept = []
        """The values of private data objects, all of one name."""
        self.fails = None
        """A function that fails with CKR_DEVICE_ERROR: before it has an effect, or after ("late:C_SetPIN")."""
        self._fate = fate
        self._session = None

    def slots(self, *, with_token=True):
        return [7]

    def token_info(self, slot):
        flags = TokenFlag.TOKEN_INITIALIZED | TokenFlag.USER_PIN_INITIALIZED
        if self.is_locked:
            flags |= TokenFlag.USER_PIN_LOCKED
        if self.tells and self.wrong:
            flags |= TokenFlag.USER_PIN_COUNT_LOW
        return TokenInfo(
            "t", "m", "m", SERIAL, flags, 0, 0, 0, 0, 255, 4, None, None, None, None, (1, 0), (1, 0), ""
        )  # fmt: skip

    def open_session(self, slot, *, read_write=True):
        self._session = "public"
        return 1

    def close_session(self, session):
        self._session = None

    def logout(self, session):
        self._session = "public"

    def session_info(self, session):
        assert self._session is SessionState.RW_USER_FUNCTIONS, "nobody is logged in already"
        return SessionInfo(7, self._session, 0, 0)

    def find_objects(self, session, template, *, limit=1024):
        assert self._session is SessionState.RW_USER_FUNCTIONS
        return list(range(len(self.kept)))

    def get_attributes(self, session, handle, attributes):
        return {Attribute.VALUE: self.kept[handle]}

    def login(self, session, user, pin):
        assert user is UserType.USER
        with self._call("C_Login"):
            self.sent.append(pin)
            self._compare(pin)
            self._session = SessionState.RW_USER_FUNCTIONS

    def set_pin(self, session, old, new):
        assert self._session is SessionState.RW_USER_FUNCTIONS
        with self._call("C_SetPIN"):
            self._compare(old)
            self.pin = new

    def unlock_by_hand(self):
        """What a person does with the vendor's tool: a login with the right PIN."""
        assert not self.is_locked
        self.wrong = 0
        self.refused.clear()

    @contextlib.contextmanager
    def _call(self, function):
        self._fate.step(f"before {function}")
        if self.fails == function:
            self.fails = None
            raise _error(DEVICE_ERROR, function)
        yield
        self._fate.step(f"after {function}")
        if self.fails == f"late:{function}":
            self.fails = None
            raise _error(DEVICE_ERROR, function)

    def _compare(self, pin):
        if self.is_locked:
            raise _error(LOCKED, "C_Login")
        if pin != self.pin:
            self.refused.append(pin)
            self.wrong += 1
            self.is_locked = self.wrong >= self.tries
            raise _error(INCORRECT, "C_Login")
        self.wrong = 0


def _error(ckr, function):
    return ERROR_CLASSES[ckr](function, ckr=ckr, function=function)


class RotatingHome:
    """A home with one member on a ``LockingToken``; every process of it is a few calls here, and may be killed."""

    def __init__(self, root, *, tries=3, tells=True):
        self.home = Home(root)
        self.fate = Fate()
        self.token = LockingToken(self.fate, tries=tries, tells=tells)
        changes = {"pin_tries": tries, "pin_count_flags": tells}
        self.member = MemberConfig(
            name="alpha",
            profile="nss",
            profile_changes=changes,
            pin=PinSource(sealed="pins/alpha.sealed"),
            token_serial=SERIAL,
        )
        self.key = make_sealing_key(root / "pins" / "sealing-key")
        write_sealed_pin(self.stored, self.key.seal(Secret(FIRST_PIN), self.binding, at=1))
        self.events = RecordingEvents()

    @property
    def binding(self):
        return PinBinding.of(self.member)

    @property
    def stored(self):
        return self.home.root / "pins" / "alpha.sealed"

    @property
    def change(self):
        return self.changing().change_of(self.member)

    def changing(self):
        """What a new main process has."""
        return PinChanging(self.home, PINS, events=self.events, clock=SystemClock(), run=self._run)

    def known_pins(self):
        """Every PIN of the member that is on disk, sealed."""
        lines = [self.stored.read_bytes()]
        change = self.change
        if change is not None and change.sealed:
            lines.append(change.sealed.encode())
        return {self.key.open(line, self.binding).reveal() for line in lines}

    def begin(self):
        """What ``strongroom pin rotate`` has main do first."""
        return asyncio.run(self.changing().begin(self.member, asked_by="local/0"))

    def start(self):
        """What a start of the member does before its worker logs in; returns the PIN that it gets."""
        return asyncio.run(self.changing().ready_pin(self.member)).reveal()

    async def _run(self, bootstrap, environment):
        bootstrap = msgspec.structs.replace(bootstrap, token_store=None)
        load = lambda _bootstrap, _profile: self.token  # noqa: E731
        if bootstrap.mode == "change-pin":
            pin_work.change_member_pin(bootstrap, load=load)
        else:
            pin_work.prove_member_pin(bootstrap, load=load)


@contextlib.contextmanager
def killable_writes(fate, *more):
    """Have every durable write of a change be a step that may be the last, before it or after it. ``more``: modules and names."""
    before = [
        (module, name, getattr(module, name))
        for module, name in ((_pin_change_files, "write_change"), (_pin_changing, "write_sealed_pin"), (pin_work, "write_change"), *more)
    ]  # fmt: skip

    def killable(name, write):
        def wrapped(*arguments, **named):
            fate.step(f"before {name}")
            write(*arguments, **named)
            fate.step(f"after {name}")

        return wrapped

    for module, name, write in before:
        setattr(module, name, killable(name, write))
    try:
        yield
    finally:
        for module, name, write in before:
            setattr(module, name, write)
