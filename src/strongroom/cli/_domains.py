"""``strongroom domains``, and ``strongroom keys move``: which domain KEK is over which keys, by the admin API."""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

import click
import msgspec

from strongroom.cli._answers import KeyMetadataAnswer
from strongroom.cli._endpoint import find_service
from strongroom.cli._output import Output, plain, shown_time, visible
from strongroom.cli._reporting import reporting
from strongroom.client import ForeignAnswerError, Outgoing, ServiceClient, read_answer
from strongroom.config import Home, home_from_environment
from strongroom.core import SystemClock

_PAGE = 1_000
_MAX_PAGES = 10_000
_JSON = {"Content-Type": "application/json"}


class _Replacement(msgspec.Struct, frozen=True, rename="camel"):
    domain_id: str
    started_at: float
    keys_left: int
    keys_total: int


class Domain(msgspec.Struct, frozen=True, rename="camel"):
    """A domain, as the service tells about it."""

    domain_id: str
    kind: str
    name: str | None
    n_keys: int
    max_keys: int | None
    created_at: float
    root_id: str
    replaces: _Replacement | None = None

    @property
    def shown_name(self) -> str:
        """Its name, or its id where it has none."""
        return visible(self.name or self.domain_id)

    @property
    def shown_keys(self) -> str:
        """How many keys it has, and how many it may have."""
        return str(self.n_keys) if self.max_keys is None else f"{self.n_keys} of {self.max_keys}"

    @property
    def rotation(self) -> str:
        """How far its rotation is."""
        if self.replaces is None:
            return "-"
        return f"{self.replaces.keys_left} of {self.replaces.keys_total} keys left"


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    domains: list[Domain]
    next_after: str | None = None


@click.group
def domains() -> None:
    """List, make, show and rotate domains: the keys over keys that only HSMs open."""


@domains.command("list")
@reporting
def list_domains(output: Output) -> None:
    """List all domains, with the number of their keys and how far their rotations are."""
    with _client() as client:
        found = list(_all_domains(client))
    output.document({"domains": [plain(domain) for domain in found]})
    if not found:
        output.say("There are no domains yet: the first key makes one.")
        return
    rows = [
        [
            domain.domain_id,
            domain.kind,
            visible(domain.name or "-"),
            domain.shown_keys,
            shown_time(domain.created_at),
            domain.rotation,
        ]
        for domain in found
    ]
    output.table(["DOMAIN ID", "KIND", "NAME", "KEYS", "KEK MADE", "ROTATION"], rows)


@domains.command
@click.argument("name")
@reporting
def create(output: Output, *, name: str) -> None:
    """Make a domain for the keys that are put there, such as those of one tenant.

    NAME has 1 to 64 of a-z 0-9 . _ - and begins and ends with a letter or a digit.
    """
    with _client() as client:
        made = _post(client, "domains", {"name": name})
    output.document(plain(made))
    output.say(
        f"Made domain {made.shown_name} ({made.domain_id}), for up to {made.max_keys} keys.",
        "",
        "What to do next:",
        f"  strongroom keys create --domain {made.shown_name} --alias NAME",
        f"  strongroom keys move KEY --domain {made.shown_name}",
    )


@domains.command
@click.argument("domain", required=False)
@click.option("--key", metavar="KEY", help="Show the domain of this key: its id, alias (alias/NAME) or ARN.")
@reporting
def show(output: Output, *, domain: str | None, key: str | None) -> None:
    """Show one domain, and how far its rotation is. DOMAIN is its name or id."""
    if (domain is None) == (key is None):
        raise click.UsageError("say either DOMAIN or --key KEY")
    with _client() as client:
        if key is not None:
            found = client.read(f"/api/v1/keys/{_id_of(client, key)}/domain", Domain)
        else:
            found = client.read(f"/api/v1/domains/{_segment(domain or '')}", Domain)
    _show(output, found)


@domains.command
@click.argument("domain")
@reporting
def rotate(output: Output, *, domain: str) -> None:
    """Put a new domain KEK in the place of a domain's; its keys move to it in the background.

    DOMAIN is its name or id. What is sealed from now on is under the new KEK; the old one is removed when nothing is under it.
    """
    with _client() as client:
        made = _post(client, f"domains/{_segment(domain)}/rotate", None)
    output.document(plain(made))
    output.say(
        f"The KEK of {made.shown_name} is a new one now ({made.domain_id}); {made.rotation}.",
        f"See how far it is: strongroom domains show {made.shown_name}",
    )


def move_command(connect: Callable[[], ServiceClient]) -> click.Command:
    """Make ``keys move``; ``connect`` opens a client of the service."""

    @click.command
    @click.argument("key")
    @click.option(
        "--domain",
        required=True,
        metavar="DOMAIN",
        help="Name of a domain, or dedicated: one of the key's own.",
    )
    @reporting
    def move(output: Output, *, key: str, domain: str) -> None:
        """Put a key under the KEK of another domain, with all its versions, in one step.

        KEY is a key id, an alias (alias/NAME) or the ARN of either. Whatever was encrypted under it opens as before.
        """
        with connect() as client:
            key_id = _id_of(client, key)
            moved_to = _post(client, f"keys/{key_id}/move", {"domain": domain})
        output.document({"key_id": key_id, "domain": plain(moved_to)})
        output.say(f"Key {key_id} is in domain {moved_to.shown_name}.")

    return move


def _show(output: Output, domain: Domain) -> None:
    output.document(plain(domain))
    rows = [
        ["domain id", domain.domain_id],
        ["kind", domain.kind],
        ["name", visible(domain.name or "-")],
        ["keys", domain.shown_keys],
        ["KEK made", shown_time(domain.created_at)],
        ["root id", domain.root_id],
        ["rotation", domain.rotation],
    ]
    if domain.replaces is not None:
        rows += [
            ["replaces", domain.replaces.domain_id],
            ["since", shown_time(domain.replaces.started_at)],
        ]
    output.table(["FIELD", "VALUE"], rows)


def _all_domains(client: ServiceClient) -> Iterator[Domain]:
    after: str | None = None
    for _ in range(_MAX_PAGES):
        query = f"limit={_PAGE}" + (f"&after={quote(after, safe='')}" if after else "")
        page = client.read("/api/v1/domains", _Page, query=query)
        yield from page.domains
        after = page.next_after
        if after is None:
            return
    raise ForeignAnswerError(f"the list of domains does not end after {_MAX_PAGES} pages")


def _segment(domain: str) -> str:
    """Return what a path has for a domain; what cannot be one names none that there is."""
    return quote(domain.lower() if domain.isascii() else "-", safe="") or "-"


def _id_of(client: ServiceClient, key: str) -> str:
    return client.call("DescribeKey", {"KeyId": key}, KeyMetadataAnswer).key_metadata.key_id


def _post(client: ServiceClient, path: str, members: Mapping[str, object] | None) -> Domain:
    body = b"" if members is None else msgspec.json.encode(members)
    return read_answer(client.exchange(Outgoing(f"/api/v1/{path}", _JSON, body)), Domain)


def _client() -> ServiceClient:
    return ServiceClient(find_service(Home(home_from_environment())), clock=SystemClock())
