"""What operators are told about the profiles of their members, again and again until they have acted."""

from strongroom.config import MemberConfig
from strongroom.hsm.token import load_profile


def profile_warnings(members: list[MemberConfig]) -> list[str]:
    """Return a sentence for each member whose validation is historical. Raises ConfigError for a wrong profile."""
    warnings = []
    for member in members:
        warning = load_profile(member.profile, member.profile_changes).standard_warning
        if warning is not None:
            warnings.append(f"member {member.name}: {warning}")
    return warnings
