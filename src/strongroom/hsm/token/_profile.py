"""Vendor profiles: what one kind of HSM can do and wants, as data (``profiles/NAME.toml``), strictly read."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from strongroom.core import ConfigError, TokenNotFoundError, WrapAlgorithm
from strongroom.hsm.cryptoki import ERROR_CLASSES, Attribute

_Count = Annotated[int, msgspec.Meta(ge=1, le=1024)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=600)]
_Rate = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Days = Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)]
_Text = Annotated[str, msgspec.Meta(max_length=2_000)]
_Mechanism = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
_CkaName = Annotated[str, msgspec.Meta(pattern=r"^CKA_[A-Z0-9_]{1,60}\Z")]
_CkrName = Annotated[str, msgspec.Meta(pattern=r"^CKR_[A-Z0-9_]{1,60}\Z")]


WRAP_PREFERENCE: Final = (
    WrapAlgorithm.HSM_AES_GCM,
    WrapAlgorithm.HSM_AES_CBC_HMAC,
    WrapAlgorithm.HSM_RSA_OAEP,
)
"""The wrap algorithms that a cluster can have, the best first."""
_VITAL: Final = frozenset(
    {f"CKA_{name}" for name in ("CLASS", "TOKEN", "ID", "KEY_TYPE", "PRIVATE", "SENSITIVE", "EXTRACTABLE")}
)


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
    """What this vendor's roots do best; the cluster's own algorithm is chosen from what all its members can."""
    iv_rule: Literal["caller", "hsm-in-parameter", "hsm-prepended", "hsm-appended"]
    """Who makes the IV of AES-GCM, and where the token puts one of its own: into the buffer of the mechanism's
    parameter, before the ciphertext, or after the tag."""
    general_error_is_bad_tag: bool
    """Whether CKR_GENERAL_ERROR on decryption may just mean that the data does not authenticate."""
    oaep_hash: Literal["sha1", "sha256", "sha384", "sha512"]
    """Hash (and MGF1 hash) of CKM_RSA_PKCS_OAEP when a root is copied from token to token."""
    import_key_bits: Annotated[int, msgspec.Meta(ge=2048, le=8192, multiple_of=1024)]
    """Modulus size of the pair under which a root is copied."""
    store_protection: Literal["softhsm", "none"]
    """Whether ``protect_softhsm_store`` must run before the module is initialised."""

    title: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """Name for people: vendor, model, how it is reached."""
    pin_form: Literal["password", "user:password", "auth-key-id+password", "api-key", "ignored"] = "password"
    """What C_Login takes as PIN: ``user:password`` is one string, as is the four hex digits of an authentication
    key followed by its password; ``ignored`` means that the module does not look at it."""
    pin_length: Annotated[int, msgspec.Meta(ge=6, le=64)] = 32
    """Characters of the PINs that we generate, without what names an account (``pin_form``)."""
    pin_characters: Literal["letters-and-digits", "digits"] = "letters-and-digits"
    """What they are made of."""
    pin_changed_by: Literal["C_SetPIN", "vendor"] = "C_SetPIN"
    """``vendor``: C_SetPIN is not there, and PINs change by the vendor's tool alone."""
    pin_tries: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 3
    """Wrong PINs in a row after which the token locks or erases itself; 3 where it is not known, 1,000 where it never does."""
    pin_count_flags: bool = False
    """Whether CKF_USER_PIN_COUNT_LOW (and CKF_SO_PIN_COUNT_LOW) stands from a wrong PIN to the next right one, so that
    its absence proves that no wrong one came."""
    selector: Literal["serial", "label"] = "serial"
    """By what a token of this vendor is best named in the configuration."""
    sessions_per_s: _Rate = 0.0
    """How many C_OpenSession a second the token takes; 0 is no limit."""
    idle_limit_s: _Days = 0.0
    """A session unused for so long is dead; 0 is never. Keep-alive runs at a third of it."""
    may_reinitialise: bool = True
    """Whether C_Finalize and C_Initialize in a running process are safe; otherwise the worker is restarted."""
    reads_keys_once: bool = False
    """Whether the module knows only the keys that there were when it was initialised: a miss is then followed by a new
    start of it, once a minute at most."""
    calls_per_s: _Rate = 0.0
    """Admission: use verbs a second that one member is given; 0 is no limit."""
    burst: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Admission: how many calls may come at once after a quiet time; 0 is one second's worth."""
    throttled: tuple[_CkrName, ...] = ()
    """CKR_ names by which this vendor says "busy": another member is tried and nobody is blamed."""
    iv_len: Annotated[int, msgspec.Meta(ge=12, le=16)] = 12
    """Bytes of the AES-GCM IV; only an IV of the token may have more than 12."""
    gcm_mechanism: _Mechanism = 0x1087
    """CKM_ number of AES-GCM: the standard one or a vendor's."""
    mac_key_gen: _Mechanism = 0x350
    """CKM_ number that makes the MAC key of HSM_AES_CBC_HMAC: CKM_GENERIC_SECRET_KEY_GEN or a vendor's."""
    mac_key_type: _Mechanism = 0x10
    """CKK_ number of that key: CKK_GENERIC_SECRET, or CKK_SHA256_HMAC (0x2B) where HMAC wants that."""
    unknown_attributes: tuple[_CkaName, ...] = ()
    """CKA_ names that the token refuses in every template, or does not keep: they are left out, and not read back."""
    session_keys: bool = True
    """Whether keys can be made as session objects; otherwise the self-test makes token objects and destroys them."""
    data_objects: bool = False
    """Whether the token keeps private data objects (CKO_DATA): there it remembers the genesis of its officers. Otherwise a
    file does, which whoever runs the service can change."""
    replication: Literal["trusted-wrapping", "vendor", "none"] = "trusted-wrapping"
    """How a root gets to another member. ``vendor``: a member is a whole cluster of the vendor, which copies
    inside itself. ``none``: what is made in a token stays there. Only with the first one are roots extractable."""
    usable_within_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 0.0
    """How long a new key may take until it is found and usable; publishing one waits for it. 0 is at once."""
    recycle_after_s: _Days = 0.0
    """Age at which a worker is replaced; 0 is never."""
    recycle_after_calls: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0
    """Number of calls after which a worker is replaced; 0 is never."""
    recycle_above_mib: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 0
    """Resident memory in MiB at which a worker is replaced; 0 is never."""
    certificate: Annotated[str, msgspec.Meta(max_length=40)] = ""
    """Number of the CMVP certificate; empty when the operator has to look it up."""
    standard: Literal["none", "FIPS 140-2", "FIPS 140-3"] = "none"
    """Standard of the validation. FIPS 140-2 is historical since 21 September 2026: see ``standard_warning``."""
    level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
    """Security level of the validation; 0 when there is none or it is not known."""
    evidence: Literal["tested", "documents"] = "documents"
    """``tested``: the conformance tests run on this token. ``documents``: taken from what the vendor publishes."""
    notes: _Text = ""
    """What an operator has to know or look up, in sentences."""

    @property
    def left_out(self) -> frozenset[Attribute]:
        """The attributes of ``unknown_attributes``."""
        return frozenset(Attribute[name.removeprefix("CKA_")] for name in self.unknown_attributes)

    @property
    def is_backed_up_by_bundles(self) -> bool:
        """Whether its roots can leave it wrapped, and so be in a bundle; else the vendor's own backup is the only one."""
        return self.replication == "trusted-wrapping" and self.wrap_algorithm is WrapAlgorithm.HSM_AES_GCM

    @property
    def standard_warning(self) -> str | None:
        """What ``doctor`` and ``status`` say about the standard of the validation; None when there is nothing to say."""
        if self.standard != "FIPS 140-2":
            return None
        return (
            f"{self.title or self.name} is listed under FIPS 140-2, which is historical since 21 September 2026: "
            "deployed systems may go on by a decision of their owner, new ones should not include it"
        )

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


