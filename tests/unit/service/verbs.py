"""Every verb of the service as a call on a key that is there, so that a test can go through all of them."""

from strongroom.core import Secret
from strongroom.keyring import KeyById
from strongroom.policy import default_policy
from strongroom.service import NewGrant, PolicyCase
from unit.service.verbs_of_key_stores import STORE_VERBS, make_store_ready_for

CONTEXT = {"tenant": "value-of-tenant-77141", "purpose": "value-of-purpose-90210"}
PLAINTEXT = b"plaintext-that-nobody-may-log"
DESCRIPTION = "description-with-a-person-in-it"
TAGS = {"team": "value-of-tag-55210"}
CHANGES = {
    "CreateCustomKeyStore", "UpdateCustomKeyStore", "ConnectCustomKeyStore", "DisconnectCustomKeyStore",
    "DeleteCustomKeyStore",
    "CreateKey", "CreateAlias", "EnableKey", "DisableKey", "UpdateAlias", "DeleteAlias", "UpdateKeyDescription",
    "ScheduleKeyDeletion", "CancelKeyDeletion", "TagResource", "UntagResource", "PutKeyPolicy", "CreateGrant",
    "RevokeGrant", "RetireGrant",
    "EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand",
    "CreateDomain", "RotateDomain", "MoveKey",
}  # fmt: skip
NEED_A_DATE = {"CancelKeyDeletion"}
"""Changes that need a key which is scheduled for destruction."""
NEED_A_GRANT = {"RevokeGrant", "RetireGrant"}
GRANTEE, RETIRING = (f"arn:aws:iam::123456789012:user/{name}" for name in ("grantee-of-a-grant", "retiring"))
GRANT = NewGrant(
    GRANTEE, frozenset({"Encrypt"}), RETIRING, equals={"tenant": "value-in-a-grant-3381"}, name="one"
)
POLICY = default_policy("123456789012").replace("Enable IAM", "Policy-text-that-nobody-may-log")


def grant_of(service, key_id):
    """Return the id of the newest grant on a key, or of none."""
    found = service._writer().store.list_grants(key_id, after=None, limit=1)
    return found[0].grant_id if found else "0" * 64


