"""Members of the requests that sign, make MACs, agree on secrets and make pairs of data keys. See ``_requests``."""

from typing import Any

from strongroom.api._constraints import Violations
from strongroom.api._errors import ApiError, unsupported_error
from strongroom.api._json import Blob
from strongroom.api._key_kinds import refuse_spec
from strongroom.api._operation import ECDH
from strongroom.api._requests import (
    MAX_CIPHERTEXT_BYTES,
    MAX_KEY_ID,
    MAX_PLAINTEXT_BYTES,
    KeyMembers,
    Members,
    check_grant_tokens,
    refuse_present,
)
from strongroom.core import MacAlgorithm, ManagedKeySpec, SigningAlgorithm
from strongroom.keyring import DATA_KEY_PAIR_SPECS, MessageType

SIGNING_ALGORITHMS = (*SigningAlgorithm, "SM2DSA", "ED25519_PH_SHA_512")
MAC_ALGORITHMS = tuple(MacAlgorithm)
KEY_AGREEMENT_ALGORITHMS = (ECDH,)
MESSAGE_TYPES = tuple(MessageType)
DATA_KEY_PAIRS = (*DATA_KEY_PAIR_SPECS, "SM2", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024")
MAX_PUBLIC_KEY_BYTES = 8_192


class _Signing(Members, frozen=True, kw_only=True):
    """What Sign and Verify have in common."""

    key_id: str | None = None
    message: Blob | None = None
    message_type: str | None = None
    grant_tokens: list[str] | None = None
    signing_algorithm: str | None = None
    dry_run: bool | None = None

    def _check(self, found: Violations) -> None:
        _check_key_and_message(found, self.key_id, self.message)
        found.one_of("messageType", self.message_type, MESSAGE_TYPES)
        found.required("signingAlgorithm", self.signing_algorithm)
        found.one_of("signingAlgorithm", self.signing_algorithm, SIGNING_ALGORITHMS)
        found.check()
        _refuse_signing_algorithm(self.signing_algorithm)
        check_grant_tokens(self.grant_tokens)

    def algorithm(self) -> SigningAlgorithm:
        """Return the algorithm. Only after ``validate``."""
        return SigningAlgorithm(self.signing_algorithm or "")

    def kind(self) -> MessageType:
        """Return what the message is."""
        return MessageType(self.message_type or MessageType.RAW)


class SignMembers(_Signing, frozen=True, kw_only=True):
    """Sign."""

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        self._check(Violations())


class VerifyMembers(_Signing, frozen=True, kw_only=True):
    """Verify."""

    signature: Blob | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        found = Violations()
        _check_blob(found, "signature", self.signature, MAX_CIPHERTEXT_BYTES)
        self._check(found)


class _Mac(Members, frozen=True, kw_only=True):
    """What GenerateMac and VerifyMac have in common."""

    message: Blob | None = None
    key_id: str | None = None
    mac_algorithm: str | None = None
    grant_tokens: list[str] | None = None
    dry_run: bool | None = None

    def _check(self, found: Violations) -> None:
        _check_key_and_message(found, self.key_id, self.message)
        found.required("macAlgorithm", self.mac_algorithm)
        found.one_of("macAlgorithm", self.mac_algorithm, MAC_ALGORITHMS)
        found.check()
        check_grant_tokens(self.grant_tokens)

    def algorithm(self) -> MacAlgorithm:
        """Return the algorithm. Only after ``validate``."""
        return MacAlgorithm(self.mac_algorithm or "")


class GenerateMacMembers(_Mac, frozen=True, kw_only=True):
    """GenerateMac."""

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        self._check(Violations())


class VerifyMacMembers(_Mac, frozen=True, kw_only=True):
    """VerifyMac."""

    mac: Blob | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        found = Violations()
        _check_blob(found, "mac", self.mac, MAX_CIPHERTEXT_BYTES)
        self._check(found)


class GetPublicKeyMembers(KeyMembers, frozen=True, kw_only=True):
    """GetPublicKey."""

    grant_tokens: list[str] | None = None

    def validate(self) -> None:
        """Check the constraints."""
        super().validate()
        check_grant_tokens(self.grant_tokens)


class DeriveSharedSecretMembers(Members, frozen=True, kw_only=True):
    """DeriveSharedSecret."""

    key_id: str | None = None
    key_agreement_algorithm: str | None = None
    public_key: Blob | None = None
    grant_tokens: list[str] | None = None
    dry_run: bool | None = None
    recipient: Any = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.required("keyAgreementAlgorithm", self.key_agreement_algorithm)
        found.one_of("keyAgreementAlgorithm", self.key_agreement_algorithm, KEY_AGREEMENT_ALGORITHMS)
        _check_blob(found, "publicKey", self.public_key, MAX_PUBLIC_KEY_BYTES)
        found.check()
        refuse_present("Recipient", self.recipient is not None)
        check_grant_tokens(self.grant_tokens)


class GenerateDataKeyPairWithoutPlaintextMembers(Members, frozen=True, kw_only=True):
    """GenerateDataKeyPairWithoutPlaintext."""

    encryption_context: dict[str, str] | None = None
    key_id: str | None = None
    key_pair_spec: str | None = None
    grant_tokens: list[str] | None = None
    dry_run: bool | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.required("keyPairSpec", self.key_pair_spec)
        found.one_of("keyPairSpec", self.key_pair_spec, DATA_KEY_PAIRS)
        found.check()
        refuse_spec("KeyPairSpec", self.key_pair_spec)
        check_grant_tokens(self.grant_tokens)

    def spec(self) -> ManagedKeySpec:
        """Return what the pair is to be. Only after ``validate``."""
        return ManagedKeySpec(self.key_pair_spec or "")


class GenerateDataKeyPairMembers(GenerateDataKeyPairWithoutPlaintextMembers, frozen=True, kw_only=True):
    """GenerateDataKeyPair."""

    recipient: Any = None

    def validate(self) -> None:
        """Check the constraints, and refuse what is not served."""
        super().validate()
        refuse_present("Recipient", self.recipient is not None)


def _check_key_and_message(found: Violations, key_id: str | None, message: Blob | None) -> None:
    found.required("keyId", key_id)
    found.length("keyId", key_id, 1, MAX_KEY_ID)
    _check_blob(found, "message", message, MAX_PLAINTEXT_BYTES)


def _check_blob(found: Violations, name: str, blob: Blob | None, maximum: int) -> None:
    found.required(name, blob)
    found.blob_length(name, None if blob is None else blob.value, maximum)


def _refuse_signing_algorithm(value: str | None) -> None:
    """Refuse the algorithms that no key of ours has."""
    if value == "ED25519_PH_SHA_512":
        raise unsupported_error(
            f"SigningAlgorithm {value} is not served: the cryptography library has no Ed25519ph."
        )
    if value == "SM2DSA":
        raise ApiError(
            "InvalidKeyUsageException", f"SigningAlgorithm {value} is that of no KeySpec that is served."
        )
