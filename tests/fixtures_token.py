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

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.core import RootId, Secret
from strongroom.hsm import cryptoki
from strongroom.hsm.cryptoki import Attribute, SessionState, TokenFlag, UserType
from strongroom.hsm.token import (
    Token,
    TokenSelector,
    UnkeptAttempts,
    load_profile,
    write_softhsm_config,
)

USABLE = TokenFlag.TOKEN_INITIALIZED | TokenFlag.USER_PIN_INITIALIZED | TokenFlag.LOGIN_REQUIRED


ROOT = RootId(bytes(range(16)))
KEY = Secret(b"k" * 32)
AAD = b"domain 1, version 1"
PIN = Secret(b"1234")


def open_token(
    module,
    *,
    label="a",
    serial=None,
    pin=PIN,
    pin_refused=lambda pin: None,
    pin_attempts=UnkeptAttempts(),  # noqa: B008  # keeps nothing
    **profile,
):
    """Open a token of a fake module; ``profile`` changes fields of SoftHSM's."""
    selector = TokenSelector(serial=serial, label=None if serial else label)
    changed = msgspec.structs.replace(load_profile("softhsm2"), **profile)
    return Token.open(
        module, selector, pin, profile=changed, pin_refused=pin_refused, pin_attempts=pin_attempts
    )


_FUNCTIONS = {
    "slots": "C_GetSlotList",
    "open_session": "C_OpenSession",
    "login": "C_Login",
    "find_objects": "C_FindObjects",
    "get_attributes": "C_GetAttributeValue",
    "session_info": "C_GetSessionInfo",
    "token_info": "C_GetTokenInfo",
    "generate_key": "C_GenerateKey",
    "destroy_object": "C_DestroyObject",
    "generate_random": "C_GenerateRandom",
    "encrypt": "C_Encrypt",
    "decrypt": "C_Decrypt",
    "finalize": "C_Finalize",
    "initialize": "C_Initialize",
}


class FakeModule:
    """One process' view of some tokens; slots are numbered from 0. ``faults[method]`` lists errors to raise next.

    ``late_faults[method]`` are raised after the work was done. While ``dead`` names an error, every call on a session
    raises it, until the module was initialised anew.
    """

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
                max_rw_session_count=0,
                firmware_version=(1, 2),
                objects={},
                user=None,
            )
            for slot, label in enumerate(labels)
        ]
        self.sessions = {}
        self.faults = defaultdict(deque)
        self.late_faults = defaultdict(deque)
        self.dead = None
        self.unseen = set()  # handles of what others made, of a module that looks when it is initialised only
        self.is_initialized = True
        self.initialisations = 1
        self.calls = 0
        self.login_tries = 0
        self.opened = 0
        self._next_handle = 1
        self._lock = threading.Lock()

    def _trip(self, method):
        self._raise_from(self.faults[method], method)

    def _trip_late(self, method):
        self._raise_from(self.late_faults[method], method)

    def _raise_from(self, faults, method):
        if faults:
            error = faults.popleft()()
            if isinstance(error, cryptoki.CryptokiError):
                error.function = error.function or _FUNCTIONS[method]
            raise error

    def finalize(self):
        self._trip("finalize")
        self.is_initialized = False
        self.sessions.clear()
        for token in self.tokens:
            token.user = None

    def initialize(self):
        self._trip("initialize")
        if self.is_initialized:
            raise cryptoki.CryptokiAlreadyInitializedError
        self.is_initialized = True
        self.initialisations += 1
        self.dead = None
        self.unseen.clear()

    def _check(self):
        self.calls += 1
        if not self.is_initialized:
            raise cryptoki.CryptokiNotInitializedError
        if self.dead is not None:
            raise self.dead()

    def _token(self, session):
        self._check()
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
        self._check()
        self._trip("token_info")
        return self.tokens[slot]

    def open_session(self, slot, *, read_write=True):
        self._check()
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
        self._trip("session_info")
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
        fitting = [handle for handle in fitting if handle not in self.unseen]
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
        handle = self.add(session, {**template, **made, Attribute.CHECK_VALUE: key[:3], "key": key})
        self._trip_late("generate_key")
        return handle

    def add(self, session, attributes):
        handle = self._number()
        self._token(session).objects[handle] = dict(attributes)
        return handle

    def destroy_object(self, session, handle):
        self._trip("destroy_object")
        self._object(session, handle, cryptoki.ObjectHandleInvalidError)
        del self._token(session).objects[handle]
        self._trip_late("destroy_object")

    def generate_random(self, session, n_bytes):
        self._token(session)
        self._trip("generate_random")
        return os.urandom(n_bytes)

    def encrypt(self, session, mechanism, key, data):
        self._token(session)
        self._trip("encrypt")
        return AESGCM(self._object(session, key)["key"]).encrypt(mechanism.iv, data, mechanism.aad)

    def decrypt_gcm(self, session, key, iv, aad, data, vendor_number=None):
        return self.decrypt(session, cryptoki.AesGcm(iv, aad, 128, vendor_number), key, data)

    def decrypt_gcm_each(self, session, key, sealed, opened, *, vendor_number=None):
        for iv, aad, data in sealed:
            opened(self.decrypt_gcm(session, key, iv, aad, data, vendor_number))

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