VERBS = {
    "GetKeyPolicy": lambda service, caller, key_id, sealed: service.get_key_policy(caller, key_id),
    "PutKeyPolicy": lambda service, caller, key_id, sealed: service.put_key_policy(
        caller, key_id, document=POLICY, skip_lockout_check=False
    ),
    "ListKeyPolicies": lambda service, caller, key_id, sealed: service.list_key_policies(caller, key_id),
    "CreateGrant": lambda service, caller, key_id, sealed: service.create_grant(caller, key_id, wanted=GRANT),
    "ListGrants": lambda service, caller, key_id, sealed: service.list_grants(
        caller, key_id, grant_id=None, grantee=None, limit=10, after=None
    ),
    "ListRetirableGrants": lambda service, caller, key_id, sealed: service.list_retirable_grants(
        caller, retiring=RETIRING, limit=10, after=None
    ),
    "RevokeGrant": lambda service, caller, key_id, sealed: service.revoke_grant(
        caller, key_id, grant_id=grant_of(service, key_id)
    ),
    "RetireGrant": lambda service, caller, key_id, sealed: service.retire_grant(
        caller, key_id=key_id, grant_id=grant_of(service, key_id)
    ),
    **STORE_VERBS,
    "CreateKey": lambda service, caller, key_id, sealed: service.create_key(
        caller, description=DESCRIPTION, tags=TAGS
    ),
    "CreateAlias": lambda service, caller, key_id, sealed: service.create_alias(
        caller, alias_name=f"alias/{caller.request_id}", target_key_id=key_id
    ),
    "UpdateAlias": lambda service, caller, key_id, sealed: service.update_alias(
        caller, alias_name="alias/old", target_key_id=key_id
    ),
    "DeleteAlias": lambda service, caller, key_id, sealed: service.delete_alias(
        caller, alias_name="alias/old"
    ),
    "UpdateKeyDescription": lambda service, caller, key_id, sealed: service.update_key_description(
        caller, key_id, description=DESCRIPTION
    ),
    "TagResource": lambda service, caller, key_id, sealed: service.tag_resource(caller, key_id, tags=TAGS),
    "UntagResource": lambda service, caller, key_id, sealed: service.untag_resource(
        caller, key_id, names=list(TAGS)
    ),
    "ListResourceTags": lambda service, caller, key_id, sealed: service.list_resource_tags(
        caller, key_id, limit=10, after=None
    ),
    "GetCallerIdentity": lambda service, caller, key_id, sealed: service.get_caller_identity(caller),
    "ReadApiDescription": lambda service, caller, key_id, sealed: service.read_api_description(caller),
    "ReadHealth": lambda service, caller, key_id, sealed: service.read_health(caller),
    "ReadCaller": lambda service, caller, key_id, sealed: service.read_caller(caller),
    "ListKeyStates": lambda service, caller, key_id, sealed: service.list_key_states(
        caller, limit=10, after=None
    ),
    "ListPrincipals": lambda service, caller, key_id, sealed: service.list_principals(
        caller, limit=10, after=None
    ),
    "CheckKeyPolicy": lambda service, caller, key_id, sealed: service.check_key_policy(
        caller, key_id, case=PolicyCase("user/x", "Encrypt")
    ),
    "EnableKey": lambda service, caller, key_id, sealed: service.enable_key(caller, key_id),
    "DisableKey": lambda service, caller, key_id, sealed: service.disable_key(caller, key_id),
    "DescribeKey": lambda service, caller, key_id, sealed: service.describe_key(caller, KeyById(key_id)),
    "ListKeys": lambda service, caller, key_id, sealed: service.list_keys(caller, limit=10, after=None),
    "ListAliases": lambda service, caller, key_id, sealed: service.list_aliases(
        caller, key_id=key_id, limit=10, after=None
    ),
    "GenerateDataKey": lambda service, caller, key_id, sealed: service.generate_data_key(
        caller, KeyById(key_id), n_bytes=32, context=CONTEXT
    ),
    "GenerateDataKeyWithoutPlaintext": lambda service, caller, key_id, sealed: (
        service.generate_data_key_without_plaintext(caller, KeyById(key_id), n_bytes=32, context=CONTEXT)
    ),
    "ReEncrypt": lambda service, caller, key_id, sealed: service.re_encrypt(
        caller, sealed, source_key=None, source_context=CONTEXT, key=KeyById(key_id), context=CONTEXT
    ),
    "GenerateRandom": lambda service, caller, key_id, sealed: service.generate_random(caller, n_bytes=32),
    "Encrypt": lambda service, caller, key_id, sealed: service.encrypt(
        caller, KeyById(key_id), Secret(PLAINTEXT), context=CONTEXT
    ),
    "Decrypt": lambda service, caller, key_id, sealed: service.decrypt(
        caller, sealed, key=None, context=CONTEXT
    ),
    "EnableKeyRotation": lambda service, caller, key_id, sealed: service.enable_key_rotation(
        caller, key_id, days=90
    ),
    "DisableKeyRotation": lambda service, caller, key_id, sealed: service.disable_key_rotation(
        caller, key_id
    ),
    "GetKeyLastUsage": lambda service, caller, key_id, sealed: service.get_key_last_usage(caller, key_id),
    "ListKeyUses": lambda service, caller, key_id, sealed: service.list_key_uses(caller, key_id),
    "GetKeyRotationStatus": lambda service, caller, key_id, sealed: service.get_key_rotation_status(
        caller, key_id
    ),
    "RotateKeyOnDemand": lambda service, caller, key_id, sealed: service.rotate_key_on_demand(caller, key_id),
    "ListKeyRotations": lambda service, caller, key_id, sealed: service.list_key_rotations(
        caller, key_id, limit=10, after=None, with_first=True
    ),
    "ReadStatus": lambda service, caller, key_id, sealed: service.read_status(caller),
    "CreateDomain": lambda service, caller, key_id, sealed: service.create_domain(
        caller, name=caller.request_id
    ),
    "ListDomains": lambda service, caller, key_id, sealed: service.list_domains(caller, limit=10, after=None),
    "DescribeDomain": lambda service, caller, key_id, sealed: service.describe_domain(
        caller, service_domain_of(service, key_id)
    ),
    "GetKeyDomain": lambda service, caller, key_id, sealed: service.get_key_domain(caller, key_id),
    "RotateDomain": lambda service, caller, key_id, sealed: service.rotate_domain(
        caller, service_domain_of(service, key_id)
    ),
    "MoveKey": lambda service, caller, key_id, sealed: service.move_key(caller, key_id, domain="dedicated"),
    "ScheduleKeyDeletion": lambda service, caller, key_id, sealed: service.schedule_key_deletion(
        caller, key_id, days=7
    ),
    "CancelKeyDeletion": lambda service, caller, key_id, sealed: service.cancel_key_deletion(caller, key_id),
}
"""Verb → call(service, caller, key_id, ciphertext of PLAINTEXT under the key and CONTEXT)."""


def service_domain_of(service, key_id):
    """Return the id of the domain that a key is in."""
    return service._keyring.domains.of_key(key_id).domain_id


def everything_in(bench):
    """All that a change could have changed."""
    keys = bench.keyring.list_keys(limit=100, after=None)
    aliases = bench.keyring.list_aliases(key_id=None, limit=100, after=None)
    tags = [bench.keyring.tags.page(info.key_id, limit=100, after=None) for info in keys.keys]
    ids = [info.key_id for info in keys.keys]
    policies = [bench.store.get_key_policy(key_id) for key_id in ids]
    grants = [bench.store.list_grants(key_id, after=None, limit=100) for key_id in ids]
    stores = bench.keyring.key_stores.page(limit=100, after=None)
    domains = bench.keyring.domains.page(limit=100, after=None)
    return keys, aliases, tags, policies, grants, stores, domains


async def make_ready_for(verb, service, caller, key_id):
    """Put the key, which is active, into the state in which the verb works."""
    if verb in NEED_A_GRANT:
        await service.create_grant(caller, key_id, wanted=GRANT)
    await make_store_ready_for(verb, service, caller)
    if verb in NEED_A_DATE:
        await service.schedule_key_deletion(caller, key_id, days=7)


async def sealed_by(service, caller, key_id):
    made = await service.encrypt(caller, KeyById(key_id), Secret(PLAINTEXT), context=CONTEXT)
    return made.ciphertext
