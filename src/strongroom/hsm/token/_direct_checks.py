"""What is checked of a Direct key and its data before a token is asked, and of a token before it makes a key."""

from typing import Final

from strongroom.core import (
    HSM_KEY_ID_BYTES,
    HsmKey,
    HsmRequestError,
    KeySpec,
    KeyUsage,
)
from strongroom.hsm.cryptoki import MechanismType

_RSA_MECHANISMS: Final = {
    KeyUsage.SIGN_VERIFY: (MechanismType.RSA_PKCS, MechanismType.RSA_PKCS_PSS),
    KeyUsage.ENCRYPT_DECRYPT: (MechanismType.RSA_PKCS_OAEP,),
}
_CURVE_MECHANISMS: Final = {
    KeyUsage.SIGN_VERIFY: (MechanismType.ECDSA,),
    KeyUsage.KEY_AGREEMENT: (MechanismType.ECDH1_DERIVE,),
}


def check_key(key: HsmKey, usage: KeyUsage | None = None) -> None:
    """Raise HsmRequestError unless there can be such a key, and unless it is for this usage."""
    if len(key.key_id) != HSM_KEY_ID_BYTES:
        raise HsmRequestError(f"a key id has {HSM_KEY_ID_BYTES} bytes, not {len(key.key_id)}")
    if key.usage not in key.spec.usages:
        raise HsmRequestError(f"a key of {key.spec} cannot be made for {key.usage}")
    if usage is not None and key.usage is not usage:
        raise HsmRequestError(f"the key is for {key.usage}, not for {usage}")


def check_spec(key: HsmKey, fits: bool, verb: str) -> None:  # noqa: FBT001  # a claim about the two others
    """Raise HsmRequestError unless keys of this spec have the verb."""
    if not fits:
        raise HsmRequestError(f"a key of {key.spec} does not {verb}")


def generation_mechanism(spec: KeySpec) -> MechanismType:
    """Return the mechanism by which a key of this spec is made."""
    if spec.is_rsa:
        return MechanismType.RSA_PKCS_KEY_PAIR_GEN
    if spec is KeySpec.ECC_NIST_EDWARDS25519:
        return MechanismType.EC_EDWARDS_KEY_PAIR_GEN
    if spec.is_curve:
        return MechanismType.EC_KEY_PAIR_GEN
    return MechanismType.AES_KEY_GEN if spec is KeySpec.AES_256 else MechanismType.GENERIC_SECRET_KEY_GEN


def refuse_what_token_lacks(key: HsmKey, mechanisms: frozenset[int], *, gcm_mechanism: int) -> None:
    """Raise HsmRequestError, which names them, when the token lacks mechanisms that such a key needs."""
    needed = (generation_mechanism(key.spec), *_use_mechanisms(key, gcm_mechanism))
    missing = [_name(mechanism) for mechanism in needed if mechanism not in mechanisms]
    if missing:
        raise HsmRequestError(
            f"this token cannot hold a key of {key.spec} for {key.usage}: it has no {', '.join(missing)}",
            next_step="take another key spec, or an HSM that has these mechanisms",
        )


def _use_mechanisms(key: HsmKey, gcm_mechanism: int) -> tuple[int, ...]:
    if key.spec.is_rsa:
        return _RSA_MECHANISMS[key.usage]
    if key.spec is KeySpec.ECC_NIST_EDWARDS25519:
        return (MechanismType.EDDSA,)
    if key.spec.is_curve:
        return _CURVE_MECHANISMS[key.usage]
    return (gcm_mechanism if key.spec is KeySpec.AES_256 else MechanismType[f"SHA{key.spec.bits}_HMAC"],)


def _name(mechanism: int) -> str:
    known = mechanism in MechanismType.__members__.values()
    return f"CKM_{MechanismType(mechanism).name}" if known else f"mechanism {mechanism:#x}"
