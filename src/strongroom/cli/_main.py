"""The root command: a table of commands whose modules are imported only when they are asked for."""

import importlib
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from types import MappingProxyType
from typing import NamedTuple

import click

from strongroom import __version__


class _Entry(NamedTuple):
    """Where a command is, and what the list of commands says about it."""

    module: str
    attribute: str
    summary: str


COMMANDS: Mapping[str, _Entry] = MappingProxyType(
    {
        "init": _Entry("_init", "init", "Make a home: a cluster of HSMs that hold one root key."),
        "serve": _Entry("_serve", "serve", "Run the key service on this home."),
        "env": _Entry("_env", "env", "Print the shell lines that point AWS clients here."),
        "status": _Entry("_status", "status", "Show whether the service is ready, and its members."),
        "members": _Entry("_members", "members", "List, test, reconcile and add the HSMs of the cluster."),
        "principals": _Entry("_principals", "principals", "Make, list and change access keys and roles."),
        "keys": _Entry("_keys", "keys", "List, create and show keys; tell who may use them."),
        "root": _Entry("_root", "root", "Rotate the root KEK, watch it, and destroy old ones."),
        "pin": _Entry("_pin", "pin", "Change PINs of the members' tokens, see how old they are."),
        "domains": _Entry("_domains", "domains", "List, make, show and rotate the domains of keys."),
        "share": _Entry("_share", "share", "For custodians, offline: open, check and prove your share."),
        "officers": _Entry(
            "_officers", "officers", "Officers: list, change; their keys; the genesis of a cluster."
        ),
        "approvals": _Entry(
            "_approvals", "approvals", "Ask for approvals, sign, reject, prove and verify them."
        ),
        "ceremony": _Entry(
            "_ceremony", "ceremony", "Key ceremonies: write, rehearse, run, sign and verify them."
        ),
        "backup": _Entry(
            "_backup", "backup", "Backups that open with m of n custodians: make, verify, restore."
        ),
        "custodians": _Entry(
            "_custodians", "custodians", "Who holds the shares of the backup, and how many we can lose."
        ),
        "encrypt": _Entry("_files", "encrypt", "Encrypt a file or a pipe of any size."),
        "decrypt": _Entry("_files", "decrypt", "Decrypt it, or a range of it."),
        "rewrap": _Entry("_rewrap", "rewrap", "Encrypt stored ciphertexts anew: JSON lines, SQL tables."),
        "demo": _Entry("_demo", "demo", "A guided tour: kill a member, watch nothing break."),
        "bench": _Entry("_bench", "bench", "Measure the running service under load."),
        "doctor": _Entry("_doctor", "doctor", "Check home and machine without the service."),
        "audit": _Entry("_audit", "audit", "Read and verify the audit log offline."),
    }
)


class _CommandTable(click.Group):
    """Finds commands in ``COMMANDS``; prints the list of them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's shape
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's shape
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        found = getattr(importlib.import_module(f"strongroom.cli.{entry.module}"), entry.attribute)
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's shape
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.command(
    cls=_CommandTable,
    epilog="STRONGROOM_HOME names the home (else ~/.local/share/strongroom), STRONGROOM_PORT the port.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="strongroom")
def root_command() -> None:
    """HSM-backed key management: a cluster of HSMs as one root of trust, served by the AWS KMS protocol."""


def main() -> None:
    """Run the command line of this process; never returns."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the terminal cannot show must not end a command
            stream.reconfigure(errors="backslashreplace")
    root_command(prog_name="strongroom")
