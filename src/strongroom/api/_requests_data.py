"""Members of the further requests that use keys. See ``_requests``."""

from typing import Any

from strongroom.api._constraints import Violations
from strongroom.api._errors import validation_error
from strongroom.api._json import Blob
from strongroom.api._key_kinds import refuse_algorithm
from strongroom.api._requests import (
    DATA_KEY_LENGTHS,
    ENCRYPTION_ALGORITHMS,
    MAX_CIPHERTEXT_BYTES,
    MAX_KEY_ID,
    Members,
    check_grant_tokens,
    refuse_present,
)
from strongroom.keyring import MAX_RANDOM_BYTES


class GenerateDataKeyWithoutPlaintextMembers(Members, frozen=True, kw_only=True):
    """GenerateDataKeyWithoutPlaintext."""

    key_id: str | None = None
    encryption_context: dict[str, str] | None = None
    key_spec: str | None = None
    number_of_bytes: int | None = None
    grant_tokens: list[str] | None = None
    dry_run: bool | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.between("numberOfBytes", self.number_of_bytes, 1, 1_024)
        found.one_of("keySpec", self.key_spec, tuple(DATA_KEY_LENGTHS))
        found.check()
        if (self.number_of_bytes is None) == (self.key_spec is None):
            raise validation_error("Please specify either number of bytes or key spec.")
        check_grant_tokens(self.grant_tokens)

    def n_bytes(self) -> int:
        """Return the length of the data key."""
        return self.number_of_bytes or DATA_KEY_LENGTHS[self.key_spec or ""]


class ReEncryptMembers(Members, frozen=True, kw_only=True):
    """ReEncrypt."""

    ciphertext_blob: Blob | None = None
    source_encryption_context: dict[str, str] | None = None
    source_key_id: str | None = None
    destination_key_id: str | None = None
    destination_encryption_context: dict[str, str] | None = None
    source_encryption_algorithm: str | None = None
    destination_encryption_algorithm: str | None = None
    grant_tokens: list[str] | None = None
    dry_run: bool | None = None
    dry_run_modifiers: list[Any] | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        found = Violations()
        found.required("ciphertextBlob", self.ciphertext_blob)
        ciphertext = None if self.ciphertext_blob is None else self.ciphertext_blob.value
        found.blob_length("ciphertextBlob", ciphertext, MAX_CIPHERTEXT_BYTES)
        found.length("sourceKeyId", self.source_key_id, 1, MAX_KEY_ID)
        found.required("destinationKeyId", self.destination_key_id)
        found.length("destinationKeyId", self.destination_key_id, 1, MAX_KEY_ID)
        for name, algorithm in (
            ("sourceEncryptionAlgorithm", self.source_encryption_algorithm),
            ("destinationEncryptionAlgorithm", self.destination_encryption_algorithm),
        ):
            found.one_of(name, algorithm, ENCRYPTION_ALGORITHMS)
        found.check()
        refuse_algorithm(self.source_encryption_algorithm)
        refuse_algorithm(self.destination_encryption_algorithm)
        refuse_present("DryRunModifiers", bool(self.dry_run_modifiers))
        check_grant_tokens(self.grant_tokens)


class GenerateRandomMembers(Members, frozen=True, kw_only=True):
    """GenerateRandom."""

    number_of_bytes: int | None = None
    custom_key_store_id: str | None = None
    recipient: Any = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        found = Violations()
        found.between("numberOfBytes", self.number_of_bytes, 1, MAX_RANDOM_BYTES)
        found.length("customKeyStoreId", self.custom_key_store_id, 1, 64)
        found.check()
        if self.number_of_bytes is None:
            raise validation_error("NumberOfBytes is required.")
        refuse_present("Recipient", self.recipient is not None)
