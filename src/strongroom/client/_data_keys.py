"""Data keys: where they come from, and one that came."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

from strongroom.client._errors import ForeignAnswerError
from strongroom.core import Secret

KEY_LEN_BYTES = 32
MAX_WRAPPED_BYTES = 6_144


class DataKeySource(Protocol):
    """Makes data keys and opens them: our ``KmsClient``, or any boto3 KMS client as it is.

    The arguments and the members of the answers are those of AWS KMS, hence the names. Errors are the
    source's own, and it decides whether to try again.
    """

    def generate_data_key(
        self,
        *,
        KeyId: str,  # noqa: N803
        KeySpec: Literal["AES_256"],  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
    ) -> Mapping[str, Any]:
        """Answer ``Plaintext`` (32 bytes), ``CiphertextBlob`` (1 to 6,144 bytes) and ``KeyId`` (an ARN)."""
        ...

    def decrypt(
        self,
        *,
        CiphertextBlob: bytes,  # noqa: N803
        EncryptionContext: Mapping[str, str],  # noqa: N803
        KeyId: str = ...,  # noqa: N803
    ) -> Mapping[str, Any]:
        """Answer ``Plaintext`` and ``KeyId``. With ``KeyId`` no other key may open the blob."""
        ...


class DataKey(NamedTuple):
    """A data key in clear and wrapped."""

    plaintext: Secret
    wrapped: bytes
    key_id: str
    """The ARN of the key that wraps it."""

    def copied(self) -> "DataKey":
        """Return one whose plaintext can be overwritten without harm to this one's."""
        return self._replace(plaintext=Secret(self.plaintext.reveal()))


def generate_data_key(source: DataKeySource, key_id: str, context: Mapping[str, str]) -> DataKey:
    """Have a data key made. Raises ForeignAnswerError for an answer that is none, and the source's own errors."""
    answer = source.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=dict(context))
    wrapped = answer.get("CiphertextBlob")
    if not isinstance(wrapped, bytes) or not 1 <= len(wrapped) <= MAX_WRAPPED_BYTES:
        raise ForeignAnswerError("the key service answered no wrapped data key")
    return _data_key(answer, wrapped)


def open_data_key(
    source: DataKeySource, wrapped: bytes, context: Mapping[str, str], *, key_id: str | None
) -> DataKey:
    """Have a data key opened, by this key if one is given. Raises as ``generate_data_key``."""
    if key_id is None:
        answer = source.decrypt(CiphertextBlob=wrapped, EncryptionContext=dict(context))
    else:
        answer = source.decrypt(CiphertextBlob=wrapped, EncryptionContext=dict(context), KeyId=key_id)
    return _data_key(answer, wrapped)


def _data_key(answer: Mapping[str, Any], wrapped: bytes) -> DataKey:
    plaintext, key_id = answer.get("Plaintext"), answer.get("KeyId")
    if not isinstance(plaintext, bytes) or len(plaintext) != KEY_LEN_BYTES or not isinstance(key_id, str):
        raise ForeignAnswerError(
            "the key service answered something else than a data key of 32 bytes",
            next_step="was the data encrypted by this software, with a data key of AES_256?",
        )
    return DataKey(Secret(plaintext), wrapped, key_id)
