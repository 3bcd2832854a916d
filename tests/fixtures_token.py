"""A PKCS#11 module in memory: real sessions, login, objects and AES-GCM, and faults on demand.

It has the methods of ``strongroom.hsm.cryptoki.Module`` that ``hsm.token`` calls on a loaded module. Return
values are those that SoftHSM 2.6.1 gives, CKR_GENERAL_ERROR for a wrong tag among them.
"""

import os
import shutil
import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from types import SimpleNamespace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import RootId, Secret
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import Attribute, SessionState, TokenFlag, UserType
from strongroom.hsm.token import Token, TokenSelector, load_profile, write_softhsm_config

USABLE = TokenFlag.TOKEN_INITIALIZED | TokenFlag.USER_PIN_INITIALIZED | TokenFlag.LOGIN_REQUIRED


ROOT = RootId(bytes(range(16)))
KEY = Secret(b"k" * 32)
AAD = b"domain 1, version 1"
PIN = Secret(b"1234")


def open_token(module, *, label="a", serial=None, pin=PIN):
    """Open a token of a fake module."""
    selector = TokenSelector(serial=serial, label=None if serial else label)
    return Token.open(module, selector, pin, profile=load_profile("softhsm2"))


class FakeModule:
    """One process' view of some tokens; slots are numbered from 0. ``faults[method]`` lists errors to raise next."""

    def __init__(self, *labels, pin=b"1234", max_session_count=0):
        self.pin = pin
        self.tokens = [
            SimpleNamespace(
                label=label,
                serial=f"{slot:016x}",
                manufacturer="Fake",
                model="memory",
                flags=USABLE,
                max_session_count=max_session_count,
                firmware_version=(1, 2),
                objects={},
                user=None,
            )
            for slot, label in enumerate(labels)
        ]
        self.sessions = {}
        self.faults = defaultdict(deque)
        self.login_tries = 0
        self.opened = 0
        self._next_handle = 1
        self._lock = threading.Lock()

    def _trip(self, method):
        if self.faults[method]:
            make_error = self.faults[method].popleft()
            raise make_error()

    def _token(self, session):
        if session not in self.sessions:
            raise cryptoki.SessionHandleInvalidError
        return self.tokens[self.sessions[session]]

    def _object(self, session, handle, error=cryptoki.KeyHandleInvalidError):
        token = self._token(session)
        if handle not in token.objects:
            raise error
        if token.user is None:
            raise cryptoki.UserNotLoggedInError
        return token.objects[handle]

    def _number(self):
        with self._lock:
            self._next_handle += 1
            return self._next_handle

    def slots(self, *, with_token=True):
        self._trip("slots")
        return list(range(len(self.tokens)))

    def token_info(self, slot):
        return self.tokens[slot]

    def open_session(self, slot, *, read_write=True):
        self._trip("open_session")
        limit = self.tokens[slot].max_session_count
        if limit and len(self.sessions) >= limit:
            raise cryptoki.SessionCountError
        session = self._number()
        self.sessions[session] = slot
        self.opened += 1
        return session

    def close_session(self, session):
        token = self._token(session)
        slot = self.sessions.pop(session)
        if slot not in self.sessions.values():
            token.user = None

    def session_info(self, session):
        state = {
            None: SessionState.RW_PUBLIC_SESSION,
            UserType.USER: SessionState.RW_USER_FUNCTIONS,
            UserType.SECURITY_OFFICER: SessionState.RW_SO_FUNCTIONS,
        }[self._token(session).user]
        return SimpleNamespace(slot=self.sessions[session], state=state)

    def login(self, session, user, pin):
        token = self._token(session)
        self.login_tries += 1
        self._trip("login")
        if token.user is not None:
            raise cryptoki.UserAlreadyLoggedInError
        if pin != self.pin:
            raise cryptoki.PinIncorrectError
        token.user = user

    def logout(self, session):
        self._token(session).user = None

    def find_objects(self, session, template, *, limit=1024):
        self._trip("find_objects")
        token = self._token(session)
        visible = token.objects.items() if token.user is UserType.USER else ()
        fitting = [h for h, o in visible if all(o.get(name) == value for name, value in template.items())]
        return fitting[:limit]

    def get_attributes(self, session, handle, names):
        self._trip("get_attributes")
        found = self._object(session, handle, cryptoki.ObjectHandleInvalidError)
        if found.get("ghost"):
            raise cryptoki.AttributeValueInvalidError
        return {name: found[name] for name in names if name in found}

    def generate_key(self, session, mechanism, template):
        self._trip("generate_key")
        key = os.urandom(32)
        made = {Attribute.LOCAL: True, Attribute.ALWAYS_SENSITIVE: True, Attribute.NEVER_EXTRACTABLE: False}
        return self.add(session, {**template, **made, Attribute.CHECK_VALUE: key[:3], "key": key})

    def add(self, session, attributes):
        handle = self._number()
        self._token(session).objects[handle] = dict(attributes)
        return handle

    def destroy_object(self, session, handle):
        self._object(session, handle, cryptoki.ObjectHandleInvalidError)
        del self._token(session).objects[handle]

    def generate_random(self, session, n_bytes):
        self._token(session)
        self._trip("generate_random")
        return os.urandom(n_bytes)

    def encrypt(self, session, mechanism, key, data):
        self._token(session)
        self._trip("encrypt")
        return AESGCM(self._object(session, key)["key"]).encrypt(mechanism.iv, data, mechanism.aad)

    def decrypt(self, session, mechanism, key, data):
        self._token(session)
        self._trip("decrypt")
        try:
            return AESGCM(self._object(session, key)["key"]).decrypt(mechanism.iv, data, mechanism.aad)
        except InvalidTag:
            raise cryptoki.GeneralError from None


@contextmanager
def softhsm_module(folder):
    """Load SoftHSM with a token directory of its own below ``folder``; it is finalised at the end.

    SoftHSM keeps one configuration per loaded library, and other tests load it too. A copy of the file is a
    library of its own to the loader.
    """
    library = folder / "libsofthsm2-copy.so"
    shutil.copyfile(load_profile("softhsm2").find_module(), library)
    write_softhsm_config(folder / "softhsm2.conf", folder / "tokens")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    try:
        module = cryptoki.Module.load(str(library))
    finally:
        os.environ.pop("SOFTHSM2_CONF")
        if before is not None:
            os.environ["SOFTHSM2_CONF"] = before
    try:
        yield module
    finally:
        module.finalize()
