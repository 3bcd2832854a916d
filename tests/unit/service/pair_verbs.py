"""The verbs of pairs and HMAC keys, as ``verbs`` has those of all keys."""

from strongroom.core import KeyUsage, MacAlgorithm, ManagedKeySpec, SigningAlgorithm
from strongroom.keyring import KeyById, KeyKind, MessageType, generate_material
from unit.service.verbs import CONTEXT, PLAINTEXT

SIGNING = KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
MACS = KeyKind(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
AGREEING = KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT)
_HOW = {"algorithm": SigningAlgorithm.ECDSA_SHA_256, "kind": MessageType.RAW}
_MAC = MacAlgorithm.HMAC_SHA_256
_PAIR = {"spec": ManagedKeySpec.ECC_NIST_P256, "context": CONTEXT}
_PEER = generate_material(ManagedKeySpec.ECC_NIST_P256).public_key


async def _verify(service, caller, key_id, *, dry_run):
    """The caller makes the signature first: by another request."""
    key, first = KeyById(key_id), caller._replace(request_id=f"{caller.request_id}-first")
    made = await service.sign(first, key, PLAINTEXT, dry_run=False, **_HOW)
    return await service.verify(caller, key, PLAINTEXT, signature=made.signature, dry_run=dry_run, **_HOW)


async def _verify_mac(service, caller, key_id, *, dry_run):
    key, first = KeyById(key_id), caller._replace(request_id=f"{caller.request_id}-first")
    made = await service.generate_mac(first, key, PLAINTEXT, algorithm=_MAC, dry_run=False)
    return await service.verify_mac(caller, key, PLAINTEXT, mac=made.mac, algorithm=_MAC, dry_run=dry_run)


PAIR_VERBS = {
    "Sign": (SIGNING, lambda service, caller, key_id, dry_run: service.sign(
        caller, KeyById(key_id), PLAINTEXT, dry_run=dry_run, **_HOW
    )),
    "Verify": (SIGNING, lambda service, caller, key_id, dry_run: _verify(service, caller, key_id, dry_run=dry_run)),
    "GenerateMac": (MACS, lambda service, caller, key_id, dry_run: service.generate_mac(
        caller, KeyById(key_id), PLAINTEXT, algorithm=_MAC, dry_run=dry_run
    )),
    "VerifyMac": (MACS, lambda service, caller, key_id, dry_run: _verify_mac(
        service, caller, key_id, dry_run=dry_run
    )),
    "DeriveSharedSecret": (AGREEING, lambda service, caller, key_id, dry_run: service.derive_shared_secret(
        caller, KeyById(key_id), peer_public_key=_PEER, dry_run=dry_run
    )),
    "GenerateDataKeyPair": (KeyKind(), lambda service, caller, key_id, dry_run: service.generate_data_key_pair(
        caller, KeyById(key_id), dry_run=dry_run, **_PAIR
    )),
    "GenerateDataKeyPairWithoutPlaintext": (
        KeyKind(),
        lambda service, caller, key_id, dry_run: service.generate_data_key_pair_without_plaintext(
            caller, KeyById(key_id), dry_run=dry_run, **_PAIR
        ),
    ),
    "GetPublicKey": (SIGNING, lambda service, caller, key_id, dry_run: service.get_public_key(caller, KeyById(key_id))),
}  # fmt: skip
"""Verb → kind of key, call(service, caller, key_id, dry_run) on such a key."""
