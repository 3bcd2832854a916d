"""Checks of ``doctor``: whether the HSM of a member keeps a log of its own, as far as anybody can know that from here."""

from collections.abc import Iterator

from strongroom.cli._checks import Finding
from strongroom.config import Home, MemberConfig


def check_hsm_log(home: Home, member: MemberConfig) -> Iterator[Finding]:
    """Tell what the vendor's documents, the operator and the records that came say. Raises ConfigError, VendorLogError and OSError."""
    from strongroom.wiring.hsm_log_status import read_hsm_log_status

    name = f"member {member.name}"
    found = read_hsm_log_status(home, member)
    logging = found.logging
    if found.is_software:
        yield Finding(
            name, "note", f"its own log: {logging.known_by}", "keys of value belong into an HSM that logs"
        )
    elif found.doubt is not None:
        next_step = (
            f"look: {logging.how_to_check}. Switch on: {logging.switch_on}. Then set hsm_log of the member"
        )
        yield Finding(name, "warn", found.doubt, next_step)
    else:
        yield Finding(name, "ok", f"{found.records} records of the HSM's own log were taken in")
    if logging.records == "management" and not found.is_software:
        yield Finding(
            name,
            "note",
            f"its own log has no uses of keys: {logging.known_by}",
            "ours is the only one of uses",
        )
    if found.unknown_uses:
        yield Finding(
            name,
            "fail",
            f"the HSM saw {found.unknown_uses} uses that no worker of ours made",
            "see: strongroom audit hsm compare; find out who else can log in to the HSM",
        )
