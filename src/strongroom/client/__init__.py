"""Clients of a key service: batches and single calls, and envelope encryption of bytes, files and streams.

    >>> from strongroom import Envelope
    >>> def example() -> None:
    ...     envelope = Envelope("alias/backups")  # the service that the environment names
    ...     blob = envelope.encrypt(b"any size", context={"tenant": "7"})
    ...     assert envelope.decrypt(blob, context={"tenant": "7"}) == b"any size"
    ...     envelope.encrypt_file("backup.tar", "backup.tar.strongroom")

``Envelope`` gets a data key from a ``DataKeySource`` (our ``KmsClient``, or any boto3 KMS client), and encrypts
with it in this process; docs/file-format.md tells what comes out. ``Client`` and ``AsyncClient`` have the service encrypt,
decrypt, sign and so on, any number of items at a time (docs/client.md); below them ``ServiceClient`` does one request.

Threading: ``Client``, ``Envelope``, ``KmsClient`` and ``DataKeyCache`` may be shared between threads, a
``ServiceClient`` may not. Only ``Client`` and ``AsyncClient`` try anything twice, only ``AsyncClient`` and ``AsyncEnvelope`` use
threads of their own, and no key is ever written to a disk.

``Envelope``, ``Client`` and their kin are imported when they are first asked for: they bring the cryptography library.
"""

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from strongroom.client._errors import (
    ClientError,
    ContextMismatchError,
    ForeignAnswerError,
    GatewayError,
    ItemRefusedError,
    OutputExistsError,
    RequestRefusedError,
    ServiceNotTrustedError,
    ServiceUnreachableError,
)
from strongroom.client._http import Answer, Outgoing, ServiceClient, read_answer
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
    from strongroom.client._async_client import AsyncClient
    from strongroom.client._async_envelope import AsyncEnvelope
    from strongroom.client._cache import DataKeyCache
    from strongroom.client._client import Client
    from strongroom.client._data_keys import DataKey, DataKeySource
    from strongroom.client._envelope import ENCRYPTED_MODE, PLAINTEXT_MODE, Envelope
    from strongroom.client._envelope_keys import Done
    from strongroom.client._items import Item, Result, values, values_async
    from strongroom.client._kms import KmsClient
    from strongroom.client._output_file import new_file, publish, require_free
    from strongroom.client._retries import Retries
    from strongroom.client._streams import write_all

_LATE = MappingProxyType(
    {
        "AsyncClient": "_async_client",
        "AsyncEnvelope": "_async_envelope",
        "Client": "_client",
        "DataKey": "_data_keys",
        "DataKeyCache": "_cache",
        "DataKeySource": "_data_keys",
        "Done": "_envelope_keys",
        "ENCRYPTED_MODE": "_envelope",
        "Envelope": "_envelope",
        "Item": "_items",
        "KmsClient": "_kms",
        "PLAINTEXT_MODE": "_envelope",
        "Result": "_items",
        "Retries": "_retries",
        "new_file": "_output_file",
        "publish": "_output_file",
        "require_free": "_output_file",
        "values": "_items",
        "values_async": "_items",
        "write_all": "_streams",
    }
)
"""Names that are imported when somebody asks for them, and their modules."""

__all__ = [
    "ENCRYPTED_MODE",
    "PLAINTEXT_MODE",
    "AccessKey",
    "Answer",
    "AsyncClient",
    "AsyncEnvelope",
    "Client",
    "ClientError",
    "ContextMismatchError",
    "DataKey",
    "DataKeyCache",
    "DataKeySource",
    "Done",
    "Endpoint",
    "Envelope",
    "ForeignAnswerError",
    "GatewayError",
    "Item",
    "ItemRefusedError",
    "KmsClient",
    "Outgoing",
    "OutputExistsError",
    "RequestRefusedError",
    "Result",
    "Retries",
    "Service",
    "ServiceClient",
    "ServiceNotTrustedError",
    "ServiceUnreachableError",
    "development_access_key",
    "find_service",
    "home_endpoint",
    "home_service",
    "needs_home",
    "new_file",
    "parse_endpoint",
    "publish",
    "read_answer",
    "require_free",
    "values",
    "values_async",
    "write_all",
]

if not TYPE_CHECKING:  # a type checker would believe that every name is here

    def __getattr__(name: str) -> Any:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