def load_profile(name: str, changes: Mapping[str, object] | None = None) -> Profile:
    """Read a profile that comes with the package, with single fields changed.

    Raises ConfigError: for a profile that does not exist (it lists the known ones), and for changes that do not fit.
    """
    known = known_profiles()
    if name not in known:
        raise ConfigError(
            f"there is no HSM profile {name!r}", next_step=f"the profiles are: {', '.join(known)}"
        )
    text = (resources.files(__package__) / "profiles" / f"{name}.toml").read_text()
    return parse_profile(text, name=name, changes=changes)


def parse_profile(text: str, *, name: str, changes: Mapping[str, object] | None = None) -> Profile:
    """Read the text of a profile that must call itself ``name``. Raises ConfigError: unknown keys are refused."""
    try:
        fields = {**tomllib.loads(text), **(changes or {})}
        algorithm = fields.get("wrap_algorithm")
        if isinstance(algorithm, str) and algorithm in WrapAlgorithm.__members__:
            fields["wrap_algorithm"] = WrapAlgorithm[algorithm].value
        elif algorithm is not None:
            raise ConfigError(f"the HSM profile {name!r} names an unknown wrap_algorithm")
        profile = msgspec.convert(fields, Profile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"the HSM profile {name!r} is wrong: {error}") from error
    mistake = _mistake(profile, name)
    if mistake is not None:
        raise ConfigError(f"the HSM profile {name!r} is wrong: {mistake}")
    return profile


def _mistake(profile: Profile, name: str) -> str | None:
    """What no type can say: the first thing in which the fields contradict each other."""
    attributes = {f"CKA_{attribute.name}" for attribute in Attribute}
    codes = {error.ckr_name for error in ERROR_CLASSES.values()}
    checks = {
        f"it calls itself {profile.name!r}": profile.name != name,
        "a module path is not absolute": not all(path.startswith("/") for path in profile.module_paths),
        "wrap_algorithm is none of an HSM": profile.wrap_algorithm not in WRAP_PREFERENCE,
        "an IV of the caller has 12 bytes": profile.iv_rule == "caller" and profile.iv_len != 12,
        "iv_len is 12 or 16": profile.iv_len not in {12, 16},
        "gcm_mechanism is neither the standard one nor a vendor's": profile.gcm_mechanism != 0x1087
        and profile.gcm_mechanism < 0x80000000,
        "throttled names a CKR_ that does not exist": not codes.issuperset(profile.throttled),
        "unknown_attributes names a CKA_ that does not exist": not attributes.issuperset(
            profile.unknown_attributes
        ),
        "trusted wrapping needs CKA_WRAP_WITH_TRUSTED and CKA_TRUSTED": profile.replication
        == "trusted-wrapping"
        and not {"CKA_WRAP_WITH_TRUSTED", "CKA_TRUSTED"}.isdisjoint(profile.unknown_attributes),
        "keys cannot do without these attributes": not _VITAL.isdisjoint(profile.unknown_attributes),
        "burst without calls_per_s": bool(profile.burst) and not profile.calls_per_s,
        "standard and level go together": (profile.standard == "none") != (profile.level == 0),
    }
    return next((mistake for mistake, is_made in checks.items() if is_made), None)
