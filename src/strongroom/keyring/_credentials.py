"""Secrets of access keys, wrapped by a domain KEK of their own kind."""

import base64

from strongroom.core import Secret, random_bytes
from strongroom.envelope import Purpose, credential_binding
from strongroom.keyring._ciphers import KekCiphers, domain_of
from strongroom.keyring._domain_errors import DomainStateError
from strongroom.storage import AccessKeyRecord, Transaction

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
    binding = credential_binding(access_key_id)
    wrapped = await ciphers.seal(Purpose.CREDENTIAL, domain_id, secret.reveal(), binding)
    return AccessKeyRecord(access_key_id, principal, roles, wrapped, True, now), secret


def store_access_key(tx: Transaction, record: AccessKeyRecord) -> None:
    """Add an access key. Raises DomainStateError when the domain that its secret is under is being replaced meanwhile."""
    domain = tx.get_domain(domain_of(record.wrapped_secret))
    if domain is None or domain.replaced_by is not None:
        raise DomainStateError("the domain of access keys was replaced meanwhile")
    tx.insert_access_key(record)


async def open_secret(ciphers: KekCiphers, record: AccessKeyRecord) -> Secret:
    """Unwrap the secret of an access key.

    Raises NoMemberError when no HSM answers; EnvelopeError, HsmIntegrityError or MissingRecordError when the record, or
    that of its domain, is not what ``make_access_key`` made. MissingRecordError also says that the secret came under another
    domain KEK since the record was read, and the old one is gone: then the record of now opens.
    """
    opened = await ciphers.open(lambda: record.wrapped_secret, credential_binding(record.access_key_id))
    return Secret(opened.plaintext)
