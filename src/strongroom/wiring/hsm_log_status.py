"""How it is with the logs that the HSMs of a home keep themselves: what is known, what the operator says, what came, what was found."""

from collections.abc import Sequence
from typing import NamedTuple

from strongroom.config import Home, MemberConfig
from strongroom.hsm.token import AuditLogging, load_audit_logging
from strongroom.vendorlogs import VendorLogError
from strongroom.wiring.hsm_logs import silence_of, state_of


class HsmLogStatus(NamedTuple):
    """Of one member."""

    member: str
    logging: AuditLogging
    """What the vendor's documents say."""
    said: str
    """What the operator says (``hsm_log``), which nothing measures."""
    records: int
    unknown_uses: int
    """As the last comparison found."""
    silent_s: float
    """For how long the HSM was used without a record of it having come."""
    is_silent: bool
    """Whether that is too long."""

    @property
    def is_off(self) -> bool:
        """Whether the HSM keeps no log that comes here, by the vendor's documents or by the operator's word."""
        return self.logging.state == "off" or self.said == "none"

    @property
    def is_software(self) -> bool:
        """Whether it is a token in software, which can keep none."""
        return self.logging.records == "nothing"

    @property
    def doubt(self) -> str | None:
        """Why nobody can say that the HSM logs what it does; None where records come, or a token in software can log nothing."""
        if self.is_software or (self.records and not self.is_silent):
            return None
        if self.said == "none":
            return "the operator says that the HSM's own log goes nowhere (hsm_log)"
        if self.is_silent:
            return f"the HSM was used for {self.silent_s:.0f} s and nothing of its own log was taken in"
        told = f"the operator says: {self.said}" if self.said else "the operator says nothing (hsm_log)"
        return f"whether the HSM logs what it does cannot be known from here; {told}"


def read_hsm_log_status(home: Home, member: MemberConfig) -> HsmLogStatus:
    """Look at one member. Raises ConfigError, VendorLogError and OSError."""
    state = state_of(home, member.name)
    silent_s = silence_of(home, member.name, state) if member.has_hsm_log else 0.0
    return HsmLogStatus(
        member.name,
        load_audit_logging(member.profile),
        member.hsm_log,
        state.records,
        state.unknown_uses,
        silent_s,
        silent_s > member.hsm_log_silent_s,
    )


def hsm_log_warnings(home: Home, members: Sequence[MemberConfig]) -> list[str]:
    """Return a sentence for each member whose HSM's log is in doubt, or told of uses that were not ours. Raises ConfigError."""
    warnings = []
    for member in members:
        try:
            found = read_hsm_log_status(home, member)
        except (VendorLogError, OSError) as error:
            warnings.append(f"member {member.name}: {error}")
            continue
        if found.doubt is not None:
            warnings.append(f"member {member.name}: {found.doubt}")
        if found.unknown_uses:
            warnings.append(f"member {member.name}: {_unknown(found)}")
    return warnings


def _unknown(found: HsmLogStatus) -> str:
    return f"the HSM saw {found.unknown_uses} uses that no worker of ours made (strongroom audit hsm compare)"
