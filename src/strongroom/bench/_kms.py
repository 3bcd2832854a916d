"""Signed requests of the AWS KMS protocol: a table of many different ones for each operation that is measured."""

import uuid
from collections.abc import Callable, Mapping

import msgspec

from strongroom.api import sign_request
from strongroom.bench._batches import BATCH_OPERATIONS, BatchMaker
from strongroom.bench._errors import BenchError
from strongroom.bench._http import Connection, HttpRequest
from strongroom.client import Endpoint, Service
from strongroom.core import Clock, random_bytes

SINGLE_OPERATIONS = ("Encrypt", "Decrypt", "GenerateDataKey", "Sign")
"""What does one thing in a request."""
OPERATIONS = (*SINGLE_OPERATIONS, *BATCH_OPERATIONS)
"""What can be measured."""

PLAINTEXT_BYTES = 32
TABLE_SIZE = 1_000


class _Encrypted(msgspec.Struct, frozen=True, rename="pascal"):
    ciphertext_blob: bytes


class _Metadata(msgspec.Struct, frozen=True, rename="pascal"):
    key_id: str


class _Described(msgspec.Struct, frozen=True, rename="pascal"):
    key_metadata: _Metadata


class KmsCaller:
    """Signs requests to one service."""

    def __init__(self, service: Service, *, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    @property
    def endpoint(self) -> Endpoint:
        """Whom it calls."""
        return self._service.endpoint

    def request(self, operation: str, members: Mapping[str, object]) -> HttpRequest:
        """Return a request for an operation, signed now: it is accepted for five minutes.

        It has the headers that boto3 signs, so no two are alike.
        """
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"TrentService.{operation}",
            "amz-sdk-invocation-id": str(uuid.UUID(bytes=random_bytes(16), version=4)),
            "amz-sdk-request": "attempt=1",
        }
        return self.post("/", headers, msgspec.json.encode(members))

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpRequest:
        """Return a request to any path of the service, signed now."""
        signed = sign_request(
            method="POST",
            path=path,
            host=self.endpoint.authority,
            headers=headers,
            body=body,
            access_key_id=self._service.access_key.access_key_id,
            secret_access_key=self._service.access_key.secret,
            region=self._service.region,
            clock=self._clock,
        )
        del signed["Host"]
        return HttpRequest("POST", path, signed, body)


class RequestMaker:
    """Makes tables of different requests under one key, each signed afresh.

    The key is created, and stays, unless one is named. What ``Decrypt`` needs is encrypted by the service
    itself when it is first asked for. Tables of batches are shorter: ``_batches``.
    """

    def __init__(self, caller: KmsCaller, *, key_id: str | None = None, table_size: int = TABLE_SIZE) -> None:
        self._caller = caller
        self._key_id = key_id
        self._table_size = table_size
        self._plaintexts = [random_bytes(PLAINTEXT_BYTES) for _ in range(table_size)]
        self._ciphertexts: list[bytes] = []
        self._signing_key_id: str | None = None
        self._batches = BatchMaker(caller)

    @property
    def key_id(self) -> str:
        """The key that is used. Raises BenchError when it has to be created and cannot be."""
        if self._key_id is None:
            self._key_id = self._new_key({})
        return self._key_id

    def _resolved_key_id(self) -> str:
        """Return the id of the key, which may have been named by an alias or ARN; paths have ids."""
        described = self._calls([("DescribeKey", {"KeyId": self.key_id})])[0]
        return msgspec.json.decode(described, type=_Described).key_metadata.key_id

    def _new_key(self, kind: Mapping[str, str]) -> str:
        made = self._calls([("CreateKey", {"Description": "strongroom bench", **kind})])[0]
        return msgspec.json.decode(made, type=_Described).key_metadata.key_id

    def requests(self, operation: str) -> list[HttpRequest]:
        """Return requests signed now, after a first one was answered with 200. Raises BenchError."""
        makers: Mapping[str, Callable[[], list[Mapping[str, object]]]] = {
            "Encrypt": self._encrypt,
            "Decrypt": self._decrypt,
            "GenerateDataKey": self._generate_data_key,
            "Sign": self._sign,
        }
        if operation in BATCH_OPERATIONS:
            key_id = self._signing_key() if operation == "BatchSign" else self._resolved_key_id()
            return self._batches.requests(operation, key_id)
        if operation not in makers:
            raise BenchError(f"{operation} is not measured", next_step=f"choose from {', '.join(OPERATIONS)}")
        documents = makers[operation]()
        self._calls([(operation, documents[0])])
        return [self._caller.request(operation, document) for document in documents]

    def _calls(self, calls: list[tuple[str, Mapping[str, object]]]) -> list[bytes]:
        with Connection(self._caller.endpoint) as connection:
            return [connection.send(self._caller.request(*call)) for call in calls]

    def _encrypt(self) -> list[Mapping[str, object]]:
        return [{"KeyId": self.key_id, "Plaintext": plaintext} for plaintext in self._plaintexts]

    def _decrypt(self) -> list[Mapping[str, object]]:
        if not self._ciphertexts:
            answers = self._calls([("Encrypt", document) for document in self._encrypt()])
            self._ciphertexts = [
                msgspec.json.decode(answer, type=_Encrypted).ciphertext_blob for answer in answers
            ]
        return [{"CiphertextBlob": ciphertext} for ciphertext in self._ciphertexts]

    def _sign(self) -> list[Mapping[str, object]]:
        asked = {"KeyId": self._signing_key(), "SigningAlgorithm": "ECDSA_SHA_256"}
        return [{**asked, "Message": message} for message in self._plaintexts]

    def _signing_key(self) -> str:
        """Return a P-256 key, which is always made: the one that is named is a symmetric one."""
        if self._signing_key_id is None:
            self._signing_key_id = self._new_key({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"})
        return self._signing_key_id

    def _generate_data_key(self) -> list[Mapping[str, object]]:
        return [{"KeyId": self.key_id, "KeySpec": "AES_256"}] * self._table_size
