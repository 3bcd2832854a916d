"""What the tests of domains share: where everything lies, whether the counts are true, keys in domains."""

import uuid

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from strongroom.core import KeyOrigin, KeyUsage, ManagedKeySpec
from strongroom.envelope import Blob
from strongroom.keyring import BroughtMaterial, KeyKind, WrappingAlgorithm

DAY_S = 86_400.0
OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
PAIR = KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
MAC = KeyKind(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
IMPORTED = KeyKind(origin=KeyOrigin.EXTERNAL)


def blobs_under(store):
    """Say under which domains everything of every key lies: key id to the ids of domains."""
    found = {}
    for record in store.list_keys(after=None, limit=1_000):
        under = found.setdefault(record.key_id, set())
        wrapped = [version.wrapped for version in store.list_key_versions(record.key_id, after=0, limit=100)]
        wrapped.append(store.get_import_digest_key(record.key_id) or b"")
        under.update(str(uuid.UUID(bytes=Blob.parse(blob).wrapping_key_id)) for blob in wrapped if blob)
    return found


def assert_counts_are_true(store):
    """Each domain counts its living keys, and those still in the domain that it replaces."""
    domains = {domain.domain_id: domain for domain in store.list_domains(after="", limit=1_000)}
    for domain_id, domain in domains.items():
        n_own = len(store.list_keys_in_domain(domain_id, after="", limit=10_000))
        replaced = store.find_domain_replaced_by(domain_id)
        n_coming = (
            0
            if replaced is None
            else len(store.list_keys_in_domain(replaced.domain_id, after="", limit=10_000))
        )
        assert domain.key_count == n_own + n_coming


async def finish_rotations(keyring):
    for domain_id in keyring.domain_rotations.due():
        done = await keyring.domain_rotations.finish(domain_id, pause_s=0.0)
        assert done is None or done.is_done


async def brought(keyring, key_id, material=bytes(32), *, kind=None):
    parameters = await keyring.imports.parameters(key_id, WrappingAlgorithm.RSAES_OAEP_SHA_256, 2048)
    wrapped = load_der_public_key(parameters.public_key).encrypt(material, OAEP)
    await keyring.imports.bring(key_id, BroughtMaterial(parameters.token, wrapped, None, kind))
    return parameters, wrapped


async def in_domain(keyring, name, kind=None):
    kind = (kind or KeyKind())._replace(domain=name)
    return (await keyring.create_key("for tests", {}, kind)).key_id
