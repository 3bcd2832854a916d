"""Proof that a member holds a Direct key: by using it, checked by what the key's record and other members know of it."""

import hmac
from collections.abc import Awaitable, Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.core import (
    Deadline,
    HsmDirectUse,
    HsmIntegrityError,
    HsmKey,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    OaepAlgorithm,
    Secret,
    StrongroomError,
    random_bytes,
)
from strongroom.hsm.cluster._key_canary import prove_key_canary
from strongroom.hsm.public_keys import curve_of, encrypt_oaep, load_public_key, verify_signature
from strongroom.storage import HsmKeyRecord

_CHALLENGE_BYTES = 32


async def prove_key(
    record: HsmKeyRecord, member: HsmDirectUse, peer: HsmDirectUse | None, *, deadline: Deadline
) -> None:
    """Have a member use a key. Raises HsmIntegrityError when its key is another one.

    A pair is compared with the public half of its record, and so is the public half that the member tells. A secret
    key has to give the answer that its record knows (``_key_canary``), and is compared with that of ``peer``, each
    opening or making again what the other made. Of a record without a canary and without a peer only that the member
    works with its own key is shown. Other HsmErrors are the member's own trouble; StorageError is the record's.
    """
    key = record.key
    try:
        if record.canary is not None:
            await prove_key_canary(key, record.canary, member, deadline=deadline)
        if key.spec.is_pair and await member.public_key(key, deadline=deadline) != record.public_key:
            raise _differs(key)
        await _PROOFS[key.usage](key, record.public_key, member, peer or member, deadline)
    except HsmIntegrityError as error:
        raise _differs(key) from error


async def _signing(
    key: HsmKey, spki_der: bytes, member: HsmDirectUse, _peer: HsmDirectUse, deadline: Deadline
) -> None:
    algorithm = key.spec.signing_algorithms[0]
    challenge = random_bytes(algorithm.digest_len_bytes or _CHALLENGE_BYTES)
    signature = await member.sign(key, algorithm, challenge, deadline=deadline)
    try:
        verify_signature(key.spec, spki_der, algorithm, challenge, signature)
    except StrongroomError as error:
        raise _differs(key) from error


async def _mac(
    key: HsmKey, _spki_der: bytes, member: HsmDirectUse, peer: HsmDirectUse, deadline: Deadline
) -> None:
    challenge = random_bytes(_CHALLENGE_BYTES)
    left = await member.mac(key, challenge, deadline=deadline)
    right = await peer.mac(key, challenge, deadline=deadline)
    if not hmac.compare_digest(left, right):
        raise _differs(key)


async def _encryption(
    key: HsmKey, spki_der: bytes, member: HsmDirectUse, peer: HsmDirectUse, deadline: Deadline
) -> None:
    challenge = Secret(random_bytes(_CHALLENGE_BYTES))
    if key.spec is KeySpec.AES_256:
        for maker, opener in ((member, peer), (peer, member)):
            sealed = await maker.encrypt(key, challenge, b"", deadline=deadline)
            if not (await opener.decrypt(key, sealed, b"", deadline=deadline)).matches(challenge):
                raise _differs(key)
        return
    algorithm = OaepAlgorithm.RSAES_OAEP_SHA_1  # what every token can
    ciphertext = encrypt_oaep(key.spec, spki_der, algorithm, challenge)
    opened = await member.decrypt_oaep(key, algorithm, ciphertext, deadline=deadline)
    if not opened.matches(challenge):
        raise _differs(key)


async def _agreement(
    key: HsmKey, spki_der: bytes, member: HsmDirectUse, _peer: HsmDirectUse, deadline: Deadline
) -> None:
    public = load_public_key(key.spec, spki_der)
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise HsmRequestError(f"{key.spec} is no key for ECDH")
    ours = ec.generate_private_key(curve_of(key.spec).implementation)
    spki = ours.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    derived = await member.derive(key, spki, deadline=deadline)
    if not derived.matches(Secret(ours.exchange(ec.ECDH(), public))):
        raise _differs(key)


_Proof = Callable[[HsmKey, bytes, HsmDirectUse, HsmDirectUse, Deadline], Awaitable[None]]
_PROOFS: dict[KeyUsage, _Proof] = {
    KeyUsage.SIGN_VERIFY: _signing,
    KeyUsage.GENERATE_VERIFY_MAC: _mac,
    KeyUsage.ENCRYPT_DECRYPT: _encryption,
    KeyUsage.KEY_AGREEMENT: _agreement,
}


def _differs(key: HsmKey) -> HsmIntegrityError:
    return HsmIntegrityError(f"the member holds another key as {key.key_id.hex()}")
