"""How the keys of a configured cluster are kept, from its members' profiles."""

from strongroom.config import ClusterConfig
from strongroom.core import ConfigError
from strongroom.hsm.cluster import Rules
from strongroom.hsm.token import load_profile


def replication_rules(cluster: ClusterConfig) -> Rules:
    """Return the rules of a cluster. Raises ConfigError when it has too few members, or profiles that do not fit.

    A member whose vendor copies keys by itself (``Profile.replication``) is a whole cluster, and may be alone.
    """
    profiles = {
        member.name: load_profile(member.profile, member.profile_changes) for member in cluster.members
    }
    native = [name for name, profile in profiles.items() if profile.replication == "vendor"]
    if len(profiles) == 1:
        (name,) = profiles
        if not native:
            raise ConfigError(
                f"a cluster has at least two members, this one has {name} only",
                next_step="add a second HSM; one alone is enough where its vendor's own cluster stands behind it",
            )
    elif native:
        raise ConfigError(
            f"member {native[0]} is a whole cluster of its vendor: keys cannot be copied between it and others",
            next_step="make it the only member, or take a profile whose replication is trusted-wrapping",
        )
    elif cluster.min_copies > len(profiles):
        raise ConfigError(f"cluster.min_copies = {cluster.min_copies}, and there are {len(profiles)} members")
    usable_within_s = max(profile.usable_within_s for profile in profiles.values())
    return Rules(cluster.min_copies, usable_within_s, is_native=bool(native))
