"""A KMS client with what envelope encryption needs, for any number of threads."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from strongroom.client._connections import Connections
from strongroom.client._http import TIMEOUT_S
from strongroom.client._service import Service, find_service
from strongroom.config import Home, home_from_environment
from strongroom.core import Clock, SystemClock


class _DataKeyAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    plaintext: bytes
    key_id: str
    ciphertext_blob: bytes = b""


class KmsClient:
    """Makes and opens data keys: a ``DataKeySource`` without boto3.

    Each thread that calls at the same time has a connection of its own, which stays open for the next caller.
    Nothing is tried twice. Raises RequestRefusedError, ServiceUnreachableError and ForeignAnswerError.
    """

    def __init__(self, service: Service, *, clock: Clock | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._connections = Connections(service, clock=clock or SystemClock(), timeout_s=timeout_s)

    @classmethod
    def from_environment(cls) -> Self:
        """Use the service that AWS_ENDPOINT_URL and its kin name, else that of STRONGROOM_HOME. Raises ConfigError."""
        return cls(find_service(Home(home_from_environment())))

    def generate_data_key(
        self,
        *,
        KeyId: str,  # noqa: N803
        KeySpec: str = "AES_256",  # noqa: N803
        EncryptionContext: Mapping[str, str] | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Do GenerateDataKey."""
        members = {"KeyId": KeyId, "KeySpec": KeySpec, "EncryptionContext": EncryptionContext or {}}
        answer = self._call("GenerateDataKey", members)
        return {
            "Plaintext": answer.plaintext,
            "CiphertextBlob": answer.ciphertext_blob,
            "KeyId": answer.key_id,
        }

    def decrypt(
        self,
        *,
        CiphertextBlob: bytes,  # noqa: N803
        EncryptionContext: Mapping[str, str] | None = None,  # noqa: N803
        KeyId: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Do Decrypt."""
        members: dict[str, object] = {
            "CiphertextBlob": CiphertextBlob,
            "EncryptionContext": EncryptionContext or {},
        }
        if KeyId is not None:
            members["KeyId"] = KeyId
        answer = self._call("Decrypt", members)
        return {"Plaintext": answer.plaintext, "KeyId": answer.key_id}

    def close(self) -> None:
        """Close the idle connections, and the others as soon as their call has ended."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, operation: str, members: Mapping[str, object]) -> _DataKeyAnswer:
        with self._connections.borrowed() as client:
            return client.call(operation, members, _DataKeyAnswer)
