"""Every verb of the service as a call on a key that is there, so that a test can go through all of them."""

from strongroom.core import Secret
from strongroom.keyring import KeyById

CONTEXT = {"tenant": "value-of-tenant-77141", "purpose": "value-of-purpose-90210"}
PLAINTEXT = b"plaintext-that-nobody-may-log"
DESCRIPTION = "description-with-a-person-in-it"
CHANGES = {"CreateKey", "CreateAlias", "EnableKey", "DisableKey"}

VERBS = {
    "CreateKey": lambda service, caller, key_id, sealed: service.create_key(caller, description=DESCRIPTION),
    "CreateAlias": lambda service, caller, key_id, sealed: service.create_alias(
        caller, alias_name=f"alias/{caller.request_id}", target_key_id=key_id
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
    "Encrypt": lambda service, caller, key_id, sealed: service.encrypt(
        caller, KeyById(key_id), Secret(PLAINTEXT), context=CONTEXT
    ),
    "Decrypt": lambda service, caller, key_id, sealed: service.decrypt(
        caller, sealed, key=None, context=CONTEXT
    ),
    "ReadStatus": lambda service, caller, key_id, sealed: service.read_status(caller),
}
"""Verb → call(service, caller, key_id, ciphertext of PLAINTEXT under the key and CONTEXT)."""


async def sealed_by(service, caller, key_id):
    made = await service.encrypt(caller, KeyById(key_id), Secret(PLAINTEXT), context=CONTEXT)
    return made.ciphertext
