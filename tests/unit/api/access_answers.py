"""Answers of every operation on policies and grants, for the comparison with the service model."""

from api_support import ACCOUNT

GRANTEE, RETIRING = (f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("grantee", "retiring"))


async def access_answers(api):
    key = {"KeyId": await api.new_key()}
    policy = await api.call("GetKeyPolicy", {**key, "PolicyName": "default"})
    yield "GetKeyPolicy", policy
    yield "PutKeyPolicy", await api.call("PutKeyPolicy", {**key, "Policy": policy.json["Policy"]})
    yield "ListKeyPolicies", await api.call("ListKeyPolicies", key)
    asked = {**key, "GranteePrincipal": GRANTEE, "RetiringPrincipal": RETIRING, "Operations": ["Encrypt"]}
    asked["Constraints"] = {"EncryptionContextSubset": {"a": "1"}, "EncryptionContextEquals": {"a": "1"}}
    made = [await api.call("CreateGrant", {**asked, "Name": "x"}) for _ in range(3)]
    yield "CreateGrant", made[0]
    yield "ListGrants", await api.call("ListGrants", {**key, "Limit": 1})
    retiring = {"RetiringPrincipal": RETIRING, "Limit": 1}
    yield "ListRetirableGrants", await api.call("ListRetirableGrants", retiring)
    yield "RevokeGrant", await api.call("RevokeGrant", {**key, "GrantId": made[0].json["GrantId"]})
    yield "RetireGrant", await api.call("RetireGrant", {"GrantToken": made[1].json["GrantToken"]})
