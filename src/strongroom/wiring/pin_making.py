"""New PINs: random, within what a token of the profile takes."""

import string
from typing import Final

from strongroom.core import ConfigError, Secret, random_bytes
from strongroom.hsm.token import Profile

_SETS: Final = {
    "digits": (string.digits,),
    "letters-and-digits": (string.ascii_lowercase, string.ascii_uppercase, string.digits),
}
_ACCOUNT_END: Final = b":"
_AUTH_KEY_ID_BYTES: Final = 4


def generate_pin(profile: Profile, current: Secret | None = None) -> Secret:
    """Return a new PIN of ``profile.pin_length`` characters of ``profile.pin_characters``, each kind of which occurs in it.

    Where the PIN of the vendor names an account too (``profile.pin_form``), that is taken from ``current``, so that only
    the password is new; the length is that of the password. 32 letters and digits are 190 bits. Raises ConfigError when
    there is no current PIN to take the account from, or it has not that form, and for vendors whose PINs are no PINs.
    """
    account = _account(profile, current)
    sets = _SETS[profile.pin_characters]
    characters = "".join(sets)
    while True:
        password = _random_text(characters, profile.pin_length)
        if all(any(character in password for character in each) for each in sets):
            return Secret(account + password.encode())


def _account(profile: Profile, current: Secret | None) -> bytes:
    if profile.pin_form == "password":
        return b""
    if profile.pin_form in {"api-key", "ignored"}:
        raise ConfigError(
            f"a token of {profile.name} has no PIN that could be generated (pin_form {profile.pin_form})"
        )
    if current is None:
        raise ConfigError(f"the PIN of {profile.name} names an account: a new one needs the present one")
    pin = current.reveal()
    if profile.pin_form == "auth-key-id+password" and len(pin) > _AUTH_KEY_ID_BYTES:
        return pin[:_AUTH_KEY_ID_BYTES]
    user, colon, _password = pin.partition(_ACCOUNT_END)
    if profile.pin_form == "user:password" and user and colon:
        return user + _ACCOUNT_END
    raise ConfigError(f"the present PIN has not the form {profile.pin_form} that {profile.name} wants")


def _random_text(characters: str, length: int) -> str:
    """Draw characters evenly: a byte that would favour some is thrown away."""
    fair = 256 - 256 % len(characters)
    drawn: list[str] = []
    while len(drawn) < length:
        drawn += [characters[byte % len(characters)] for byte in random_bytes(2 * length) if byte < fair]
    return "".join(drawn[:length])
