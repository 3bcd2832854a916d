"""The members of each operation's request, their constraints, and what is refused because it is not served yet.

Source: the AWS KMS service model 2014-11-01 (botocore), whose enumerations and limits a test compares. A
member that would change the meaning of a request is refused by name; it is never ignored.
"""

import re
from typing import Any

from msgspec import Struct

from strongroom.api._constraints import Violations
from strongroom.api._errors import unsupported_error, validation_error
from strongroom.api._json import Blob
from strongroom.api._key_kinds import refuse_algorithm
from strongroom.core import Secret

SYMMETRIC_DEFAULT = "SYMMETRIC_DEFAULT"
DATA_KEY_LENGTHS = {"AES_256": 32, "AES_128": 16}
ENCRYPTION_ALGORITHMS = (SYMMETRIC_DEFAULT, "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE")
RESOURCE_OWNERS = ("SELF", "OTHER_ACCOUNTS_VIA_RAM")
MAX_KEY_ID = 2_048
MAX_GRANT_TOKENS = 10
MAX_POLICY = 131_072
POLICY_PATTERN = r"[\u0009\u000A\u000D\u0020-\u00FF]+"
POLICY_FORM = re.compile(POLICY_PATTERN)
MAX_PLAINTEXT_BYTES = 4_096
MAX_CIPHERTEXT_BYTES = 6_144


