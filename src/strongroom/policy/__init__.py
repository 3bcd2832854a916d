"""Policies and grants in the form of AWS KMS: what they say of a request. Pure: no clock, no disk, no network.

    document = PolicyDocument(text)                     # once; MalformedPolicyError when it is no policy
    answer = document.answer(AccessRequest("Encrypt", principal_arn=..., account_id=..., key=KeyFacts(key_id)))
    answer.says is Says.ALLOW

An explicit Deny goes before everything; what nobody allows is not allowed. What is not understood (an operator, a
condition key, an element) is refused when the document is read, never passed over. A document of 32 KiB takes less than
a millisecond to decide whatever it and the request hold; what would take longer is denied. Who the caller is, what its
roles are and where policies are kept is not this room's business. Threading: a document belongs to one thread.
"""

from strongroom.policy._document import PolicyAnswer, PolicyDocument, Says, default_policy
from strongroom.policy._errors import MalformedPolicyError
from strongroom.policy._grants import (
    CONTEXT_ACTIONS,
    GRANT_ACTIONS,
    GrantIndex,
    GrantTerms,
    grantable_actions,
)
from strongroom.policy._patterns import Pattern
from strongroom.policy._principals import account_of_root, is_principal_arn, principal_arn
from strongroom.policy._reading import MAX_DOCUMENT_BYTES
from strongroom.policy._request import AccessRequest, KeyFacts

__all__ = [
    "CONTEXT_ACTIONS",
    "GRANT_ACTIONS",
    "MAX_DOCUMENT_BYTES",
    "AccessRequest",
    "GrantIndex",
    "GrantTerms",
    "KeyFacts",
    "MalformedPolicyError",
    "Pattern",
    "PolicyAnswer",
    "PolicyDocument",
    "Says",
    "account_of_root",
    "default_policy",
    "grantable_actions",
    "is_principal_arn",
    "principal_arn",
]
