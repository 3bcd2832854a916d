"""``PartitionPolicy``: what holds for every caller alike. In FIPS mode keys are made and used by approved means alone.

    a Direct key, whose spec is approved          → what its secret half does inside HSMs
    whatever is done in software (Envelope keys,  → refused, unless a FIPS provider is really loaded;
    data keys, pairs of them, verifying, RSA        then what is approved
    encryption by the public half)
    what is not approved                          → refused, wherever the key is

Looking at keys, disabling and destroying them is never refused: a home that goes over to FIPS mode has to get rid of some.
"""

from collections.abc import Mapping
from typing import Final

from strongroom.core import KeyOrigin, ManagedKeySpec, StrongroomError, why_not_approved
from strongroom.keyring import KeyKind, SoftwareModule
from strongroom.storage import KeyRecord

_INSIDE: Final = frozenset(
    {
        *("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"),
        *("Sign", "GenerateMac", "VerifyMac", "DeriveSharedSecret", "RotateKeyOnDemand", "EnableKeyRotation"),
    }
)
"""What a Direct key does inside HSMs. Of RSA keys encrypting is not: the public half does it, in software."""
_IN_SOFTWARE: Final = frozenset(
    {
        *("GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
        *("GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"),
        *("Verify", "GetParametersForImport", "ImportKeyMaterial"),
    }
)
"""What is done in software, wherever the key is: data keys are drawn by the operating system."""
_BY_PUBLIC_HALF: Final = frozenset({"Encrypt", "ReEncryptTo"})
_PAIR_SPEC: Final = "kms:datakeypairspec"
_HELP: Final = "use a key of a custom key store (a Direct key), or load an OpenSSL FIPS provider"


class NotApprovedError(StrongroomError):
    """The partition is in FIPS mode, and this is not approved, or done in software that is not validated."""


class PartitionPolicy:
    """Decides what a home in FIPS mode does. Immutable."""

    restricted: Final = _INSIDE | _IN_SOFTWARE
    """The verbs that it has a say in, with CreateKey."""

    def __init__(self, software: SoftwareModule) -> None:
        self._software = software

    def require_made(self, kind: KeyKind) -> None:
        """Return if such a key may be made. Raises NotApprovedError."""
        _require_spec(kind.spec)
        if kind.origin is not KeyOrigin.AWS_CLOUDHSM:
            self._require_software("an Envelope key")

    def require_used(self, verb: str, record: KeyRecord, further: Mapping[str, tuple[str, ...]]) -> None:
        """Return if one of the restricted verbs may be done with a key. Raises NotApprovedError."""
        _require_spec(record.spec)
        for spec in further.get(_PAIR_SPEC, ()):
            _require_spec(spec)
        if record.origin is not KeyOrigin.AWS_CLOUDHSM:
            self._require_software("an Envelope key")
        elif verb in _IN_SOFTWARE or (verb in _BY_PUBLIC_HALF and record.spec.is_rsa):
            self._require_software(verb)

    def _require_software(self, what: str) -> None:
        if not self._software.is_fips:
            raise NotApprovedError(
                f"the partition is in FIPS mode, and {what} works in software that is not validated"
                f" ({self._software.name}: {self._software.because})",
                next_step=_HELP,
            )


def _require_spec(spec: ManagedKeySpec | str) -> None:
    why = why_not_approved(spec)
    if why is not None:
        raise NotApprovedError(f"the partition is in FIPS mode, and {spec} is not approved: {why}")
