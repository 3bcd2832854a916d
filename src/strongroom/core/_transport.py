"""What travels between the members of a cluster, and by which kind of transport key."""

from enum import StrEnum

from strongroom.core._direct import KeySpec


class TransportKind(StrEnum):
    """What a transport key carries. Each kind of key has its own, so that nothing arrives as another kind."""

    AES = "aes"
    """Roots, and Direct keys of AES."""
    MAC = "mac"
    """Direct keys of HMAC."""
    RSA = "rsa"
    """Private halves of RSA pairs; so the next two of theirs."""
    EC = "ec"
    EDWARDS = "edwards"

    @property
    def is_private_key(self) -> bool:
        """Whether what it carries is the private half of a pair."""
        return self in {TransportKind.RSA, TransportKind.EC, TransportKind.EDWARDS}


def transport_kind(spec: KeySpec) -> TransportKind:
    """Return by which kind of transport key a Direct key travels."""
    if spec is KeySpec.AES_256:
        return TransportKind.AES
    if spec is KeySpec.ECC_NIST_EDWARDS25519:
        return TransportKind.EDWARDS
    if spec.is_rsa:
        return TransportKind.RSA
    return TransportKind.EC if spec.is_curve else TransportKind.MAC
