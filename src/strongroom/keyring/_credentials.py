"""Secrets of access keys, wrapped by a domain KEK of their own kind."""

import base64
import uuid

from strongroom.core import Secret, random_bytes
from strongroom.envelope import Blob, Purpose, credential_binding, open_blob, seal_blob
from strongroom.keyring._ciphers import KekCiphers
from strongroom.storage import AccessKeyRecord

CREDENTIALS = "credentials"
"""Kind of the domain whose KEK wraps the secrets of access keys."""

_ID_BYTES = 10  # 16 characters of Base32 behind the prefix, as AWS has it
_SECRET_BYTES = 30  # 40 characters of Base64, as AWS has it


async def make_access_key(
    ciphers: KekCiphers, domain_id: str, *, principal: str, roles: tuple[str, ...], now: float
) -> tuple[AccessKeyRecord, Secret]:
    """Make an access key; returns its record, which the caller stores, and the secret, which is shown once."""
    access_key_id = "AKIA" + base64.b32encode(random_bytes(_ID_BYTES)).decode()
    secret = Secret(base64.b64encode(random_bytes(_SECRET_BYTES)))
    domain = await ciphers.domain(domain_id)
    wrapped = seal_blob(
        domain.cipher,
        Purpose.CREDENTIAL,
        uuid.UUID(domain_id).bytes,
        1,
        secret.reveal(),
        credential_binding(access_key_id),
    )
    return AccessKeyRecord(access_key_id, principal, roles, wrapped, True, now), secret


async def open_secret(ciphers: KekCiphers, record: AccessKeyRecord) -> Secret:
    """Unwrap the secret of an access key.

    Raises NoMemberError when no HSM answers; EnvelopeError, HsmIntegrityError or MissingRecordError when the record, or
    that of its domain, is not what ``make_access_key`` made.
    """
    blob = Blob.parse(record.wrapped_secret)
    domain = await ciphers.domain(str(uuid.UUID(bytes=blob.wrapping_key_id)))
    return Secret(open_blob(domain.cipher, blob, credential_binding(record.access_key_id)))
