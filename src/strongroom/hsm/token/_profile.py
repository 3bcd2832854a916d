"""Vendor profiles: what one kind of HSM can do and wants, as data (``profiles/NAME.toml``), strictly read."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from strongroom.core import ConfigError, TokenNotFoundError, WrapAlgorithm

_Count = Annotated[int, msgspec.Meta(ge=1, le=1024)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=600)]


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What this code must know of a vendor before it calls its module."""

    name: str
    module_paths: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Absolute paths where the module may be; the first that exists is taken. Configuration may name another."""
    threads: _Count
    """Calls that one worker process may have in the module at once."""
    workers: _Count
    """Worker processes per member."""
    max_sessions: _Count
    """Work sessions of one worker, besides the pinned one; the token's own limit is respected too."""
    session_wait_s: _Seconds
    """How long a verb waits for a work session before the member counts as failed."""
    operation_limit_s: _Seconds
    """A use verb that started longer ago than this hangs."""
    admin_operation_limit_s: _Seconds
    """The same for admin verbs, key generation among them."""
    wrap_algorithm: WrapAlgorithm
    iv_rule: Literal["caller"]
    """Who makes the IV of AES-GCM; so far only tokens that take the caller's are supported."""
    general_error_is_bad_tag: bool
    """Whether CKR_GENERAL_ERROR on decryption may just mean that the data does not authenticate."""
    oaep_hash: Literal["sha1", "sha256", "sha384", "sha512"]
    """Hash (and MGF1 hash) of CKM_RSA_PKCS_OAEP when a root is copied from token to token."""
    import_key_bits: Annotated[int, msgspec.Meta(ge=2048, le=8192, multiple_of=1024)]
    """Modulus size of the pair under which a root is copied."""
    store_protection: Literal["softhsm", "none"]
    """Whether ``protect_softhsm_store`` must run before the module is initialised."""

    def find_module(self) -> str:
        """Return the first of ``module_paths`` that is a file. Raises TokenNotFoundError."""
        for path in self.module_paths:
            if Path(path).is_file():
                return path
        raise TokenNotFoundError(
            f"the PKCS#11 module of {self.name} is not at any of: {', '.join(self.module_paths)}",
            next_step="install it, or name its path in the configuration",
        )


def known_profiles() -> tuple[str, ...]:
    """Return the names that ``load_profile`` takes, sorted."""
    folder = resources.files(__package__) / "profiles"
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))
    )


def load_profile(name: str) -> Profile:
    """Read a profile that comes with the package. Raises ConfigError, which lists the known ones."""
    known = known_profiles()
    if name not in known:
        raise ConfigError(
            f"there is no HSM profile {name!r}", next_step=f"the profiles are: {', '.join(known)}"
        )
    return parse_profile((resources.files(__package__) / "profiles" / f"{name}.toml").read_text(), name=name)


def parse_profile(text: str, *, name: str) -> Profile:
    """Read the text of a profile that must call itself ``name``. Raises ConfigError: unknown keys are refused."""
    try:
        fields = tomllib.loads(text)
        algorithm = fields.get("wrap_algorithm")
        if isinstance(algorithm, str) and algorithm in WrapAlgorithm.__members__:
            fields["wrap_algorithm"] = WrapAlgorithm[algorithm].value
        elif algorithm is not None:
            raise ConfigError(f"the HSM profile {name!r} names an unknown wrap_algorithm")
        profile = msgspec.convert(fields, Profile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"the HSM profile {name!r} is wrong: {error}") from error
    if profile.name != name:
        raise ConfigError(f"the HSM profile {name!r} calls itself {profile.name!r}")
    return profile
