"""Answers: their shapes, the error map, exactly one audit entry per request, and what the log must not say."""

import json
import logging

import pytest
import structlog

from api_support import ACCOUNT, REGION, SECRET_KEY
from strongroom.api._errors import ERROR_RULES
from strongroom.api._failure_log import log_failure
from strongroom.core import (
    ApprovalRequiredError,
    AuditUnavailableError,
    ConfigError,
    HsmIntegrityError,
    HsmKeyQuarantinedError,
    HsmRequestError,
    KeyState,
    KeyUsage,
    ManagedKeySpec,
    MemberDeadlineError,
    NoMemberError,
    StorageError,
)
from strongroom.keyring import (
    AlgorithmError,
    AliasExistsError,
    AliasLimitError,
    AliasNotFoundError,
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
    KeyCompromisedError,
    KeyDestroyedError,
    KeyNotFoundError,
    KeyPreActiveError,
    KeyStateError,
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
)
from strongroom.policy import MalformedPolicyError
from strongroom.service import (
    AccessDeniedError,
    Credential,
    GrantLimitError,
    GrantNotFoundError,
    InactiveAccessKeyError,
    InvalidGrantTokenError,
    LockoutError,
    PoliciesNotKeptError,
    UnfitGrantError,
)
from unit.api.custody_answers import CUSTODY_ERRORS
from unit.api.key_store_answers import KEY_STORE_ERRORS
from unit.api.served_answers import PLAINTEXT, served_answers
from unit.api.version_answers import VERSION_ERRORS

ABSENT = "12345678-1234-1234-1234-123456789012"
ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{ABSENT}"
SECRETS = ("meet me at noon", PLAINTEXT, SECRET_KEY)


