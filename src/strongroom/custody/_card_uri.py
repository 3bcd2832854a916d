"""Where a key on a smart card is: a ``pkcs11:`` URI (RFC 7512), of which a part is taken.

    pkcs11:token=Anna%20Ash;id=%01?module-path=/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so

| Attribute | What it names |
|---|---|
| ``token``, ``serial``, ``manufacturer``, ``model`` | the card: its label, serial number, ... ; as many as are needed |
| ``object``, ``id`` | the key: its label (CKA_LABEL), its identifier (CKA_ID) |
| ``type`` | ``private``, or left out |
| ``module-path`` (query) | the PKCS#11 library, by its absolute path |
| ``pin-source`` (query) | a file that holds the PIN: a path, or ``file:`` and a path |

``pin-value`` is refused, since every program of the machine can read what others are called with. Whatever else RFC 7512 has
(slots, libraries by name) is refused too, and so is an attribute that stands twice: a URI that is read in part might name another key.
"""

import re
from typing import Final, NamedTuple, Self
from urllib.parse import unquote_to_bytes

from strongroom.custody._errors import OfficerKeyError

CARD_SCHEME: Final = "pkcs11:"
MAX_CARD_URI_CHARS: Final = 1024
_CARD: Final = ("token", "serial", "manufacturer", "model")
_PATH: Final = frozenset((*_CARD, "object", "id", "type"))
_QUERY: Final = frozenset(("module-path", "pin-source"))
_VALUE: Final = r"(?:[A-Za-z0-9\-._~:\[\]@!$'*+,=(){extra}]|%[0-9A-Fa-f]{{2}})+"
_PATH_VALUE: Final = re.compile(_VALUE.format(extra="&"))
_QUERY_VALUE: Final = re.compile(_VALUE.format(extra="?/|"))


class CardUri(NamedTuple):
    """A key on a card. Texts that are None were not given, and match anything."""

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None
    module_path: str | None = None
    pin_source: str | None = None
    """A path."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a URI. Raises OfficerKeyError, which says what is taken."""
        if len(text) > MAX_CARD_URI_CHARS or not text.startswith(CARD_SCHEME):
            raise _refused(f"it begins with {CARD_SCHEME} and has up to {MAX_CARD_URI_CHARS} characters")
        path, has_query, query = text.removeprefix(CARD_SCHEME).partition("?")
        named = _attributes(path, ";", _PATH, _PATH_VALUE)
        asked = _attributes(query, "&", _QUERY, _QUERY_VALUE) if has_query else {}
        if named.pop("type", b"private") != b"private":
            raise _refused("its type is private: it names the half that signs")
        cka_id = named.pop("id", None)
        texts = {name: _text(value) for name, value in named.items()}
        source = _text(asked["pin-source"]).removeprefix("file:") if "pin-source" in asked else None
        module = _text(asked["module-path"]) if "module-path" in asked else None
        if module is not None and not module.startswith("/"):
            raise _refused("module-path is an absolute path")
        return cls(**texts, id=cka_id, module_path=module, pin_source=source)

    @property
    def names_a_card(self) -> bool:
        """Whether anything but the key is named."""
        return any(getattr(self, name) is not None for name in _CARD)


def _attributes(text: str, separator: str, known: frozenset[str], form: re.Pattern[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else ():
        name, _, value = part.partition("=")
        if name == "pin-value":
            raise _refused(
                "a PIN has no place in it: leave it out and type it, or name a file with pin-source"
            )
        if name not in known:
            raise _refused(f"it takes {', '.join(sorted(known))} there")
        if name in found or form.fullmatch(value) is None:
            raise _refused(f"{name} stands twice, is empty, or is not percent-encoded as RFC 7512 wants it")
        found[name] = unquote_to_bytes(value)
    return found


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _refused("a text in it is not UTF-8") from error
    if "\x00" in text:
        raise _refused("a text in it holds a zero byte")
    return text


def _refused(why: str) -> OfficerKeyError:
    return OfficerKeyError(
        f"this names no key on a card: {why}",
        next_step="write it like pkcs11:token=LABEL;object=KEY?module-path=/path/of/the/library.so",
    )
