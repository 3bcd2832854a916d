"""The script of ``strongroom backup restore``: the script of ``init`` without officers, rules and access keys.

Those are in the bundle, and nobody gets others by a restore: a script that names some is refused, even if they are the same.
``[cluster] name`` must be the name in the genesis of the bundle, so that nobody restores another cluster than they mean.
"""

from pathlib import Path
from typing import Final

from strongroom.core import ConfigError
from strongroom.custody import Chain
from strongroom.wiring.home_script import check_home_script, convert_script, read_script, read_tables
from strongroom.wiring.init_script_form import RestoreScript
from strongroom.wiring.new_member import receivers_in_force

_OF_THE_BUNDLE: Final = ("officers", "rules", "access_keys")


def read_restore_script(path: Path) -> RestoreScript:
    """Read and check a script of at most 256 KiB. Raises ConfigError, which names the setting and never its value."""
    return read_script(path, parse_restore_script, "docs/recovery.md has one")


def parse_restore_script(data: bytes) -> RestoreScript:
    """Read and check a script. Raises ConfigError."""
    tables = read_tables(data)
    for name in _OF_THE_BUNDLE:
        if name in tables:
            raise ConfigError(
                f"the script has a table {name}, and a restore takes them from the bundle alone",
                next_step=f"remove it; what init was given as {name} comes back as it was when the backup was made",
            )
    script = convert_script(tables, RestoreScript)
    check_home_script(script)
    return script


def require_fits(script: RestoreScript, chain: Chain | None) -> None:
    """Refuse a script that names another cluster than the bundle, or officers who are none. Raises ConfigError."""
    if chain is None:
        named = [member.name for member in script.members if member.security_officers]
        if named:
            raise ConfigError(
                f"member {named[0]}: the bundle is of a cluster without officers, so none can have its PIN"
            )
        return
    name = chain.genesis.body.name
    if script.cluster.name != name:
        raise ConfigError(
            f"the bundle is of the cluster {name!r}, the script is for {script.cluster.name!r}",
            next_step="bring the bundle of that cluster, or correct [cluster] name",
        )
    for member in script.members:
        receivers_in_force(chain.state, member)
