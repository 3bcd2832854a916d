"""A key service in memory for clients: real wrapping, real refusals, and a count of what it was asked."""

import threading
from collections.abc import Mapping
from typing import Any

from strongroom.client import RequestRefusedError
from strongroom.core import random_bytes
from strongroom.envelope import Blob, EnvelopeError, Purpose, Xaes256Gcm, data_binding, open_blob, seal_blob


class FakeDataKeys:
    """A ``DataKeySource`` that wraps data keys as the service does, under keys that it makes when named."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[bytes, Xaes256Gcm] = {}
        self._ids: dict[str, bytes] = {}
        self.generated = 0
        self.opened = 0
        self.disabled: set[str] = set()

    def generate_data_key(
        self,
        *,
        KeyId: str,  # noqa: N803
        KeySpec: str,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> Mapping[str, Any]:
        assert KeySpec == "AES_256"
        with self._lock:
            self.generated += 1
            key_id = self._ids.setdefault(KeyId, random_bytes(16))
            cipher = self._keys.setdefault(key_id, Xaes256Gcm(random_bytes(32)))
        self._check(KeyId)
        plaintext = random_bytes(32)
        blob = seal_blob(cipher, Purpose.DATA, key_id, 1, plaintext, data_binding(EncryptionContext))
        return {"Plaintext": plaintext, "CiphertextBlob": blob, "KeyId": self.arn(KeyId)}

    def decrypt(
        self,
        *,
        CiphertextBlob: bytes,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
        KeyId: str | None = None,  # noqa: N803
    ) -> Mapping[str, Any]:
        with self._lock:
            self.opened += 1
        try:
            blob = Blob.parse(CiphertextBlob)
            plaintext = open_blob(self._keys[blob.wrapping_key_id], blob, data_binding(EncryptionContext))
        except (EnvelopeError, KeyError):
            raise RequestRefusedError("InvalidCiphertextException", "", status=400) from None
        [name] = [name for name, key_id in self._ids.items() if key_id == blob.wrapping_key_id]
        if KeyId is not None and KeyId not in {name, self.arn(name)}:
            raise RequestRefusedError("IncorrectKeyException", "", status=400)
        self._check(name)
        return {"Plaintext": plaintext, "KeyId": self.arn(name)}

    @staticmethod
    def arn(name: str) -> str:
        return f"arn:aws:kms:us-east-1:123456789012:{name}"

    def _check(self, name: str) -> None:
        if name in self.disabled:
            raise RequestRefusedError("DisabledException", "", status=400)
