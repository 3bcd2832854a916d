"""Members of the requests about policies and grants. See ``_requests``."""

import re

from msgspec import Struct

from strongroom.api._constraints import Violations
from strongroom.api._errors import ApiError, validation_error
from strongroom.api._requests import (
    MAX_KEY_ID,
    MAX_POLICY,
    POLICY_FORM,
    POLICY_PATTERN,
    KeyMembers,
    Members,
    check_grant_tokens,
    refuse_present,
)
from strongroom.policy import GRANT_ACTIONS

MAX_PRINCIPAL = 256
MAX_CONSTRAINT_PAIRS = 8
MAX_CONSTRAINT_TEXT = 384
GRANT_OPERATIONS = (*GRANT_ACTIONS, "Encapsulate", "Decapsulate")
DEFAULT_POLICY_NAME = "default"
_GRANT_NAME = re.compile(r"[a-zA-Z0-9:/_-]+")
_GRANT_NAME_PATTERN = r"^[a-zA-Z0-9:/_-]+$"
_PRINCIPAL = re.compile(r"[\w+=,.@:/-]+", re.ASCII)
_PRINCIPAL_PATTERN = r"^[\w+=,.@:/-]+$"
_GRANT_ID = re.compile(r"[0-9a-f]{64}")
_POLICY_NAME = re.compile(r"[\w]+", re.ASCII)
_MAX_TOKEN = 8_192


class GetKeyPolicyMembers(KeyMembers, frozen=True, kw_only=True):
    """GetKeyPolicy."""

    policy_name: str | None = None

    def validate(self) -> None:
        """Check the constraints; a key has one policy, and its name is ``default``."""
        super().validate()
        check_policy_name(self.policy_name)


class PutKeyPolicyMembers(KeyMembers, frozen=True, kw_only=True):
    """PutKeyPolicy."""

    policy_name: str | None = None
    policy: str | None = None
    bypass_policy_lockout_safety_check: bool | None = None

    def validate(self) -> None:
        """Check the constraints, but not what the policy says."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.required("policy", self.policy)
        found.length("policy", self.policy, 1, MAX_POLICY)
        found.pattern("policy", self.policy, POLICY_FORM, POLICY_PATTERN)
        found.check()
        check_policy_name(self.policy_name)


class ListKeyPoliciesMembers(KeyMembers, frozen=True, kw_only=True):
    """ListKeyPolicies."""

    limit: int | None = None
    marker: str | None = None

    def validate(self) -> None:
        """Check the constraints; the list has one entry, so no marker is ours."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        _check_page(found, self.limit, self.marker)
        found.check()
        if self.marker is not None:
            # The model has no InvalidMarkerException for this operation.
            raise validation_error("The marker was not given out by this operation.")


class ConstraintMembers(Struct, frozen=True, kw_only=True, rename="pascal"):
    """GrantConstraints."""

    encryption_context_subset: dict[str, str] | None = None
    encryption_context_equals: dict[str, str] | None = None
    source_arn: str | None = None

    def check(self, found: Violations) -> None:
        """Check the limits, which AWS has in words only (CreateGrant, "Constraints")."""
        for kind, pairs in (
            ("encryptionContextSubset", self.encryption_context_subset),
            ("encryptionContextEquals", self.encryption_context_equals),
        ):
            found.n_items(f"constraints.{kind}", pairs, 0, MAX_CONSTRAINT_PAIRS)
            for name, value in (pairs or {}).items():
                for text in (name, value):
                    found.n_items(f"constraints.{kind}.member", text, 0, MAX_CONSTRAINT_TEXT)


