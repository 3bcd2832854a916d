"""Kinds of keys and encryption algorithms in requests: which are served, what fits what, and the reason where not."""

from strongroom.api._errors import ApiError, unsupported_error, validation_error
from strongroom.core import ManagedKeySpec, OaepAlgorithm

_SYMMETRIC = ManagedKeySpec.SYMMETRIC_DEFAULT.value
_SERVED_SPECS = frozenset(ManagedKeySpec)
_SERVED_ALGORITHMS = frozenset((_SYMMETRIC, *OaepAlgorithm))
_NOT_SERVED = {"SM2": "the cryptography library has no SM2"}
_NO_ENCAPSULATION = "nothing is encapsulated here yet"


def refuse_spec(member: str, value: str | None) -> None:
    """Refuse kinds of keys that cannot be made here, with the reason."""
    if value is not None and value not in _SERVED_SPECS:
        reason = _NOT_SERVED.get(value, _NO_ENCAPSULATION)
        raise unsupported_error(f"{member} {value} is not served: {reason}.")


def check_usage(spec: str, usage: str | None) -> None:
    """Check that a key of this spec, which is served, can be for this usage."""
    if usage is None:
        if spec != _SYMMETRIC:
            raise validation_error(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
            )
    elif usage not in ManagedKeySpec(spec).usages:
        raise validation_error(f"KeyUsage {usage} is not compatible with KeySpec {spec}")


def refuse_algorithm(value: str | None) -> None:
    """Refuse the encryption algorithms of keys that cannot be made here."""
    if value is not None and value not in _SERVED_ALGORITHMS:
        text = f"EncryptionAlgorithm {value} is incompatible with every KeySpec that is served."
        raise ApiError("InvalidKeyUsageException", text)


def oaep_of(value: str | None) -> OaepAlgorithm | None:
    """Return the RSA algorithm that a request names, None for the symmetric one. Only after ``refuse_algorithm``."""
    return None if value in {None, _SYMMETRIC} else OaepAlgorithm(value)