class Members(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Members of a request; ``None`` is an absent one."""

    def validate(self) -> None:
        """Raise ApiError for what AWS forbids or we do not serve."""


class KeyMembers(Members, frozen=True, kw_only=True):
    """What every request about one key has, and all of some, such as EnableKey."""

    key_id: str | None = None

    def validate(self) -> None:
        """Check the constraints."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.check()


class DescribeKeyMembers(KeyMembers, frozen=True, kw_only=True):
    """DescribeKey."""

    grant_tokens: list[str] | None = None

    def validate(self) -> None:
        """Check the constraints."""
        super().validate()
        check_grant_tokens(self.grant_tokens)


class ListKeysMembers(Members, frozen=True, kw_only=True):
    """ListKeys."""

    limit: int | None = None
    marker: str | None = None
    resource_owners: list[str] | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse keys that are shared by others."""
        found = Violations()
        found.between("limit", self.limit, 1, 1_000)
        found.length("marker", self.marker, 1, 1_024)
        found.n_items("resourceOwners", self.resource_owners, 1, len(RESOURCE_OWNERS))
        for owner in self.resource_owners or ():
            found.one_of("resourceOwners", owner, RESOURCE_OWNERS)
        found.check()
        refuse_present("ResourceOwners", self.resource_owners not in (None, ["SELF"]))


class CreateAliasMembers(Members, frozen=True, kw_only=True):
    """CreateAlias."""

    alias_name: str | None = None
    target_key_id: str | None = None

    def validate(self) -> None:
        """Check the constraints but those on the form of the name."""
        found = Violations()
        found.required("aliasName", self.alias_name)
        found.length("aliasName", self.alias_name, 1, 256)
        found.required("targetKeyId", self.target_key_id)
        found.length("targetKeyId", self.target_key_id, 1, MAX_KEY_ID)
        found.check()


class ListAliasesMembers(Members, frozen=True, kw_only=True):
    """ListAliases."""

    key_id: str | None = None
    limit: int | None = None
    marker: str | None = None

    def validate(self) -> None:
        """Check the constraints."""
        found = Violations()
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.between("limit", self.limit, 1, 1_000)
        found.length("marker", self.marker, 1, 1_024)
        found.check()


class GenerateDataKeyMembers(Members, frozen=True, kw_only=True):
    """GenerateDataKey."""

    key_id: str | None = None
    encryption_context: dict[str, str] | None = None
    number_of_bytes: int | None = None
    key_spec: str | None = None
    grant_tokens: list[str] | None = None
    recipient: Any = None
    dry_run: bool | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        if (
            self.key_id
            and len(self.key_id) <= MAX_KEY_ID
            and self.key_spec in DATA_KEY_LENGTHS
            and (self.number_of_bytes, self.grant_tokens, self.recipient, self.dry_run)
            == (None, None, None, None)
        ):
            return  # the usual request
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.between("numberOfBytes", self.number_of_bytes, 1, 1_024)
        found.one_of("keySpec", self.key_spec, tuple(DATA_KEY_LENGTHS))
        found.check()
        if (self.number_of_bytes is None) == (self.key_spec is None):
            raise validation_error("Please specify either number of bytes or key spec.")
        refuse_present("Recipient", self.recipient is not None)
        check_grant_tokens(self.grant_tokens)

    def n_bytes(self) -> int:
        """Return the length of the data key asked for. Only after ``validate``."""
        return DATA_KEY_LENGTHS[self.key_spec] if self.key_spec else self.number_of_bytes or 0


class EncryptMembers(Members, frozen=True, kw_only=True):
    """Encrypt."""

    key_id: str | None = None
    plaintext: Secret | None = None
    encryption_context: dict[str, str] | None = None
    grant_tokens: list[str] | None = None
    encryption_algorithm: str | None = None
    dry_run: bool | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        if (
            self.key_id
            and len(self.key_id) <= MAX_KEY_ID
            and self.plaintext is not None
            and 1 <= len(self.plaintext) <= MAX_PLAINTEXT_BYTES
            and (self.grant_tokens, self.encryption_algorithm, self.dry_run) == (None, None, None)
        ):
            return  # the usual request
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        if self.plaintext is None:
            found.required("plaintext", None)
        found.blob_length("plaintext", self.plaintext, MAX_PLAINTEXT_BYTES)
        found.one_of("encryptionAlgorithm", self.encryption_algorithm, ENCRYPTION_ALGORITHMS)
        found.check()
        refuse_algorithm(self.encryption_algorithm)
        check_grant_tokens(self.grant_tokens)


class DecryptMembers(Members, frozen=True, kw_only=True):
    """Decrypt."""

    ciphertext_blob: Blob | None = None
    encryption_context: dict[str, str] | None = None
    grant_tokens: list[str] | None = None
    key_id: str | None = None
    encryption_algorithm: str | None = None
    recipient: Any = None
    dry_run: bool | None = None
    dry_run_modifiers: list[Any] | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        if (
            self.ciphertext_blob is not None
            and 1 <= len(self.ciphertext_blob.value) <= MAX_CIPHERTEXT_BYTES
            and (self.key_id is None or 1 <= len(self.key_id) <= MAX_KEY_ID)
            and (self.grant_tokens, self.encryption_algorithm, self.recipient) == (None, None, None)
            and (self.dry_run, self.dry_run_modifiers) == (None, None)
        ):
            return  # the usual request
        found = Violations()
        found.required("ciphertextBlob", self.ciphertext_blob)
        ciphertext = None if self.ciphertext_blob is None else self.ciphertext_blob.value
        found.blob_length("ciphertextBlob", ciphertext, MAX_CIPHERTEXT_BYTES)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.one_of("encryptionAlgorithm", self.encryption_algorithm, ENCRYPTION_ALGORITHMS)
        found.check()
        refuse_algorithm(self.encryption_algorithm)
        refuse_present("Recipient", self.recipient is not None)
        refuse_present("DryRunModifiers", bool(self.dry_run_modifiers))
        check_grant_tokens(self.grant_tokens)


def refuse_present(member: str, is_present: bool) -> None:  # noqa: FBT001  # reads as a claim where it is called
    """Refuse a member that is not served, when a request has it."""
    if is_present:
        raise unsupported_error(f"{member} is not served yet.")


def refuse_other(member: str, value: str | None, served: str) -> None:
    """Refuse every value of a member but the one that is served."""
    if value not in {None, served}:
        raise unsupported_error(f"{member} {value} is not served yet, only {served}.")


def check_grant_tokens(tokens: list[str] | None) -> None:
    """Check number and lengths of grant tokens; whether they name grants is the service's to say."""
    if tokens is not None and len(tokens) > MAX_GRANT_TOKENS:
        raise validation_error(
            "1 validation error detected: Value at 'grantTokens' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_GRANT_TOKENS}"
        )
    found = Violations()
    for token in tokens or ():
        found.length("grantTokens", token, 1, 8_192)
    found.check()
