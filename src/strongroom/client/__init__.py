"""Clients of a key service: a small KMS client, and envelope encryption of bytes, files and streams.

    >>> from strongroom import Envelope
    >>> def example() -> None:
    ...     envelope = Envelope("alias/backups")  # the service that the environment names
    ...     blob = envelope.encrypt(b"any size", context={"tenant": "7"})
    ...     assert envelope.decrypt(blob, context={"tenant": "7"}) == b"any size"
    ...     envelope.encrypt_file("backup.tar", "backup.tar.strongroom")

``Envelope`` gets a data key from a ``DataKeySource`` (our ``KmsClient``, or any boto3 KMS client), and encrypts
with it in this process; docs/file-format.md tells what comes out. ``ServiceClient`` does single calls.

Threading: ``Envelope``, ``KmsClient`` and ``DataKeyCache`` may be shared between threads, a ``ServiceClient`` may
not. Nothing is tried twice, no thread is started, and no key is ever written to a disk.

``Envelope`` and its kin are imported when they are first asked for: they bring the cryptography library.
"""

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from strongroom.client._errors import (
    ClientError,
    ContextMismatchError,
    ForeignAnswerError,
    OutputExistsError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from strongroom.client._http import Answer, ServiceClient, read_answer
from strongroom.client._service import (
    AccessKey,
    Endpoint,
    Service,
    development_access_key,
    find_service,
    home_endpoint,
    home_service,
    needs_home,
    parse_endpoint,
)

if TYPE_CHECKING:
    from strongroom.client._async_envelope import AsyncEnvelope
    from strongroom.client._cache import DataKeyCache
    from strongroom.client._data_keys import DataKeySource
    from strongroom.client._envelope import ENCRYPTED_MODE, PLAINTEXT_MODE, Envelope
    from strongroom.client._envelope_keys import Done
    from strongroom.client._kms import KmsClient
    from strongroom.client._output_file import new_file, require_free
    from strongroom.client._streams import write_all

_LATE = MappingProxyType(
    {
        "AsyncEnvelope": "_async_envelope",
        "DataKeyCache": "_cache",
        "DataKeySource": "_data_keys",
        "Done": "_envelope_keys",
        "ENCRYPTED_MODE": "_envelope",
        "Envelope": "_envelope",
        "KmsClient": "_kms",
        "PLAINTEXT_MODE": "_envelope",
        "new_file": "_output_file",
        "require_free": "_output_file",
        "write_all": "_streams",
    }
)
"""Names that are imported when somebody asks for them, and their modules."""

__all__ = [
    "ENCRYPTED_MODE",
    "PLAINTEXT_MODE",
    "AccessKey",
    "Answer",
    "AsyncEnvelope",
    "ClientError",
    "ContextMismatchError",
    "DataKeyCache",
    "DataKeySource",
    "Done",
    "Endpoint",
    "Envelope",
    "ForeignAnswerError",
    "KmsClient",
    "OutputExistsError",
    "RequestRefusedError",
    "Service",
    "ServiceClient",
    "ServiceUnreachableError",
    "development_access_key",
    "find_service",
    "home_endpoint",
    "home_service",
    "needs_home",
    "new_file",
    "parse_endpoint",
    "read_answer",
    "require_free",
    "write_all",
]

if not TYPE_CHECKING:  # a type checker would believe that every name is here

    def __getattr__(name: str) -> Any:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
