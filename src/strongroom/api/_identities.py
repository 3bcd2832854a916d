"""Callers known by the certificate that their TLS connection was made with (mTLS), instead of a signature.

The TLS layer has verified the certificate against the CA of the configuration. Its identity is the first URI of its
subject alternative name (such as a SPIFFE id), else its first DNS name there, else the common name, with the kind in front:
``uri:spiffe://bank/payments``, ``dns:payments.internal``, ``cn:payments``. The kinds are kept apart, so a common name cannot
pass for a URI.
"""

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

MAX_IDENTITY_LEN = 256


def identity_of(tls: ssl.SSLObject | None) -> str:
    """Return the identity of the peer's verified certificate; empty without TLS or certificate."""
    certificate: Mapping[str, Any] | None = None if tls is None else tls.getpeercert()
    if not certificate:
        return ""
    names = certificate.get("subjectAltName", ())
    for wanted, kind in (("URI", "uri"), ("DNS", "dns")):
        for found, value in names:
            if found == wanted:
                return _bounded(f"{kind}:{value}")
    for part in certificate.get("subject", ()):
        for name, value in part:
            if name == "commonName":
                return _bounded(f"cn:{value}")
    return ""


def _bounded(identity: str) -> str:
    """An identity that is too long is nobody's: cut off, it could be somebody else's."""
    return identity if len(identity) <= MAX_IDENTITY_LEN else ""


class ClientIdentities:
    """Which principal each identity stands for, and in which region its ARNs are rendered. Immutable."""

    def __init__(self, principal_of: Mapping[str, str], *, region: str) -> None:
        self._principal_of = MappingProxyType(dict(principal_of))
        self.region = region

    def principal(self, identity: str) -> str | None:
        """Return the principal of an identity; None when nobody is configured for it."""
        return self._principal_of.get(identity) if identity else None
