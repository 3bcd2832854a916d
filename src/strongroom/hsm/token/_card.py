"""Smart cards of people: one token, one login; a key on it that signs (Ed25519, P-256), and small values that it keeps.

Not for members: nothing is pooled, healed or repeated. A process opens a card, asks one thing of it and ends.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from strongroom.core import HsmError, HsmRequestError, KeySpec, PinRefusedError, Secret, TokenNotFoundError
from strongroom.hsm.cryptoki import (
    Attribute,
    CryptokiError,
    Ecdsa,
    Eddsa,
    KeyType,
    Module,
    ObjectClass,
    Template,
    TokenFlag,
    TokenInfo,
    UserType,
)
from strongroom.hsm.public_keys import curve_of, spki_from_point
from strongroom.hsm.token._access import identity_of, initialised_tokens, refuse_risky_login
from strongroom.hsm.token._classification import translated
from strongroom.hsm.token._values import Role, TokenIdentity

_MAX_KEYS: Final = 256
_MAX_VALUES: Final = 64
MAX_CARD_VALUE_BYTES: Final = 1024
_SPECS: Final[Mapping[int, KeySpec]] = {
    KeyType.EC: KeySpec.ECC_NIST_P256,
    KeyType.EC_EDWARDS: KeySpec.ECC_NIST_EDWARDS25519,
}
_P256_SIGNATURE_BYTES: Final = 64


class CardSelector(NamedTuple):
    """Names a card, and a key on it. What is None matches anything; exactly one of each must be left."""

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    key_label: str | None = None
    key_id: bytes | None = None


class CardKey(NamedTuple):
    """The public half of a key on a card."""

    label: str
    cka_id: bytes
    spec: KeySpec
    spki_der: bytes


class CardValue(NamedTuple):
    """A value that a card keeps: a private data object (CKO_DATA)."""

    label: str
    value: Secret


class Card:
    """One card. Belongs to one thread; ``module`` was loaded for it alone."""

    def __init__(self, module: Module, selector: CardSelector) -> None:
        """Raises TokenNotFoundError, which lists what there is, when not exactly one card fits."""
        self._module = module
        self._selector = selector
        self._slot, self._info = _select(module, selector)

    @property
    def identity(self) -> TokenIdentity:
        """Who the card says it is."""
        return identity_of(self._info)

    @property
    def has_pin_pad(self) -> bool:
        """Whether the PIN is typed at the card's reader: then none is given here."""
        return TokenFlag.PROTECTED_AUTHENTICATION_PATH in self._info.flags

    @property
    def was_pin_wrong(self) -> bool:
        """Whether the card says that a wrong PIN came since the last login."""
        return TokenFlag.USER_PIN_COUNT_LOW in self._info.flags

    def check_login(self) -> None:
        """Raise PinRefusedError when a login would be refused, or one wrong PIN would lock the card."""
        refuse_risky_login(self._info, Role.USER)

    def keys(self, pin: Secret | None, *, logs_in: bool) -> list[CardKey]:
        """Return its keys of Ed25519 and P-256. Without a login some cards show none. Raises HsmError and its kin."""
        with self._session(pin, logs_in=logs_in) as session, translated("looking for keys on the card"):
            return sorted(self._public_keys(session), key=lambda key: (key.cka_id, key.label))

    def sign(self, pin: Secret | None, data: bytes) -> tuple[CardKey, bytes]:
        """Return the key that fits, and its signature: 64 bytes; r and s of P-256 (SHA-256), or that of Ed25519.

        Raises HsmRequestError when not exactly one key fits, PinRefusedError, HsmError and its kin.
        """
        with self._session(pin, logs_in=True) as session, translated("signing with the card"):
            fitting = [key for key in self._public_keys(session) if self.fits(key)]
            if len(fitting) != 1:
                raise HsmRequestError(
                    f"{len(fitting) or 'no'} keys on the card fit, of Ed25519 or P-256",
                    next_step="name one by object= or id=; strongroom officers keys lists them",
                )
            handle = self._private_half(session, fitting[0])
            signature = self._signature(session, handle, fitting[0].spec, data, pin)
        if len(signature) != _P256_SIGNATURE_BYTES:
            raise HsmError(f"the card made a signature of {len(signature)} bytes")
        return fitting[0], signature

    def values(self, pin: Secret | None, application: str, label: str | None = None) -> list[CardValue]:
        """Return the values of an application, sorted by label, or those of one label. Raises PinRefusedError, HsmError and its kin."""
        with self._session(pin, logs_in=True) as session, translated("reading what the card keeps"):
            found = (self._value(session, handle) for handle in self._values(session, application, label))
            return sorted(found, key=lambda one: one.label)

    def keep_value(self, pin: Secret | None, application: str, label: str, value: Secret) -> None:
        """Keep a value, in the place of all others of its name: it is there before they are destroyed.

        Raises HsmRequestError for a value of none or more than 1,024 bytes, PinRefusedError, HsmError and its kin.
        """
        if not 1 <= len(value) <= MAX_CARD_VALUE_BYTES:
            raise HsmRequestError(
                f"a card keeps values of 1 to {MAX_CARD_VALUE_BYTES} bytes, not {len(value)}"
            )
        template: Template = {
            Attribute.CLASS: ObjectClass.DATA,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.APPLICATION: application,
            Attribute.LABEL: label,
            Attribute.VALUE: value.reveal(),
        }
        doing = translated("writing to the card")
        with self._session(pin, logs_in=True, read_write=True) as session, doing:
            before = self._values(session, application, label)
            wrong = [handle for handle in before if not self._value(session, handle).value.matches(value)]
            if len(wrong) == len(before):
                self._module.create_object(session, template)
            for handle in wrong:
                self._module.destroy_object(session, handle)

    def destroy_value(self, pin: Secret | None, application: str, label: str) -> int:
        """Destroy all values of a name, and return how many there were. Raises PinRefusedError, HsmError and its kin."""
        doing = translated("destroying what the card keeps")
        with self._session(pin, logs_in=True, read_write=True) as session, doing:
            handles = self._values(session, application, label)
            for handle in handles:
                self._module.destroy_object(session, handle)
            return len(handles)

    @contextmanager
    def _session(self, pin: Secret | None, *, logs_in: bool, read_write: bool = False) -> Iterator[int]:
        with translated("opening a session with the card"):
            session = self._module.open_session(self._slot, read_write=read_write)
        try:
            if logs_in and TokenFlag.LOGIN_REQUIRED in self._info.flags:
                self._log_in(session, pin, UserType.USER)
            yield session
        finally:
            self._module.close_session(session)

    def _log_in(self, session: int, pin: Secret | None, user: UserType) -> None:
        self.check_login()
        if pin is None and not self.has_pin_pad:
            raise PinRefusedError("the card wants a PIN, and none was given")
        with translated("logging in to the card"):
            self._module.login(session, user, None if pin is None else pin.reveal())

    def _values(self, session: int, application: str, label: str | None) -> list[int]:
        name: Template = {} if label is None else {Attribute.LABEL: label}
        template = {Attribute.CLASS: ObjectClass.DATA, Attribute.APPLICATION: application, **name}
        return self._module.find_objects(session, template, limit=_MAX_VALUES)

    def _value(self, session: int, handle: int) -> CardValue:
        found = self._module.get_attributes(session, handle, (Attribute.LABEL, Attribute.VALUE))
        label, value = found.get(Attribute.LABEL), found.get(Attribute.VALUE)
        return CardValue(
            label if isinstance(label, str) else "", Secret(value if isinstance(value, bytes) else b"")
        )

    def _public_keys(self, session: int) -> Iterator[CardKey]:
        wanted = (Attribute.KEY_TYPE, Attribute.ID, Attribute.LABEL, Attribute.EC_PARAMS, Attribute.EC_POINT)
        for handle in self._module.find_objects(
            session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY}, limit=_MAX_KEYS
        ):
            found = self._module.get_attributes(session, handle, wanted)
            spec = _spec_of(found.get(Attribute.KEY_TYPE), found.get(Attribute.EC_PARAMS))
            point, cka_id = found.get(Attribute.EC_POINT), found.get(Attribute.ID, b"")
            label = found.get(Attribute.LABEL, "")
            if spec is None or not isinstance(point, bytes) or not isinstance(cka_id, bytes):
                continue
            try:
                spki = spki_from_point(spec, point)
            except HsmError:
                continue  # no point of that curve: nothing that officers could use
            yield CardKey(label if isinstance(label, str) else "", cka_id, spec, spki)

    def fits(self, key: CardKey) -> bool:
        """Whether a key is one that was named."""
        wanted = self._selector
        return wanted.key_label in {None, key.label} and wanted.key_id in {None, key.cka_id}

    def _private_half(self, session: int, key: CardKey) -> int:
        """Return the handle of the secret half: by CKA_ID, or by its label where the card gives no CKA_ID."""
        name: Template = {Attribute.ID: key.cka_id} if key.cka_id else {Attribute.LABEL: key.label}
        template = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, **name}
        handles = self._module.find_objects(session, template, limit=2)
        if len(handles) != 1:
            raise HsmRequestError(f"the card shows {len(handles) or 'no'} secret halves of that key")
        return handles[0]

    def _signature(self, session: int, handle: int, spec: KeySpec, data: bytes, pin: Secret | None) -> bytes:
        is_edwards = spec is KeySpec.ECC_NIST_EDWARDS25519
        mechanism = Eddsa() if is_edwards else Ecdsa()
        signed = data if is_edwards else hashlib.sha256(data).digest()
        if not self._wants_pin_each_time(session, handle):
            return self._module.sign(session, mechanism, handle, signed)
        return self._module.sign_authenticated(
            session, mechanism, handle, signed, lambda: self._log_in(session, pin, UserType.CONTEXT_SPECIFIC)
        )

    def _wants_pin_each_time(self, session: int, handle: int) -> bool:
        try:
            found = self._module.get_attributes(session, handle, (Attribute.ALWAYS_AUTHENTICATE,))
        except CryptokiError:
            return False  # a card that does not know the attribute does not ask for it
        return found.get(Attribute.ALWAYS_AUTHENTICATE) is True


def _select(module: Module, selector: CardSelector) -> tuple[int, TokenInfo]:
    tokens = initialised_tokens(module)
    fitting = {slot: info for slot, info in tokens.items() if _is_named(info, selector)}
    if len(fitting) == 1:
        return fitting.popitem()
    listed = ", ".join(f"{info.label!r} (serial {info.serial})" for info in tokens.values()) or "none"
    raise TokenNotFoundError(
        f"{len(fitting) or 'no'} cards fit; the library shows: {listed}",
        next_step="name one by token= or serial=" if tokens else "see whether card and reader are plugged in",
    )


def _is_named(info: TokenInfo, selector: CardSelector) -> bool:
    return (
        selector.token in {None, info.label}
        and selector.serial in {None, info.serial}
        and selector.manufacturer in {None, info.manufacturer}
        and selector.model in {None, info.model}
    )


def _spec_of(key_type: object, parameters: object) -> KeySpec | None:
    """Return what a key is, None for kinds that officers do not use. Ed448 is told apart by the length of its point."""
    spec = _SPECS.get(key_type) if isinstance(key_type, int) else None
    if spec is KeySpec.ECC_NIST_P256 and parameters != curve_of(spec).oid_der:
        return None
    return spec
