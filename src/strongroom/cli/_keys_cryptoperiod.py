"""``strongroom keys cryptoperiod`` and ``activate``: how long a key protects, and from when on."""

import datetime as dt
from collections.abc import Callable, Mapping

import click
import msgspec

from strongroom.cli._key_calls import document_about_key, id_of, post
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.client import ServiceClient


class PeriodAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What limits a key."""

    key_id: str
    days: int
    ends_at: float | None
    max_uses: int
    n_taken: int
    activate_at: float | None
    is_made_anew: bool

    def lines(self) -> list[str]:
        """Say it in words."""
        limits = []
        if self.days:
            limits.append(f"for {self.days} days, until {shown_time(self.ends_at)}")
        if self.max_uses:
            limits.append(f"{self.max_uses} times, of which {self.n_taken} are taken")
        after = "a new version follows by itself" if self.is_made_anew else "then it protects nothing more"
        said = f"protects {' and '.join(limits)}; {after}" if limits else "protects without limit"
        lines = [f"The current version of {visible(self.key_id)} {said}."]
        if self.activate_at is not None:
            lines.append(f"Date of activation: {shown_time(self.activate_at)}.")
        return lines


class _Date(click.ParamType[dt.datetime]):
    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        try:
            date = dt.datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("a date is written 2027-01-31 or 2027-01-31T12:00:00Z", param, ctx)
        return date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)


DATE = _Date()


def cryptoperiod_commands(connect: Callable[[], ServiceClient]) -> Mapping[str, click.Command]:
    """Make the commands; ``connect`` opens a client of the service."""

    @click.command
    @click.argument("key")
    @click.option("--days", type=click.IntRange(1, 36_500), help="Days that each version protects.")
    @click.option("--uses", type=click.IntRange(1, 2**53), help="How often each version protects something.")
    @click.option("--none", "is_none", is_flag=True, help="Take all limits away.")
    @reporting
    def cryptoperiod(output: Output, *, key: str, days: int | None, uses: int | None, is_none: bool) -> None:
        """Limit how long and how often each version of a key protects.

        Afterwards a symmetric key gets a new version by itself; every other key protects nothing more, and still decrypts and
        verifies. What is not given is without limit. KEY is a key id, an alias (alias/NAME) or the ARN of either.
        """
        if is_none == bool(days or uses):
            raise click.UsageError("give --days, --uses or both; or --none")
        with connect() as client:
            members = {"days": days or 0, "maxUses": uses or 0}
            period = post(client, id_of(client, key), "cryptoperiod", PeriodAnswer, members)
        output.say(*period.lines())
        output.document(document_about_key(period))

    @click.command
    @click.argument("key")
    @click.option("--at", type=DATE, help="When, such as 2027-01-31T12:00:00Z; midnight UTC if only a day.")
    @click.option("--now", "is_now", is_flag=True, help="From now on.")
    @reporting
    def activate(output: Output, *, key: str, at: dt.datetime | None, is_now: bool) -> None:
        """Let a key that was never used do nothing before a date; then it becomes active by itself.

        KEY is a key id, an alias (alias/NAME) or the ARN of either.
        """
        if is_now == (at is not None):
            raise click.UsageError("give --at DATE, or --now")
        with connect() as client:
            members = {"at": None if at is None else at.timestamp()}
            period = post(client, id_of(client, key), "activation", PeriodAnswer, members)
        output.say(*period.lines())
        output.document(document_about_key(period))

    return {"cryptoperiod": cryptoperiod, "activate": activate}
