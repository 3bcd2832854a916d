"""Which change of a profile would fit a token: what the self-test looks for once it failed.

It tries one field at a time, on the token itself, so that whoever wrote the profile is told what to write instead.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from strongroom.core import WrapAlgorithm
from strongroom.hsm.token._profile import Profile

Changes = Mapping[str, object]

_IV_RULES: Final = (
    ("caller", 12),
    ("hsm-in-parameter", 12),
    ("hsm-appended", 16),
    ("hsm-appended", 12),
    ("hsm-prepended", 12),
)
_HASHES: Final = ("sha256", "sha384", "sha512", "sha1")
_OPTIONAL: Final = (
    "CKA_WRAP_WITH_TRUSTED",
    "CKA_COPYABLE",
    "CKA_DESTROYABLE",
    "CKA_MODIFIABLE",
    "CKA_LOCAL",
    "CKA_MODULUS_BITS",
)
"""Attributes that some tokens refuse or do not tell, the most telling first."""


def find_fit(profile: Profile, algorithm: WrapAlgorithm, fits: Callable[[Changes], bool]) -> Changes | None:
    """Return the fields to change so that the self-test passes, or None when no single change does it."""
    for changes in _single_fields(profile, algorithm):
        if fits(changes):
            return changes
    return _attributes(profile, fits)


def as_setting(changes: Changes) -> str:
    """Write changes as a member's ``profile_changes`` in the configuration file."""
    return (
        f"profile_changes = {{ {', '.join(f'{name} = {_toml(value)}' for name, value in changes.items())} }}"
    )


def _single_fields(profile: Profile, algorithm: WrapAlgorithm) -> Iterator[Changes]:
    yield {"general_error_is_bad_tag": not profile.general_error_is_bad_tag}
    if algorithm is WrapAlgorithm.HSM_AES_GCM:
        for rule, iv_len in _IV_RULES:
            if (rule, iv_len) != (profile.iv_rule, profile.iv_len):
                yield {"iv_rule": rule, "iv_len": iv_len}
    if algorithm is WrapAlgorithm.HSM_RSA_OAEP:
        yield from ({"oaep_hash": name} for name in _HASHES if name != profile.oaep_hash)


def _attributes(profile: Profile, fits: Callable[[Changes], bool]) -> Changes | None:
    """Leave out every attribute that can be, then take back in each one that the token does know."""
    unknown = list(dict.fromkeys((*profile.unknown_attributes, *_OPTIONAL)))
    if not fits(_leaving_out(profile, unknown)):
        return None
    for name in _OPTIONAL:
        fewer = [one for one in unknown if one != name]
        if name not in profile.unknown_attributes and fits(_leaving_out(profile, fewer)):
            unknown = fewer
    return _leaving_out(profile, unknown)


def _leaving_out(profile: Profile, unknown: list[str]) -> Changes:
    changes: dict[str, object] = {"unknown_attributes": tuple(unknown)}
    if "CKA_WRAP_WITH_TRUSTED" in unknown and profile.replication == "trusted-wrapping":
        changes["replication"] = "none"  # what keeps a root from leaving under any key is not there
    return changes


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
