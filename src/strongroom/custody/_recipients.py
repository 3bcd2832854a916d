"""Where deliveries to an officer are encrypted to: a recipient of age, in one of two forms, or none.

| Form | What it is |
|---|---|
| ``age1…`` | an X25519 key (age-encryption.org/v1): Bech32 (BIP 173) of 32 bytes under ``age``, 62 characters, lower case |
| ``ssh-ed25519 AAAA…`` | an Ed25519 key of OpenSSH, without a comment |

Nothing is encrypted here. Recipients of plugins (``age1yubikey1…``) and of other kinds are refused.
"""

from typing import Final

from strongroom.custody._errors import CustodyError, StateRefusedError
from strongroom.custody._officer_keys import KeyKind, OfficerKey

_HRP: Final = "age"
_CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_N_SYMBOLS: Final = 52 + 6
"""32 bytes in groups of five bits, and the checksum."""
_X25519_P: Final = 2**255 - 19
_LOW_ORDER: Final = frozenset(
    {
        0,
        1,
        _X25519_P - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
"""u of the points whose order is at most 8 (RFC 7748 section 6.1): what is encrypted to them anybody opens."""


def check_recipient(text: str) -> None:
    """Refuse what is neither a recipient in one of the two forms nor empty. Raises StateRefusedError."""
    if not text:
        return
    if text.startswith(f"{_HRP}1"):
        _check_point(_age_bytes(text))
        return
    _ssh_key(text)


def opening_point(text: str) -> bytes:
    """Return what tells whose secret opens what is encrypted to a recipient: y of its point of Ed25519, of either form.

    Whoever has an Ed25519 key can make the recipient ``age1…`` of it (RFC 7748 section 4.1), and open what is encrypted to
    that. Raises StateRefusedError.
    """
    if not text.startswith(f"{_HRP}1"):
        return opening_point_of_key(_ssh_key(text))
    u = int.from_bytes(_age_bytes(text), "little")
    y = (u - 1) * pow(u + 1, -1, _X25519_P) % _X25519_P
    return y.to_bytes(32, "little")


def opening_point_of_key(key: OfficerKey) -> bytes:
    """The same of a key that signs; another one for keys of P-256, which open nothing."""
    return key.point[:-1] + bytes((key.point[-1] & 0x7F,))


def _ssh_key(text: str) -> OfficerKey:
    try:
        key = OfficerKey.from_line(text)
    except CustodyError as error:
        raise _refused(error.message) from error
    if key.kind is not KeyKind.ED25519 or key.line != text:
        raise _refused("of SSH keys only ssh-ed25519 is one, and it stands without its comment")
    return key


def _age_bytes(text: str) -> bytes:
    symbols = [_CHARSET.find(char) for char in text[len(_HRP) + 1 :]]
    if len(symbols) != _N_SYMBOLS or -1 in symbols:
        raise _refused("age1 is followed by 58 characters of Bech32, in lower case")
    if _polymod([*(ord(char) >> 5 for char in _HRP), 0, *(ord(char) & 31 for char in _HRP), *symbols]) != 1:
        raise _refused("its checksum is wrong: a character was changed or left out")
    number = 0
    for symbol in symbols[:-6]:
        number = number << 5 | symbol
    if number & 0b1111:
        raise _refused("its last bits are not zero")
    return (number >> 4).to_bytes(32, "big")


def _polymod(values: list[int]) -> int:
    """Return the checksum of Bech32 over groups of five bits; 1 when it fits (BIP 173)."""
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            check ^= generator if top >> bit & 1 else 0
    return check


def _check_point(raw: bytes) -> None:
    u = int.from_bytes(raw, "little")
    if u >= _X25519_P or u in _LOW_ORDER:
        raise _refused("it is no sound key of X25519")


def _refused(why: str) -> StateRefusedError:
    return StateRefusedError(
        f"this is no recipient that deliveries can be encrypted to: {why}",
        next_step="take what age-keygen prints as public key, an ssh-ed25519 public key, or leave it empty",
    )