ERRORS = [
    (KeyNotFoundError(ABSENT), 400, "NotFoundException", f"Key '{ARN}' does not exist"),
    (AliasNotFoundError("alias/x"), 400, "NotFoundException", f"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/x is not found."),
    (AliasExistsError("alias/x"), 400, "AlreadyExistsException", f"An alias with the name arn:aws:kms:{REGION}:{ACCOUNT}:alias/x already exists"),
    (KeyStateError(ABSENT, KeyState.SUSPENDED), 400, "DisabledException", f"{ARN} is disabled."),
    (KeyDestroyedError(ABSENT), 400, "NotFoundException", f"Key '{ARN}' does not exist"),
    (DestructionScheduledError(ABSENT), 400, "KMSInvalidStateException", f"{ARN} is pending deletion."),
    (DestructionNotScheduledError(ABSENT), 400, "KMSInvalidStateException", f"{ARN} is not pending deletion."),
    (AliasLimitError(ABSENT, 50), 400, "LimitExceededException", f"{ARN} may have 50 aliases and no more."),
    (TagLimitError(ABSENT, 50), 400, "TagException", "Too many tags"),
    (KeyCompromisedError(ABSENT), 400, "KMSInvalidStateException", f"{ARN} is compromised."),
    (PendingImportError(ABSENT), 400, "KMSInvalidStateException", f"{ARN} is pending import."),
    (ImportUnsupportedError(ABSENT), 400, "UnsupportedOperationException", f"{ARN} is not a key whose material is imported."),
    (ImportTokenError(), 400, "InvalidImportTokenException", "The import token was not made by this service, or for another key, or before its key was moved."),
    (DomainNotFoundError("red"), 400, "NotFoundException", "There is no domain 'red'."),
    (DomainNameError("a domain is not called 'A'"), 400, "ValidationException", "A domain is not called 'A'."),
    (DomainNameInUseError("red"), 400, "AlreadyExistsException", "There is a domain red already."),
    (DomainFullError("red", 1_000), 400, "LimitExceededException", "The domain red has 1000 keys, which is the most."),
    (DomainStateError("the domain is being rotated"), 400, "KMSInvalidStateException", "The domain is being rotated."),
    (NotInDomainError(ABSENT), 400, "UnsupportedOperationException", "A key inside HSMs is in no domain that could be chosen."),
    (DomainTagError(ABSENT), 400, "TagException", f"The tag strongroom:domain of {ARN} says which domain the key is in. Move the key instead."),
    (ImportTokenExpiredError(), 400, "ExpiredImportTokenException", "The import token is older than a day. Get another with its public key."),
    (IncorrectKeyMaterialError(ABSENT, "has 3 bytes"), 400, "IncorrectKeyMaterialException", "the key material has 3 bytes"),
    (UnknownMaterialError(ABSENT), 400, "NotFoundException", f"No such key material was imported into {ARN}."),
    (ImportStateError(ABSENT, "has none"), 400, "KMSInvalidStateException", f"{ARN} has none."),
    (RotationLimitError(ABSENT, 25), 400, "LimitExceededException", f"{ARN} was rotated on demand 25 times, which is the most."),
    (RotationUnsupportedError(ABSENT), 400, "UnsupportedOperationException", f"{ARN} is of a kind that is not rotated so."),
    (KeyPreActiveError(ABSENT, 1_800_000_000.0), 400, "KMSInvalidStateException", f"{ARN} is not active before 2027-01-15T08:00:00Z."),
    (CryptoperiodOverError(ABSENT), 400, "KMSInvalidStateException", f"{ARN} has reached the end of its cryptoperiod: it protects nothing more."),
    (CryptoperiodUnfitError(ABSENT, "is too short"), 400, "KMSInvalidStateException", f"{ARN} is too short."),
    (InvalidCiphertextError(), 400, "InvalidCiphertextException", ""),
    (KeyUsageError(ABSENT, KeyUsage.SIGN_VERIFY), 400, "InvalidKeyUsageException", f"{ARN} key usage is SIGN_VERIFY which is not valid for Encrypt."),
    (AlgorithmError(ABSENT, KeyUsage.SIGN_VERIFY, ManagedKeySpec.RSA_2048, "ECDSA_SHA_256"), 400, "InvalidKeyUsageException", "Algorithm ECDSA_SHA_256 and key spec RSA_2048 are not compatible."),
    (NoPublicKeyError(ABSENT, material_id=""), 400, "UnsupportedOperationException", f"{ARN} has no public key."),
    (UnfitRequestError("Digest is invalid length for algorithm ECDSA_SHA_256."), 400, "ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256."),
    (InvalidSignatureError(key_id=ABSENT, material_id=""), 400, "KMSInvalidSignatureException", ""),
    (InvalidMacError(key_id=ABSENT, material_id=""), 400, "KMSInvalidMacException", ""),
    (DryRunError(key_id=ABSENT, material_id=""), 400, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set."),
    (TooBusyError(), 400, "ThrottlingException", "Rate exceeded: too many requests with slow keys wait already."),
    (IncorrectKeyError(), 400, "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."),
    (AccessDeniedError("user/x", "ReEncryptFrom"), 400, "AccessDeniedException", f"User: arn:aws:iam::{ACCOUNT}:user/x is not authorized to perform: kms:ReEncryptFrom"),
    (InactiveAccessKeyError("user/x", "Encrypt"), 400, "UnrecognizedClientException", "The security token included in the request is invalid."),
    (MalformedPolicyError("statement 1 has no Resource"), 400, "MalformedPolicyDocumentException", "statement 1 has no Resource"),
    (LockoutError(), 400, "MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future."),
    (InvalidGrantTokenError(), 400, "InvalidGrantTokenException", "A grant token names no grant that there is."),
    (GrantNotFoundError(), 400, "NotFoundException", "Grant is not found."),
    (GrantLimitError(1000), 400, "LimitExceededException", "There are 1000 grants already, which is the most."),
    (UnfitGrantError("a grant cannot be for that"), 400, "ValidationException", "a grant cannot be for that"),
    (PoliciesNotKeptError(), 400, "UnsupportedOperationException", "this service keeps no policies of keys"),
    (ApprovalRequiredError("no"), 400, "AccessDeniedException", "kms:Encrypt needs an approval that this request does not have."),
    (NoMemberError("alpha: CKR_DEVICE_ERROR"), 503, "DependencyTimeoutException", "No hardware security module could serve the request. Try again later."),
    (MemberDeadlineError("slow"), 503, "DependencyTimeoutException", "No hardware security module could serve the request. Try again later."),
    (HsmRequestError("CKR_ARGUMENTS_BAD"), 503, "DependencyTimeoutException", "No hardware security module could serve the request. Try again later."),
    (HsmKeyQuarantinedError("alpha and beta"), 400, "KMSInvalidStateException", "The key is in quarantine: no hardware security module shows that it is the one of its record. The operator must look at the members."),
    (HsmIntegrityError("tag"), 500, "KMSInternalException", "Stored key material does not authenticate. The operator must look at the service log."),
    (AuditUnavailableError("ENOSPC"), 500, "KMSInternalException", "The service refuses requests because its audit log cannot be written."),
    (StorageError("disk I/O error"), 500, "KMSInternalException", "The service refuses the request because its database cannot be read or written."),
    (ConfigError("/etc/strongroom"), 500, "KMSInternalException", "The service failed to handle the request."),
    *((error, 400, code, message) for error, code, message in KEY_STORE_ERRORS + VERSION_ERRORS),
    *CUSTODY_ERRORS,
    (KeyError(PLAINTEXT), 500, "KMSInternalException", "The service failed to handle the request."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status", "code", "message"), ERRORS, ids=lambda value: type(value).__name__
)
async def test_an_error_of_the_service_is_answered_by_the_one_map(api, error, status, code, message):
    api.service.fail_with = error
    answer = await api.call("Encrypt", {"KeyId": ABSENT, "Plaintext": PLAINTEXT})
    assert (answer.status, answer.code, answer.message) == (status, code, message)
    assert len(api.service.outcomes) == 1
    assert api.service.refusals == []


def test_the_table_above_tries_every_rule():
    assert {rule.error for rule in ERROR_RULES} <= {base for row in ERRORS for base in type(row[0]).__mro__}


REFUSED = {
    "unsigned": (lambda api: api.send("POST", "/", {"X-Amz-Target": "TrentService.Encrypt"}), "Encrypt", "MissingAuthenticationTokenException"),
    "malformed": (lambda api: api.raw("Encrypt", b"{"), "Encrypt", "SerializationException"),
    "invalid": (lambda api: api.call("Encrypt"), "Encrypt", "ValidationException"),
    "no such key form": (lambda api: api.call("EnableKey", {"KeyId": "alias/x"}), "EnableKey", "NotFoundException"),
    "not served": (lambda api: api.call("Encapsulate"), "Encapsulate", "UnsupportedOperationException"),
    "unknown": (lambda api: api.call("Frobnicate"), "-", "UnknownOperationException"),
    "other service": (lambda api: api.raw("x", b"{}", **{"X-Amz-Target": "DynamoDB.Encrypt"}), "-", "UnknownOperationException"),
    "wrong path": (lambda api: api.send("POST", "/x", {}), "-", "UnknownOperationException"),
    "wrong method": (lambda api: api.send("PUT", "/", {}), "-", "UnknownOperationException"),
    "unsigned status": (lambda api: api.send("GET", "/api/v1/status", {}), "ReadStatus", "MissingAuthenticationTokenException"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_that_reaches_no_service_function_is_recorded_once(api, name):
    send, operation, code = REFUSED[name]
    answer = await send(api)
    assert answer.code == code
    [refusal] = api.service.refusals
    assert (refusal.operation, refusal.error_code, refusal.source_address) == (operation, code, "127.0.0.1")
    assert refusal.request_id == answer.headers["x-amzn-requestid"]
    is_recognised = name not in {"unsigned", "wrong path", "wrong method", "unsigned status"}
    assert refusal.principal == ("user/developer" if is_recognised else "")
    assert api.service.outcomes == []


async def test_every_served_operation_is_left_to_the_service_to_audit(api):
    async for _ in served_answers(api):
        pass
    assert api.service.refusals == []
    assert len(api.service.outcomes) == api.sent
    caller = api.service.outcomes[0][1]
    assert (caller.region, caller.source_address) == (REGION, "127.0.0.1")


@pytest.mark.parametrize("name", REFUSED)
async def test_without_the_record_of_a_refusal_the_answer_is_that_the_audit_log_fails(api, name):
    api.service.audit_broken = True
    answer = await REFUSED[name][0](api)
    assert (answer.status, answer.code) == (500, "KMSInternalException")
    assert "audit log" in answer.message


async def test_a_broken_look_up_of_credentials_is_answered_and_recorded(api, monkeypatch):
    def broken(_access_key_id):
        raise StorageError("database is locked")

    monkeypatch.setattr(api.handler._verifier, "_find_credential", broken)
    answer = await api.call("ListKeys")
    assert (answer.status, answer.code) == (500, "KMSInternalException")
    assert len(api.service.refusals) == 1


async def test_no_secret_and_no_foreign_message_reaches_the_log(api, caplog):
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        api.service.fail_with = ValueError(f"cannot handle {PLAINTEXT} with {SECRET_KEY}")
        await api.call("Encrypt", {"KeyId": ABSENT, "Plaintext": PLAINTEXT})
        api.service.fail_with = NoMemberError("alpha did not answer")
        await api.call("Encrypt", {"KeyId": ABSENT, "Plaintext": PLAINTEXT})
        await api.raw("Encrypt", b'{"Plaintext": "meet me at noon \xff"}')
    first, second = logged
    assert (first["operation"], first["error"], first["log_level"]) == ("Encrypt", "ValueError", "error")
    assert "api_support.py" in first["traceback"]
    assert second["error"] == "NoMemberError: alpha did not answer"
    said = json.dumps(logged) + caplog.text
    assert [secret for secret in SECRETS if secret in said] == []


async def test_neither_errors_nor_metrics_repeat_what_is_encrypted(api):
    answers = [
        await api.call("Encrypt", {"KeyId": ABSENT, "Plaintext": PLAINTEXT}),
        await api.call("Encrypt", {"Plaintext": PLAINTEXT}),
        await api.call("Encrypt", {"KeyId": ABSENT, "Plaintext": "meet me at noon"}),
        await api.send("GET", "/metrics", {}),
    ]
    said = b"".join(answer.body for answer in answers).decode()
    assert [secret for secret in SECRETS if secret in said] == []


async def test_decrypted_bytes_are_overwritten_once_they_are_sent(api, monkeypatch):
    key_id = await api.new_key()
    made = await api.call("Encrypt", {"KeyId": key_id, "Plaintext": PLAINTEXT})
    kept = []
    real = api.service.decrypt

    async def keeping(*args, **kwargs):
        opened = await real(*args, **kwargs)
        kept.append(opened.plaintext)
        return opened

    monkeypatch.setattr(api.service, "decrypt", keeping)
    answer = await api.call("Decrypt", {"CiphertextBlob": made.json["CiphertextBlob"]})
    assert answer.json["Plaintext"] == PLAINTEXT
    assert set(kept[0].reveal()) == {0}


async def test_a_caller_is_who_the_credential_says(api):
    mine = api.service.credentials.popitem()[1]
    api.service.credentials[mine.access_key_id] = Credential(
        mine.access_key_id, "user/auditor", mine.secret_access_key
    )
    await api.call("ListKeys", region="us-west-2")
    caller = api.service.outcomes[0][1]
    assert (caller.principal, caller.region) == ("user/auditor", "us-west-2")


def test_a_chain_of_causes_that_closes_on_itself_is_logged_once():
    first, second = ValueError("a"), NoMemberError("b")
    first.__cause__, second.__cause__ = second, first
    with structlog.testing.capture_logs() as logged:
        log_failure(first, operation="Encrypt", request_id="r", code="c")
    assert logged[0]["traceback"] == "ValueError\n\nwhich came from\n\nNoMemberError: b"
