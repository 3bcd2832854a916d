"""docs/hsm-profiles.md is made of the profiles: ``python tests/hsm_profiles_page.py > docs/hsm-profiles.md``."""

import sys
from collections.abc import Callable, Mapping

from strongroom.hsm.token import (
    Profile,
    VendorDuties,
    known_duties,
    known_profiles,
    load_duties,
    load_profile,
)

_HEAD = """# HSM profiles

What Strongroom knows of each kind of HSM, made from the data in `src/strongroom/hsm/token/profiles/` (a test compares). A member of
the cluster names its profile. *tested*: the conformance tests run on such a token here. *documents*: taken from what the vendor publishes,
with a cautious value where it publishes none; nobody has run it on the device. Either way a worker proves the profile on its own
token when it starts: it makes a throw-away root, wraps, unwraps, compares, spoils and destroys, and does not serve when that fails;
the error names the field that is wrong. A member's `profile_changes` in the configuration correct single fields.
"""

_DUTIES_HEAD = """## Officers, and the vendor's own users and quorum

Officers, roles and rules of [custody](custody.md) are ours: no HSM knows them. What an HSM has of its own are users, and sometimes a quorum. Here is who is who, from the vendors' documents where the
profile is *documents*. A worker logs in as one user for everybody, so an HSM cannot tell who asked for a key: that is what approvals and the audit log are for. Whoever can log in with the vendor's tools does
without both. `strongroom doctor` compares what can be seen without a login: the token's flags, and the user in a PIN that has one. The rest is yours to compare, by the command that stands there.
"""

_DUTY_ROWS = {
    "A worker logs in as": "worker",
    "Security officers": "security_officer",
    "Crypto officers": "crypto_officer",
    "Auditors": "auditor",
    "Custodians": "custodian",
    "Its own backup": "backup",
    "Quorum of the vendor": "quorum",
}

_IV = {
    "caller": "ours",
    "hsm-in-parameter": "the HSM's, in the parameter",
    "hsm-prepended": "the HSM's, before the ciphertext",
    "hsm-appended": "the HSM's, after the tag",
}


def render() -> str:
    """The text of the page."""
    profiles = [load_profile(name) for name in known_profiles()]
    parts = [_HEAD, "## Wrapping and copying\n", _table(profiles, _WRAPPING)]
    parts += ["## Sessions and limits\n", _table(profiles, _LIMITS)]
    parts += ["## Validation and notes\n", *map(_notes, profiles)]
    parts += [_DUTIES_HEAD, *map(_duties, known_duties())]
    return "\n".join(parts)


_WRAPPING = {
    "Profile": lambda profile: f"`{profile.name}`",
    "HSM": lambda profile: profile.title,
    "Evidence": lambda profile: profile.evidence,
    "Wraps by": lambda profile: f"`{profile.wrap_algorithm.name}`",
    "IV of AES-GCM": lambda profile: f"{_IV[profile.iv_rule]}, {profile.iv_len} bytes",
    "Hash of RSA-OAEP": lambda profile: profile.oaep_hash,
    "Replication": lambda profile: profile.replication,
    "Backed up by": lambda profile: "bundles" if profile.is_backed_up_by_bundles else "the vendor's means",
    "Remembers the genesis": lambda profile: "in the token" if profile.data_objects else "in a file",
    "A new key is usable within": lambda profile: _seconds(profile.usable_within_s, "at once"),
    "Attributes it does not know": lambda profile: ", ".join(profile.unknown_attributes) or "none",
}

_LIMITS = {
    "Profile": lambda profile: f"`{profile.name}`",
    "PIN": lambda profile: profile.pin_form,
    "New PINs": lambda profile: (
        "by its own tool"
        if profile.pin_changed_by == "vendor"
        else f"{profile.pin_length} {profile.pin_characters.replace('-', ' ')}"
    ),
    "Locks after wrong PINs": lambda profile: (
        "never" if profile.pin_tries == 1000 else str(profile.pin_tries)
    ),
    "Named by": lambda profile: profile.selector,
    "Workers, threads of each": lambda profile: f"{profile.workers}, {profile.threads}",
    "Sessions": lambda profile: str(profile.max_sessions),
    "Sessions opened a second": lambda profile: _number(profile.sessions_per_s, "any"),
    "Idle limit": lambda profile: _seconds(profile.idle_limit_s, "none"),
    "A call hangs after": lambda profile: _seconds(profile.operation_limit_s, ""),
    "Calls a second": lambda profile: _number(profile.calls_per_s, "any"),
    "Busy": lambda profile: ", ".join(profile.throttled) or "none",
    "Keys that others make": lambda profile: "after a new start" if profile.reads_keys_once else "seen",
    "C_Finalize in place": lambda profile: "yes" if profile.may_reinitialise else "no",
}


def _table(profiles: list[Profile], columns: Mapping[str, Callable[[Profile], str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += [
        "| " + " | ".join(column(profile) for column in columns.values()) + " |" for profile in profiles
    ]
    return "\n".join(lines) + "\n"


def _notes(profile: Profile) -> str:
    if profile.standard == "none":
        validated = "Validation: none stated here."
    else:
        number = f"certificate {profile.certificate}" if profile.certificate else "look its certificate up"
        validated = f"Validation: {profile.standard} level {profile.level}, {number}."
    warning = f" **{profile.standard_warning}.**" if profile.standard_warning else ""
    return f"### `{profile.name}`: {profile.title}\n\n{validated}{warning}\n\n{profile.notes}\n"


def _duties(name: str) -> str:
    duties = load_duties(name)
    rows = [f"| {what} | {' '.join(getattr(duties, field).split())} |" for what, field in _DUTY_ROWS.items()]
    rows.append(f"| Wrong PINs | {_wrong_pins(duties)} |")
    if duties.backup_kind:
        rows.append(f"| Noted as | `strongroom backup record-vendor --kind {duties.backup_kind}` |")
    if duties.check_with:
        rows.append(f"| Compare with | {duties.check_with} |")
    title = duties.title or load_profile(name).title
    return "\n".join([f"### `{name}` and officers: {title}\n", "| Ours | There |", "|---|---|", *rows, ""])


def _wrong_pins(duties: VendorDuties) -> str:
    n_tries = duties.user_locks_after
    user = f"{n_tries} lock the user" if n_tries else "how many lock the user is not known here, or none do"
    if not duties.so_locks_after:
        return user
    what = "erase the token" if duties.so_lock_erases else "lock it out"
    return f"{user}; {duties.so_locks_after} of the security officer {what}"


def _seconds(value: float, none: str) -> str:
    return f"{value:g} s" if value else none


def _number(value: float, none: str) -> str:
    return f"{value:g}" if value else none


if __name__ == "__main__":
    sys.stdout.write(render())
