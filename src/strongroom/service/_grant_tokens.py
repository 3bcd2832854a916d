"""Grant tokens: texts that name a grant.

A grant is in force for every request that begins after CreateGrant was answered, so a token adds nothing to it: it is
accepted where AWS takes one, must name a grant that there is, and lets RetireGrant name a grant by it. It is no secret, and no
credential: who shows it must be the grantee all the same. Each call of CreateGrant gives another one for the same grant.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from strongroom.core import random_bytes

_VERSION: Final = b"\x01"
_ID_BYTES: Final = 32
_NONCE_BYTES: Final = 16
_LENGTH: Final = len(_VERSION) + _ID_BYTES + _NONCE_BYTES


def make_grant_token(grant_id: str) -> str:
    """Return a new token for a grant, whose id is 64 hexadecimal digits."""
    return (
        urlsafe_b64encode(_VERSION + bytes.fromhex(grant_id) + random_bytes(_NONCE_BYTES))
        .decode()
        .rstrip("=")
    )


def grant_of_token(token: str) -> str | None:
    """Return the id of the grant that a token names; None for what is no token of ours."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (binascii.Error, ValueError):  # UnicodeEncodeError is a ValueError
        return None
    if len(raw) != _LENGTH or not raw.startswith(_VERSION):
        return None
    return raw[len(_VERSION) : len(_VERSION) + _ID_BYTES].hex()
