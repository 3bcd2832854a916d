"""What each kind of token is used for in the conformance tests, and what it cannot do: one table, proved by the tests.

A feature that a token lacks stands in ``CANNOT`` with the reason. The test of the feature runs all the same and must be
refused there, so this table can be wrong in neither direction. docs/token-conformance.md is generated from it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pytest

from strongroom.core import HsmError, KeySpec, WrapAlgorithm
from strongroom.hsm.token import Profile, known_profiles, load_profile

KINDS: Final = {
    "softhsm": "SoftHSM 2",
    "shim": "SoftHSM 2 behind the fault shim",
    "p11-kit": "SoftHSM 2 behind p11-kit remoting",
    "nss": "NSS softokn",
    "opencryptoki": "opencryptoki soft token",
}

FEATURES: Final = {
    "serial": "is opened by its serial number",
    "label": "is opened by its label",
    "roots": "generates a root, lists it, refuses a second one of its name",
    "HSM_AES_GCM": "wraps by AES-GCM",
    "HSM_AES_CBC_HMAC": "wraps by AES-CBC with HMAC",
    "HSM_RSA_OAEP": "wraps by RSA-OAEP",
    "envelope": "serves Envelope keys to boto3, as both members of a cluster",
    "long keys": "wraps 4,096 bytes with 8,192 bytes of AAD",
    "random": "gives random bytes",
    "session loss": "serves again after every session was closed",
    "restart": "serves again after C_Finalize and C_Initialize",
    "sealed": "lets no root out under a key of its user's",
    "trust": "lets only its security officer trust a key",
    "travel": "sends a root to itself under a key that its security officer trusts",
    "backup pair": "makes the pair of a backup set, and opens it with its share key alone",
    **{f"direct {spec.value}": f"Direct key {spec.value}" for spec in KeySpec},
}

_NO_MECHANISM: Final = "The token does not offer the mechanism, or the curve."
_NOT_REMOTE: Final = "p11-kit 0.24 does not pass the mechanism on."
_OAEP_ROOM: Final = "RSA-OAEP under a root of 3,072 bits takes 310 bytes at most."
_SAME_SERIAL: Final = "All its slots have one serial number."
_STAYS: Final = 'Its profile makes no root that may leave (`replication = "none"`).'
_LETS_OUT: Final = (
    "It ignores CKA_WRAP_WITH_TRUSTED and wraps keys that are not extractable: not for secrets of value."
)
_ANYBODY_TRUSTS: Final = "Its user may set CKA_TRUSTED."
_OAEP_ANSWER: Final = "A padding that does not fit is CKR_FUNCTION_FAILED there, which cannot be told from a failure of the token."

CANNOT: Final[dict[str, dict[str, str]]] = {
    "softhsm": {},
    "shim": {},
    "p11-kit": {
        "HSM_AES_GCM": _NOT_REMOTE,
        "HSM_AES_CBC_HMAC": _NOT_REMOTE,
        "long keys": _OAEP_ROOM,
        "travel": _STAYS,
        "backup pair": _NOT_REMOTE,
        "direct AES_256": _NOT_REMOTE,
        "direct ECC_NIST_EDWARDS25519": _NOT_REMOTE,
        "direct HMAC_224": _NOT_REMOTE,
    },
    "nss": {
        "serial": _SAME_SERIAL,
        "sealed": _LETS_OUT,
        "travel": _STAYS,
        "trust": _ANYBODY_TRUSTS,
        "direct ECC_NIST_EDWARDS25519": _NO_MECHANISM,
        "direct ECC_SECG_P256K1": _NO_MECHANISM,
    },
    "opencryptoki": {
        "HSM_AES_GCM": _NO_MECHANISM,
        "HSM_RSA_OAEP": _OAEP_ANSWER,
        "travel": _STAYS,
        "backup pair": _NO_MECHANISM,
        "direct AES_256": _NO_MECHANISM,
        **{f"direct {spec.value}": _NO_MECHANISM for spec in KeySpec if spec.is_curve},
        "direct HMAC_224": _NO_MECHANISM,
    },
}


class ShortcomingError(HsmError):
    """The token did what it must not do."""


def profile_of(kind: str) -> Profile:
    """The profile that goes with a kind."""
    softhsm = load_profile("softhsm2")
    if kind in {"softhsm", "shim"}:
        return softhsm
    if kind == "p11-kit" and "p11-kit-softhsm" in known_profiles():
        return load_profile("p11-kit-softhsm")
    if kind == "p11-kit":
        return msgspec.structs.replace(softhsm, wrap_algorithm=WrapAlgorithm.HSM_RSA_OAEP)
    if kind in known_profiles():
        return load_profile(kind)
    common = {"name": kind, "replication": "none", "store_protection": "none", "oaep_hash": "sha256"}
    if kind == "nss":
        return msgspec.structs.replace(
            softhsm, **common, unknown_attributes=("CKA_LOCAL", "CKA_COPYABLE", "CKA_DESTROYABLE")
        )
    unknown = ("CKA_COPYABLE", "CKA_DESTROYABLE", "CKA_WRAP_WITH_TRUSTED")
    algorithm = WrapAlgorithm.HSM_AES_CBC_HMAC
    return msgspec.structs.replace(softhsm, **common, unknown_attributes=unknown, wrap_algorithm=algorithm)


@contextmanager
def if_capable(kind: str, feature: str) -> Iterator[None]:
    """Run the proof of a feature; on a token that lacks it the proof must end with an HsmError."""
    assert feature in FEATURES
    reason = CANNOT[kind].get(feature)
    if reason is None:
        yield
        return
    with pytest.raises(HsmError):
        yield


def render() -> str:
    """The text of docs/token-conformance.md."""
    heads = list(KINDS)
    lines = [
        "# What the conformance tests found on each token",
        "",
        "One set of tests, `tests/conformance/test_token_conformance.py`, runs on five kinds of token. This page is generated",
        'from the table that they prove (`tests/tokens/capabilities.py`): "yes" means that the test of the feature passes,',
        "a number that the token refuses, as the test asserts, for the reason below.",
        "",
        "| | " + " | ".join(KINDS.values()) + " |",
        "|---|" + "---|" * len(heads),
    ]
    reasons = list(dict.fromkeys(reason for cannot in CANNOT.values() for reason in cannot.values()))
    for feature, title in FEATURES.items():
        cells = [CANNOT[kind].get(feature) for kind in heads]
        shown = ["yes" if reason is None else f"no ({reasons.index(reason) + 1})" for reason in cells]
        lines.append(f"| {title} | " + " | ".join(shown) + " |")
    lines += ["", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1)), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "token-conformance.md").write_text(render())
