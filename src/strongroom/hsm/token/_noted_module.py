"""A module that tells of each use of a key before it makes it: the worker's own count of what it asks an HSM for."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from strongroom.core import HsmError
from strongroom.hsm.cryptoki import AesGcm, Attribute, CryptokiError, Mechanism, Module, Template, UserType


class UseNotes(Protocol):
    """Takes the notes. Safe to use from any thread."""

    def note(self, use: str, key_id: bytes, handle: int) -> None:
        """A call is about to be made: ``sign``, ``decrypt``, ``make`` and so on, with the CKA_ID of its key, if it has one."""

    def note_failure(self, use: str, key_id: bytes, handle: int) -> None:
        """It failed."""


class NotedModule(Module):
    """``Module``, each of whose calls that use, make or destroy an object, or log in, is noted before it is made.

    The CKA_ID of a handle is read from the token when the handle is first used. What ``UseNotes`` raises leaves the call undone.
    """

    _notes: UseNotes | None = None
    _ids: dict[int, bytes] | None = None

    def note_to(self, notes: UseNotes) -> None:
        """Begin to note; before any other thread has the module."""
        self._notes, self._ids = notes, {}

    def finalize(self) -> None:
        """Finalize; handles mean nothing afterwards."""
        self._forget_handles()
        super().finalize()

    def close_session(self, session: int) -> None:
        """Close it; handles may name other objects from now on: of those that went with it, or after a lost connection."""
        self._forget_handles()
        super().close_session(session)

    def close_all_sessions(self, slot: int) -> None:
        """Close them, as ``close_session``."""
        self._forget_handles()
        super().close_all_sessions(slot)

    def login(self, session: int, user: UserType, pin: bytes | None) -> None:
        with self._noted("login", b""):
            super().login(session, user, pin)

    def encrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        with self._noted("encrypt", self._id_of(session, key), key):
            return super().encrypt(session, mechanism, key, data)

    def encrypt_reporting_iv(
        self, session: int, mechanism: AesGcm, key: int, data: bytes
    ) -> tuple[bytes, bytes]:
        with self._noted("encrypt", self._id_of(session, key), key):
            return super().encrypt_reporting_iv(session, mechanism, key, data)

    def decrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        with self._noted("decrypt", self._id_of(session, key), key):
            return super().decrypt(session, mechanism, key, data)

    def decrypt_gcm(  # noqa: PLR0917  # as ``Module.decrypt_gcm``
        self, session: int, key: int, iv: bytes, aad: bytes, data: bytes, vendor_number: int | None = None
    ) -> bytes:
        with self._noted("decrypt", self._id_of(session, key), key):
            return super().decrypt_gcm(session, key, iv, aad, data, vendor_number)

    def decrypt_gcm_each(
        self,
        session: int,
        key: int,
        sealed: Iterable[tuple[bytes, bytes, bytes]],
        opened: Callable[[bytes], object],
        *,
        vendor_number: int | None = None,
    ) -> None:
        notes = self._notes
        if notes is None:
            super().decrypt_gcm_each(session, key, sealed, opened, vendor_number=vendor_number)
            return
        key_id = self._id_of(session, key)

        def noted() -> Iterator[tuple[bytes, bytes, bytes]]:
            for each in sealed:
                notes.note("decrypt", key_id, key)
                yield each

        try:
            super().decrypt_gcm_each(session, key, noted(), opened, vendor_number=vendor_number)
        except CryptokiError:
            notes.note_failure("decrypt", key_id, key)
            raise

    def sign(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        with self._noted("sign", self._id_of(session, key), key):
            return super().sign(session, mechanism, key, data)

    def sign_authenticated(
        self, session: int, mechanism: Mechanism, key: int, data: bytes, authenticate: Callable[[], None]
    ) -> bytes:
        with self._noted("sign", self._id_of(session, key), key):
            return super().sign_authenticated(session, mechanism, key, data, authenticate)

    def verify(self, session: int, mechanism: Mechanism, key: int, data: bytes, signature: bytes) -> None:
        with self._noted("verify", self._id_of(session, key), key):
            super().verify(session, mechanism, key, data, signature)

    def wrap_key(self, session: int, mechanism: Mechanism, *, wrapping_key: int, key: int) -> bytes:
        with self._noted("wrap", self._id_of(session, wrapping_key), wrapping_key):
            return super().wrap_key(session, mechanism, wrapping_key=wrapping_key, key=key)

    def unwrap_key(
        self, session: int, mechanism: Mechanism, *, unwrapping_key: int, wrapped: bytes, template: Template
    ) -> int:
        with self._noted("unwrap", self._id_of(session, unwrapping_key), unwrapping_key):
            return super().unwrap_key(
                session, mechanism, unwrapping_key=unwrapping_key, wrapped=wrapped, template=template
            )

    def derive_key(self, session: int, mechanism: Mechanism, *, base_key: int, template: Template) -> int:
        with self._noted("derive", self._id_of(session, base_key), base_key):
            return super().derive_key(session, mechanism, base_key=base_key, template=template)

    def encapsulate_key(
        self, session: int, mechanism: Mechanism, *, public_key: int, template: Template
    ) -> tuple[bytes, int]:
        with self._noted("derive", self._id_of(session, public_key), public_key):
            return super().encapsulate_key(session, mechanism, public_key=public_key, template=template)

    def decapsulate_key(
        self, session: int, mechanism: Mechanism, *, private_key: int, ciphertext: bytes, template: Template
    ) -> int:
        with self._noted("derive", self._id_of(session, private_key), private_key):
            return super().decapsulate_key(
                session, mechanism, private_key=private_key, ciphertext=ciphertext, template=template
            )

    def generate_key(self, session: int, mechanism: Mechanism, template: Template) -> int:
        with self._noted("make", _id_in(template)):
            return super().generate_key(session, mechanism, template)

    def generate_key_pair(
        self, session: int, mechanism: Mechanism, *, public: Template, private: Template
    ) -> tuple[int, int]:
        with self._noted("make", _id_in(private)):
            return super().generate_key_pair(session, mechanism, public=public, private=private)

    def create_object(self, session: int, template: Template) -> int:
        with self._noted("make", _id_in(template)):
            return super().create_object(session, template)

    def copy_object(self, session: int, obj: int, template: Template) -> int:
        with self._noted("modify", self._id_of(session, obj), obj):
            return super().copy_object(session, obj, template)

    def set_attributes(self, session: int, obj: int, template: Template) -> None:
        with self._noted("modify", self._id_of(session, obj), obj):
            super().set_attributes(session, obj, template)

    def destroy_object(self, session: int, obj: int) -> None:
        with self._noted("destroy", self._id_of(session, obj), obj):
            super().destroy_object(session, obj)
        if self._ids is not None:
            self._ids.pop(obj, None)  # the token may give the number again

    def _forget_handles(self) -> None:
        if self._ids is not None:
            self._ids.clear()

    @contextmanager
    def _noted(self, use: str, key_id: bytes, handle: int = 0) -> Iterator[None]:
        if self._notes is None:
            yield
            return
        self._notes.note(use, key_id, handle)
        try:
            yield
        except HsmError:
            self._notes.note_failure(use, key_id, handle)
            raise

    def _id_of(self, session: int, handle: int) -> bytes:
        if self._ids is None:
            return b""
        known = self._ids.get(handle)
        if known is None:
            try:
                read = self.get_attributes(session, handle, (Attribute.ID,)).get(Attribute.ID)
            except CryptokiError:
                return b""  # the call itself will say what is wrong with the handle
            known = self._ids[handle] = read if isinstance(read, bytes) else b""
        return known


def _id_in(template: Template) -> bytes:
    found = template.get(Attribute.ID)
    return found if isinstance(found, bytes) else b""
