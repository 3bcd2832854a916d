"""Whether the software that Envelope keys work in is a validated module: looked at, not believed.

pyca/cryptography comes with an OpenSSL of its own, which no laboratory validated. An operator can have it load an OpenSSL FIPS
provider (``OPENSSL_CONF``, ``OPENSSL_MODULES``). That a configuration asks for one proves nothing: with ``fips=yes`` and no
provider nothing works, and with ``?fips=yes`` everything does. So the library itself is tried: it must do what is approved, with
the right answers, and refuse what is not.
"""

from typing import Final, NamedTuple

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives import hashes

_ABC_SHA_256: Final = bytes.fromhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
"""FIPS 180-4, examples: SHA-256 of ``abc``."""
_GCM_TAG: Final = bytes.fromhex("530f8afbc74536b9a963b4f1c4cb738b")
"""SP 800-38D, validation vector: AES-256-GCM of nothing, under a key and an IV of zeros."""
_FAILURES: Final = (InternalError, UnsupportedAlgorithm, ValueError)


class SoftwareModule(NamedTuple):
    """What does the cryptography of Envelope keys, and whether it is a FIPS provider."""

    name: str
    is_fips: bool
    because: str
    """What was seen, in words."""


def find_software_module() -> SoftwareModule:
    """Try what this process has loaded. Takes microseconds; the answer stays the same for its life."""
    name = f"pyca/cryptography with {openssl.openssl_version_text()}"
    if not openssl.is_fips_enabled():
        return SoftwareModule(name, False, "no FIPS provider is asked for")
    if not _does_what_is_approved():
        return SoftwareModule(
            name, False, "a FIPS provider is asked for, and none is loaded: nothing works in this process"
        )
    if _does_md5():
        return SoftwareModule(name, False, "MD5 works, which no FIPS provider does")
    return SoftwareModule(name, True, "a FIPS provider is loaded: AES-GCM and SHA-256 work, MD5 does not")


def _does_what_is_approved() -> bool:
    try:
        hashed = _hashed(hashes.SHA256())
        sealed = bytes(openssl.aead.AESGCM(bytes(32)).encrypt(bytes(12), b"", None))
    except _FAILURES:
        return False
    return hashed == _ABC_SHA_256 and sealed == _GCM_TAG


def _does_md5() -> bool:
    try:
        _hashed(hashes.MD5())  # noqa: S303  # it is to fail
    except _FAILURES:
        return False
    return True


def _hashed(algorithm: hashes.HashAlgorithm) -> bytes:
    # The library's own hash: ``hashes.Hash`` of some releases asks the wrapper first, which knows the setting and not the library.
    work = openssl.hashes.Hash(algorithm)
    work.update(b"abc")
    return bytes(work.finalize())
