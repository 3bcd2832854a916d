"""``strongroom keys compromise`` and ``outstanding``: what AWS KMS has no word for, by signed calls of our own."""

from collections.abc import Callable, Mapping

import click
import msgspec

from strongroom.cli._key_calls import document_about_key, id_of, post
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.client import ServiceClient
from strongroom.core import SystemClock

_DAY_S = 86_400.0


class _Marked(msgspec.Struct, frozen=True, rename="camel"):
    key_id: str
    state: str


class _Outstanding(msgspec.Struct, frozen=True, rename="camel"):
    n_known: int
    n_left: int
    n_never_seen: int
    n_seen_lately: int
    margin: int
    is_exact: bool

    @property
    def words(self) -> str:
        """How many ciphertexts are likely left."""
        return str(self.n_left) if self.is_exact else f"{self.n_left} ± {self.margin}"


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    version: int
    material_id: str
    created_at: float
    is_current: bool
    n_uses: int = 0
    used_at: float | None = None
    n_protected: int = 0
    protected_at: float | None = None
    processed_at: float | None = None
    outstanding: _Outstanding | None = None


class _Uses(msgspec.Struct, frozen=True, rename="camel"):
    key_id: str
    tracked_since: float
    versions: list[_Version]


def life_commands(connect: Callable[[], ServiceClient]) -> Mapping[str, click.Command]:
    """Make the commands; ``connect`` opens a client of the service."""

    @click.command
    @click.argument("key")
    @click.option("--yes", "is_sure", is_flag=True, help="Do it: there is no way back.")
    @reporting
    def compromise(output: Output, *, key: str, is_sure: bool) -> None:
        """Mark a key as compromised: it protects nothing any more, in every process, for good.

        KEY is a key id, an alias (alias/NAME) or the ARN of either.
        """
        if not is_sure:
            raise click.UsageError("a compromised key never becomes active again; say --yes if that is meant")
        with connect() as client:
            marked = post(client, id_of(client, key), "compromise", _Marked)
        output.say(
            f"{visible(marked.key_id)} is {visible(marked.state)}: it opens what it protects, and protects nothing more."
        )
        output.document(document_about_key(marked))

    @click.command
    @click.argument("key")
    @reporting
    def outstanding(output: Output, *, key: str) -> None:
        """Show what is likely still under each version of a key, and for how long it was not used.

        KEY is a key id, an alias (alias/NAME) or the ARN of either.
        """
        with connect() as client:
            uses = post(client, id_of(client, key), "uses", _Uses)
        output.document(document_about_key(uses))
        output.say(
            f"Uses noted since {shown_time(uses.tracked_since)}; what was before is in the audit log only."
        )
        now = SystemClock().now()
        rows = [
            [
                str(version.version),
                version.material_id[:16],
                "current" if version.is_current else "-",
                str(version.n_uses),
                shown_time(version.used_at),
                "-" if version.used_at is None else f"{max(now - version.used_at, 0.0) / _DAY_S:.1f}",
                *_told(version.outstanding),
            ]
            for version in uses.versions
        ]
        columns = ["VERSION", "MATERIAL", "STATE", "USES", "LAST USED", "DAYS SINCE"]
        output.table([*columns, "LIKELY LEFT", "NEVER OPENED", "OPENED IN 30 DAYS"], rows)

    return {"compromise": compromise, "outstanding": outstanding}


def _told(outstanding: _Outstanding | None) -> list[str]:
    if outstanding is None:
        return ["-", "-", "-"]
    return [outstanding.words, str(outstanding.n_never_seen), str(outstanding.n_seen_lately)]