class CreateGrantMembers(KeyMembers, frozen=True, kw_only=True):
    """CreateGrant."""

    grantee_principal: str | None = None
    retiring_principal: str | None = None
    operations: list[str] | None = None
    constraints: ConstraintMembers | None = None
    grant_tokens: list[str] | None = None
    name: str | None = None
    dry_run: bool | None = None
    grantee_service_principal: str | None = None
    retiring_service_principal: str | None = None

    def validate(self) -> None:
        """Check the constraints, and refuse services of AWS as principals: there are none here."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.required("operations", self.operations)
        for operation in self.operations or ():
            found.one_of("operations", operation, GRANT_OPERATIONS)
        _check_principal(found, "granteePrincipal", self.grantee_principal)
        _check_principal(found, "retiringPrincipal", self.retiring_principal)
        if self.constraints is not None:
            self.constraints.check(found)
        found.length("name", self.name, 1, 256)
        found.pattern("name", self.name, _GRANT_NAME, _GRANT_NAME_PATTERN)
        found.check()
        refuse_present("GranteeServicePrincipal", self.grantee_service_principal is not None)
        refuse_present("RetiringServicePrincipal", self.retiring_service_principal is not None)
        refuse_present("SourceArn", self.constraints is not None and self.constraints.source_arn is not None)
        if self.grantee_principal is None:
            raise validation_error("GranteePrincipal is required.")
        if not self.operations:
            raise validation_error("Operations must name at least one operation.")
        check_grant_tokens(self.grant_tokens)


class ListGrantsMembers(KeyMembers, frozen=True, kw_only=True):
    """ListGrants."""

    limit: int | None = None
    marker: str | None = None
    grant_id: str | None = None
    grantee_principal: str | None = None
    grantee_service_principal: str | None = None

    def validate(self) -> None:
        """Check the constraints."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        _check_page(found, self.limit, self.marker)
        found.length("grantId", self.grant_id, 1, 128)
        _check_principal(found, "granteePrincipal", self.grantee_principal)
        found.check()
        refuse_present("GranteeServicePrincipal", self.grantee_service_principal is not None)
        check_grant_id(self.grant_id)


class ListRetirableGrantsMembers(Members, frozen=True, kw_only=True):
    """ListRetirableGrants."""

    limit: int | None = None
    marker: str | None = None
    retiring_principal: str | None = None
    retiring_service_principal: str | None = None

    def validate(self) -> None:
        """Check the constraints."""
        found = Violations()
        _check_page(found, self.limit, self.marker)
        _check_principal(found, "retiringPrincipal", self.retiring_principal)
        found.check()
        refuse_present("RetiringServicePrincipal", self.retiring_service_principal is not None)
        if self.retiring_principal is None:
            raise validation_error("RetiringPrincipal is required.")


class RevokeGrantMembers(KeyMembers, frozen=True, kw_only=True):
    """RevokeGrant."""

    grant_id: str | None = None
    dry_run: bool | None = None

    def validate(self) -> None:
        """Check the constraints."""
        found = Violations()
        found.required("keyId", self.key_id)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.required("grantId", self.grant_id)
        found.length("grantId", self.grant_id, 1, 128)
        found.check()
        check_grant_id(self.grant_id)


class RetireGrantMembers(Members, frozen=True, kw_only=True):
    """RetireGrant."""

    grant_token: str | None = None
    key_id: str | None = None
    grant_id: str | None = None
    dry_run: bool | None = None

    def validate(self) -> None:
        """Check the constraints: a token names a grant, or key and id do."""
        found = Violations()
        found.length("grantToken", self.grant_token, 1, _MAX_TOKEN)
        found.length("keyId", self.key_id, 1, MAX_KEY_ID)
        found.length("grantId", self.grant_id, 1, 128)
        found.check()
        check_grant_id(self.grant_id)
        by_id = (self.key_id is not None, self.grant_id is not None)
        if by_id != ((False, False) if self.grant_token is not None else (True, True)):
            raise validation_error("Specify either a grant token, or a key ARN and a grant ID.")


def check_policy_name(name: str | None) -> None:
    """Refuse every name of a policy but the one that there is. Raises ApiError."""
    found = Violations()
    found.length("policyName", name, 1, 128)
    found.pattern("policyName", name, _POLICY_NAME, _POLICY_NAME.pattern)
    found.check()
    if name not in {None, DEFAULT_POLICY_NAME}:
        raise ApiError("NotFoundException", "No such policy exists")


def check_grant_id(grant_id: str | None) -> None:
    """Refuse what is no id of a grant."""
    if grant_id is not None and not _GRANT_ID.fullmatch(grant_id):
        raise ApiError("InvalidGrantIdException", "A grant ID has 64 hexadecimal digits.")


def _check_page(found: Violations, limit: int | None, marker: str | None) -> None:
    found.between("limit", limit, 1, 1_000)
    found.length("marker", marker, 1, 1_024)


def _check_principal(found: Violations, name: str, principal: str | None) -> None:
    found.length(name, principal, 1, MAX_PRINCIPAL)
    found.pattern(name, principal, _PRINCIPAL, _PRINCIPAL_PATTERN)
