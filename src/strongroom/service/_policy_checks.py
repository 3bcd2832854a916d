"""What is checked of a policy before a key gets it, and what the audit log says of it."""

import hashlib

from strongroom.policy import KeyFacts, PolicyDocument
from strongroom.service._caller import Caller
from strongroom.service._errors import LockoutError
from strongroom.service._key_authority import KeyAuthority


def check_policy(
    authority: KeyAuthority,
    caller: Caller,
    document: str,
    key: KeyFacts,
    detail: dict[str, str],
    *,
    skip_lockout_check: bool,
) -> None:
    """Check that a policy can be kept to and, unless that is skipped, that the caller could change it again.

    What it asks for and no request to this service has is noted in ``detail``. Raises MalformedPolicyError,
    LockoutError.
    """
    prepared = PolicyDocument(document)
    if prepared.not_present:
        detail["never_present"] = ", ".join(prepared.not_present)[:500]
    if not skip_lockout_check and not authority.would_allow(prepared, caller, "PutKeyPolicy", key):
        raise LockoutError


def detail_of_policy(document: str) -> dict[str, str]:
    """Return the part of an audit entry that tells a policy from every other one, and nothing of what it says."""
    return {"policy_sha256": hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()}


def lockout_key(*, skip: bool) -> dict[str, tuple[str, ...]]:
    """Return the condition key that tells whether the check against lockout is to be skipped."""
    return {"kms:bypasspolicylockoutsafetycheck": ("true" if skip else "false",)}
