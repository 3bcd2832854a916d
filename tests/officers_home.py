"""A home whose member's security officer gets another PIN, on a token in memory that locks."""

import asyncio

import pyrage

from fakes_pins import FIRST_PIN, LockingToken, RotatingHome
from strongroom.core import Secret, SystemClock
from strongroom.hsm.cryptoki import SessionState, UserType
from strongroom.runtime._pin_officers import OfficerPins
from strongroom.wiring.pin_changes import read_change
from strongroom.wiring.pin_delivery import open_delivery

WRONG = b"it is not this one"


class OfficersToken(LockingToken):
    """The same token, where a security officer logs in."""

    def login(self, session, user, pin):
        assert user is UserType.SECURITY_OFFICER
        super().login(session, UserType.USER, pin)

    def set_pin(self, session, old, new):
        assert self._session is SessionState.RW_USER_FUNCTIONS
        super().set_pin(session, old, new)


class OfficersHome(RotatingHome):
    """A home whose member's security officer gets another PIN."""

    def __init__(self, root, *, tries=3):
        super().__init__(root, tries=tries, tells=False)
        self.token = OfficersToken(self.fate, tries=tries, tells=False)
        self.identity = pyrage.x25519.Identity.generate()
        self._opened = set()

    @property
    def path(self):
        return self.home.pin_changes / "alpha.so"

    @property
    def record(self):
        return read_change(self.path)

    def rotate(self, present):
        officers = OfficerPins(self.home, events=self.events, clock=SystemClock(), run=self._run)
        work = officers.change(
            self.member, Secret(present), [str(self.identity.to_public())], asked_by="local/0", approval=""
        )
        return asyncio.run(work)

    def delivered(self):
        """The new PIN, as an officer reads it."""
        letter = open_delivery(self.home.root / self.record.delivery, str(self.identity).encode())
        return letter.pin.encode()

    def known_to_officers(self):
        """The PIN that they had in the beginning, and each that a delivery holds which lies here or lay here."""
        for path in (self.home.root / "custody" / "deliveries").glob("*.age"):
            self._opened.add(open_delivery(path, str(self.identity).encode()).pin.encode())
        return {FIRST_PIN, *self._opened}
