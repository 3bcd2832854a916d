"""The one map from typed errors to HTTP status, AWS error code and message.

Every fault of the caller is HTTP 400, as AWS KMS answers it; 500 and 503 are ours. An error that no rule
names becomes a plain 500 with its detail stripped.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

from strongroom.api._arns import Arns
from strongroom.core import (
    ApprovalRequiredError,
    AuditUnavailableError,
    HsmError,
    HsmIntegrityError,
    HsmKeyLimitError,
    HsmKeyQuarantinedError,
    StorageError,
    StrongroomError,
    TooFewMembersError,
)
from strongroom.custody import ApprovalRefusedError, CustodyError
from strongroom.keyring import (
    AlgorithmError,
    AliasExistsError,
    AliasLimitError,
    AliasNotFoundError,
    ClusterNotActiveError,
    ClusterNotFoundError,
    ContextTooLongError,
    CryptoperiodOverError,
    CryptoperiodUnfitError,
    DestructionNotScheduledError,
    DestructionScheduledError,
    DomainFullError,
    DomainNameError,
    DomainNameInUseError,
    DomainNotFoundError,
    DomainStateError,
    DomainTagError,
    DryRunError,
    ImportStateError,
    ImportTokenError,
    ImportTokenExpiredError,
    ImportUnsupportedError,
    IncorrectKeyError,
    IncorrectKeyMaterialError,
    InvalidCiphertextError,
    InvalidMacError,
    InvalidSignatureError,
    InventoryLimitError,
    InventoryUnfitError,
    KeyCompromisedError,
    KeyNotFoundError,
    KeyPreActiveError,
    KeyRefusedByHsmsError,
    KeyStateError,
    KeyStoreHasKeysError,
    KeyStoreNameInUseError,
    KeyStoreNotFoundError,
    KeyStoreStateError,
    KeyUnavailableError,
    KeyUsageError,
    NoPublicKeyError,
    NotInDomainError,
    PendingImportError,
    RotationLimitError,
    RotationUnsupportedError,
    TagLimitError,
    TooBusyError,
    UnfitRequestError,
    UnknownMaterialError,
    VersionNotFoundError,
    VersionRetiredError,
    VersionStateError,
)
from strongroom.policy import MalformedPolicyError
from strongroom.service import (
    AccessDeniedError,
    ApprovalLimitError,
    ApprovalNotFoundError,
    ApprovalOverError,
    ApprovalPendingError,
    CustodyBrokenError,
    CustodyNotKeptError,
    GrantLimitError,
    GrantNotFoundError,
    InactiveAccessKeyError,
    InRecentUseError,
    InvalidGrantTokenError,
    LockoutError,
    NoRuleError,
    NotApprovedError,
    NotExecutedError,
    PoliciesNotKeptError,
    QuotaExceededError,
    UnfitGrantError,
)


class ApiError(StrongroomError):
    """An answer that is an error: AWS code, message for the caller, HTTP status."""

    def __init__(
        self, code: str, message: str = "", *, status: int = 400, header: str = "", credential: str = ""
    ) -> None:
        """``header``: a line of the answer's head that goes with it, such as ``allow: GET``.

        ``credential``: who was recognised and refused all the same, for the record of the refusal.
        """
        super().__init__(message)
        self.code = code
        self.status = status
        self.header = header
        self.credential = credential


class Where(NamedTuple):
    """What a message may name besides the error itself."""

    arns: Arns
    operation: str


class ErrorRule(NamedTuple):
    """How one type of error is answered."""

    error: type[StrongroomError]
    code: str
    status: int
    text: Callable[[Any, Where], str]
    """Makes the message. Takes the error, of the type named by ``error``."""


def _not_allowed(error: AccessDeniedError, where: Where) -> str:
    who = where.arns.principal(error.principal)
    return f"User: {who} is not authorized to perform: kms:{error.verb}"


def _sentence(error: StrongroomError) -> str:
    """Return what an error says, where it names nothing but what the caller did, as a sentence."""
    return f"{error.message[:1].upper()}{error.message[1:]}."


def _told(error: StrongroomError) -> str:
    """Return what an error says, with what to do next."""
    step = error.next_step or ""
    return f"{_sentence(error)} {step[:1].upper()}{step[1:]}."


def _date(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


ERROR_RULES: tuple[ErrorRule, ...] = (
    ErrorRule(KeyNotFoundError, "NotFoundException", 400,
              lambda error, where: f"Key '{where.arns.key(error.key_id)}' does not exist"),
    ErrorRule(AliasNotFoundError, "NotFoundException", 400,
              lambda error, where: f"Alias {where.arns.alias(error.alias_name)} is not found."),
    ErrorRule(AliasExistsError, "AlreadyExistsException", 400,
              lambda error, where: f"An alias with the name {where.arns.alias(error.alias_name)} already exists"),
    ErrorRule(AliasLimitError, "LimitExceededException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} may have {error.limit} aliases and no more."),
    ErrorRule(TagLimitError, "TagException", 400, lambda _error, _where: "Too many tags"),
    ErrorRule(DomainTagError, "TagException", 400, lambda error, where: f"The tag strongroom:domain of "
              f"{where.arns.key(error.key_id)} says which domain the key is in. Move the key instead."),
    ErrorRule(DomainNotFoundError, "NotFoundException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(DomainNameError, "ValidationException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(DomainNameInUseError, "AlreadyExistsException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(DomainFullError, "LimitExceededException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(DomainStateError, "KMSInvalidStateException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(NotInDomainError, "UnsupportedOperationException", 400, lambda _error, _where:
              "A key inside HSMs is in no domain that could be chosen."),
    ErrorRule(DestructionScheduledError, "KMSInvalidStateException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} is pending deletion."),
    ErrorRule(DestructionNotScheduledError, "KMSInvalidStateException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} is not pending deletion."),
    ErrorRule(KeyCompromisedError, "KMSInvalidStateException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} is compromised."),
    ErrorRule(PendingImportError, "KMSInvalidStateException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} is pending import."),
    ErrorRule(KeyPreActiveError, "KMSInvalidStateException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} is not active before {_date(error.activate_at)}."),
    ErrorRule(CryptoperiodOverError, "KMSInvalidStateException", 400, lambda error, where:
              f"{where.arns.key(error.key_id)} has reached the end of its cryptoperiod: it protects nothing more."),
    ErrorRule(CryptoperiodUnfitError, "KMSInvalidStateException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} {error.finding}."),
    ErrorRule(VersionRetiredError, "KMSInvalidStateException", 400, lambda error, where:
              f"Version {error.version} of {where.arns.key(error.key_id)}, which this ciphertext is under, was retired."),
    ErrorRule(VersionNotFoundError, "NotFoundException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} has no version {error.version}."),
    ErrorRule(VersionStateError, "KMSInvalidStateException", 400,
              lambda error, where: f"Version {error.version} of {where.arns.key(error.key_id)} {error.finding}."),
    ErrorRule(InventoryUnfitError, "ValidationException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(InventoryLimitError, "LimitExceededException", 400, lambda error, where:
              f"There are {error.limit} inventories about {where.arns.key(error.key_id)}, which is the most."),
    ErrorRule(InRecentUseError, "AccessDeniedException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(RotationUnsupportedError, "UnsupportedOperationException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} is of a kind that is not rotated so."),
    ErrorRule(RotationLimitError, "LimitExceededException", 400, lambda error, where:
              f"{where.arns.key(error.key_id)} was rotated on demand {error.limit} times, which is the most."),
    ErrorRule(KeyUnavailableError, "KMSInvalidStateException", 400, lambda error, where:
              f"{where.arns.key(error.key_id)} is unavailable: its custom key store {error.store_id} is not connected."),
    ErrorRule(ImportUnsupportedError, "UnsupportedOperationException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} {error.finding}."),
    ErrorRule(ImportTokenExpiredError, "ExpiredImportTokenException", 400, lambda _error, _where:
              "The import token is older than a day. Get another with its public key."),
    ErrorRule(ImportTokenError, "InvalidImportTokenException", 400, lambda _error, _where:
              "The import token was not made by this service, or for another key, or before its key was moved."),
    ErrorRule(IncorrectKeyMaterialError, "IncorrectKeyMaterialException", 400, lambda error, _where: error.message),
    ErrorRule(UnknownMaterialError, "NotFoundException", 400,
              lambda error, where: f"No such key material was imported into {where.arns.key(error.key_id)}."),
    ErrorRule(ImportStateError, "KMSInvalidStateException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} {error.finding}."),
    ErrorRule(KeyStateError, "DisabledException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} is disabled."),
    ErrorRule(AlgorithmError, "InvalidKeyUsageException", 400, lambda error, _where:
              f"Algorithm {error.algorithm} and key spec {error.spec} are not compatible."),
    ErrorRule(KeyUsageError, "InvalidKeyUsageException", 400, lambda error, where:
              f"{where.arns.key(error.key_id)} key usage is {error.usage} which is not valid for {where.operation}."),
    ErrorRule(NoPublicKeyError, "UnsupportedOperationException", 400,
              lambda error, where: f"{where.arns.key(error.key_id)} has no public key."),
    ErrorRule(UnfitRequestError, "ValidationException", 400, lambda error, _where: error.message),
    ErrorRule(InvalidSignatureError, "KMSInvalidSignatureException", 400, lambda _error, _where: ""),
    ErrorRule(InvalidMacError, "KMSInvalidMacException", 400, lambda _error, _where: ""),
    ErrorRule(DryRunError, "DryRunOperationException", 400, lambda _error, _where:
              "The request would have succeeded, but the DryRun option is set."),
    ErrorRule(QuotaExceededError, "ThrottlingException", 400, lambda _error, _where:
              "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."),
    ErrorRule(TooBusyError, "ThrottlingException", 400, lambda _error, _where:
              "Rate exceeded: too many requests with slow keys wait already."),
    ErrorRule(InvalidCiphertextError, "InvalidCiphertextException", 400, lambda _error, _where: ""),
    ErrorRule(IncorrectKeyError, "IncorrectKeyException", 400, lambda _error, _where:
              "The key ID in the request does not identify a CMK that can perform this operation."),
    ErrorRule(InactiveAccessKeyError, "UnrecognizedClientException", 400, lambda _error, _where:
              "The security token included in the request is invalid."),
    ErrorRule(KeyStoreNotFoundError, "CustomKeyStoreNotFoundException", 400,
              lambda error, _where: f"There is no custom key store '{error.store}'"),
    ErrorRule(KeyStoreNameInUseError, "CustomKeyStoreNameInUseException", 400,
              lambda error, _where: f"A custom key store with the name '{error.name}' already exists"),
    ErrorRule(KeyStoreStateError, "CustomKeyStoreInvalidStateException", 400, lambda error, where:
              f"{where.operation} is not possible while the custom key store {error.store_id} is {error.state}."),
    ErrorRule(KeyStoreHasKeysError, "CustomKeyStoreHasCMKsException", 400, lambda error, _where:
              f"The custom key store {error.store_id} has {error.n_keys} keys that are not deleted yet."),
    ErrorRule(ClusterNotFoundError, "CloudHsmClusterNotFoundException", 400,
              lambda error, _where: f"This service has no cluster {error.cluster_id}."),
    ErrorRule(ClusterNotActiveError, "CloudHsmClusterNotActiveException", 400,
              lambda error, _where: f"No member of the cluster {error.cluster_id} serves at the moment."),
    ErrorRule(KeyRefusedByHsmsError, "UnsupportedOperationException", 400, lambda error, _where: error.message),
    ErrorRule(ContextTooLongError, "ValidationException", 400, lambda _error, _where:
              "The encryption context is too long for a key inside HSMs."),
    ErrorRule(AccessDeniedError, "AccessDeniedException", 400, _not_allowed),
    ErrorRule(MalformedPolicyError, "MalformedPolicyDocumentException", 400, lambda error, _where: error.message),
    ErrorRule(LockoutError, "MalformedPolicyDocumentException", 400, lambda _error, _where:
              "The new key policy will not allow you to update the key policy in the future."),
    ErrorRule(InvalidGrantTokenError, "InvalidGrantTokenException", 400, lambda _error, _where:
              "A grant token names no grant that there is."),
    ErrorRule(GrantNotFoundError, "NotFoundException", 400, lambda _error, _where: "Grant is not found."),
    ErrorRule(GrantLimitError, "LimitExceededException", 400, lambda error, _where:
              f"There are {error.limit} grants already, which is the most."),
    ErrorRule(UnfitGrantError, "ValidationException", 400, lambda error, _where: error.message),
    ErrorRule(NotApprovedError, "UnsupportedOperationException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(PoliciesNotKeptError, "UnsupportedOperationException", 400, lambda error, _where: error.message),
    ErrorRule(ApprovalPendingError, "AccessDeniedException", 400, lambda error, _where: _told(error)),
    ErrorRule(NoRuleError, "AccessDeniedException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(ApprovalRequiredError, "AccessDeniedException", 400, lambda _error, where:
              f"kms:{where.operation} needs an approval that this request does not have."),
    ErrorRule(CustodyNotKeptError, "UnsupportedOperationException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(CustodyBrokenError, "KMSInternalException", 500, lambda _error, _where:
              "What the database holds of officers and approvals is not what officers signed. The operator must look at the service log."),
    ErrorRule(ApprovalNotFoundError, "NotFoundException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(NotExecutedError, "NotFoundException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(ApprovalLimitError, "LimitExceededException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(ApprovalOverError, "KMSInvalidStateException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(ApprovalRefusedError, "KMSInvalidSignatureException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(CustodyError, "ValidationException", 400, lambda error, _where: _sentence(error)),
    ErrorRule(HsmIntegrityError, "KMSInternalException", 500, lambda _error, _where:
              "Stored key material does not authenticate. The operator must look at the service log."),
    ErrorRule(HsmKeyLimitError, "LimitExceededException", 400, lambda error, _where: error.message),
    ErrorRule(TooFewMembersError, "CloudHsmClusterInvalidConfigurationException", 400, lambda error, _where:
              f"Too few members of the cluster could take the key: {error.message}"),
    ErrorRule(HsmKeyQuarantinedError, "KMSInvalidStateException", 400, lambda _error, _where:
              "The key is in quarantine: no hardware security module shows that it is the one of its record. "
              "The operator must look at the members."),
    ErrorRule(HsmError, "DependencyTimeoutException", 503, lambda _error, _where:
              "No hardware security module could serve the request. Try again later."),
    ErrorRule(AuditUnavailableError, "KMSInternalException", 500, lambda _error, _where:
              "The service refuses requests because its audit log cannot be written."),
    ErrorRule(StorageError, "KMSInternalException", 500, lambda _error, _where:
              "The service refuses the request because its database cannot be read or written."),
)  # fmt: skip
"""First match wins, so the more specific type stands first."""


def to_api_error(error: Exception, where: Where) -> ApiError:
    """Translate any exception into the answer that the caller gets."""
    if isinstance(error, ApiError):
        return error
    for rule in ERROR_RULES:
        if isinstance(error, rule.error):
            return ApiError(rule.code, rule.text(error, where), status=rule.status)
    return ApiError("KMSInternalException", "The service failed to handle the request.", status=500)


def validation_error(message: str) -> ApiError:
    """Make a ValidationException."""
    return ApiError("ValidationException", message)


def unsupported_error(message: str) -> ApiError:
    """Make an UnsupportedOperationException."""
    return ApiError("UnsupportedOperationException", message)
