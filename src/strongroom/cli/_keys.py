"""``strongroom keys``: list, create and show keys, by the AWS KMS protocol like every other client."""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import click

from strongroom.cli._answers import (
    AliasEntry,
    AliasesAnswer,
    Anything,
    KeyEntry,
    KeyMetadata,
    KeyMetadataAnswer,
    KeysAnswer,
)
from strongroom.cli._domains import move_command
from strongroom.cli._endpoint import find_service
from strongroom.cli._errors import NotDoneError
from strongroom.cli._key_calls import post
from strongroom.cli._keys_cryptoperiod import DATE, PeriodAnswer, cryptoperiod_commands
from strongroom.cli._keys_life import life_commands
from strongroom.cli._keys_versions import version_commands
from strongroom.cli._output import Output, shown_time, visible
from strongroom.cli._policy_check import policy_check
from strongroom.cli._reporting import reporting
from strongroom.client import ClientError, ForeignAnswerError, RequestRefusedError, ServiceClient
from strongroom.config import Home, home_from_environment
from strongroom.core import SystemClock

_ALIAS = re.compile(r"alias/(?!aws/)[a-zA-Z0-9/_-]{1,250}")
_MAX_PAGES = 10_000


@click.group
def keys() -> None:
    """List, create and show keys; tell who may use them."""


keys.add_command(policy_check)


@keys.command("list")
@click.option("--long", "is_long", is_flag=True, help="Also ask for each key's state and description.")
@reporting
def list_keys(output: Output, *, is_long: bool) -> None:
    """List all keys and their aliases."""
    with _client() as client:
        aliases = _aliases_by_key(client)
        entries = list(_all_keys(client))
        described = {entry.key_id: _describe(client, entry.key_id) for entry in entries} if is_long else {}
    output.document(
        {
            "keys": [
                {
                    "key_id": entry.key_id,
                    "arn": entry.key_arn,
                    "aliases": aliases[entry.key_id],
                    **(_document(described[entry.key_id], aliases[entry.key_id]) if is_long else {}),
                }
                for entry in entries
            ]
        }
    )
    if not entries:
        output.say("There are no keys yet.", "Create one with: strongroom keys create --alias NAME")
        return
    columns = ["KEY ID", "ALIASES"]
    rows = [[entry.key_id, ", ".join(aliases[entry.key_id]) or "-"] for entry in entries]
    if is_long:
        columns += ["STATE", "CREATED", "DESCRIPTION"]
        for row, entry in zip(rows, entries, strict=True):
            metadata = described[entry.key_id]
            row += [metadata.key_state, shown_time(metadata.creation_date), metadata.description or "-"]
    output.table(columns, rows)


@keys.command
@click.option("--description", default="", help="What the key is for; not secret.")
@click.option("--alias", metavar="NAME", help="A name for the key: NAME or alias/NAME.")
@click.option("--domain", metavar="DOMAIN", help="Name of the domain to put it into, or dedicated: its own.")
@click.option("--activate-at", type=DATE, help="When it becomes active, such as 2027-01-31T12:00:00Z.")
@reporting
def create(
    output: Output,
    *,
    description: str,
    alias: str | None,
    domain: str | None,
    activate_at: dt.datetime | None,
) -> None:
    """Create a key, and an alias for it if asked."""
    members: dict[str, object] = {"Description": description}
    if domain is not None:
        members["Tags"] = [{"TagKey": "strongroom:domain", "TagValue": domain}]
    alias_name = None if alias is None else _full_alias(alias)
    with _client() as client:
        if alias_name is not None:
            _require_free(client, alias_name)
        made = client.call("CreateKey", members, KeyMetadataAnswer).key_metadata
        if activate_at is not None:  # before anybody knows of the key
            post(client, made.key_id, "activation", PeriodAnswer, {"at": activate_at.timestamp()})
            made = _describe(client, made.key_id)
        if alias_name is not None:
            _add_alias(client, alias_name, made.key_id)
    output.say(
        f"Created key {visible(made.key_id)}" + (f" with {alias_name}" if alias_name else ""),
        "",
        "What to do next:",
        f"  aws kms encrypt --key-id {alias_name or visible(made.key_id)} --plaintext fileb://FILE"
        '   (after: eval "$(strongroom env)")',
    )
    output.document(_document(made, [alias_name] if alias_name else []))


@keys.command
@click.argument("key")
@reporting
def show(output: Output, *, key: str) -> None:
    """Show one key. KEY is a key id, an alias (alias/NAME) or the ARN of either."""
    with _client() as client:
        try:
            metadata = _describe(client, key)
        except RequestRefusedError as error:
            if error.code == "NotFoundException" and ":" not in key and "alias/" not in key:
                error.next_step = f"an alias is written alias/NAME; did you mean alias/{key}?"
            raise
        aliases = [entry.alias_name for entry in _all_aliases(client, {"KeyId": metadata.key_id})]
    output.document(_document(metadata, aliases))
    output.table(
        ["FIELD", "VALUE"],
        [
            ["key id", metadata.key_id],
            ["ARN", metadata.arn],
            ["aliases", ", ".join(aliases) or "-"],
            ["state", metadata.key_state],
            ["description", metadata.description or "-"],
            ["created", shown_time(metadata.creation_date)],
            ["origin", metadata.origin],
            ["usage", f"{metadata.key_usage} {metadata.key_spec}"],
            ["material id", metadata.current_key_material_id],
        ],
    )


def _client() -> ServiceClient:
    return ServiceClient(find_service(Home(home_from_environment())), clock=SystemClock())


def _describe(client: ServiceClient, key: str) -> KeyMetadata:
    return client.call("DescribeKey", {"KeyId": key}, KeyMetadataAnswer).key_metadata


def _all_keys(client: ServiceClient) -> Iterator[KeyEntry]:
    marker: str | None = None
    for _ in range(_MAX_PAGES):
        page = client.call("ListKeys", _page(marker, limit=1000), KeysAnswer)
        yield from page.keys
        marker = page.next_marker
        if not page.truncated or marker is None:
            return
    raise ForeignAnswerError(f"the list of keys does not end after {_MAX_PAGES} pages")


def _all_aliases(client: ServiceClient, members: Mapping[str, object]) -> Iterator[AliasEntry]:
    marker: str | None = None
    for _ in range(_MAX_PAGES):
        page = client.call("ListAliases", {**members, **_page(marker, limit=100)}, AliasesAnswer)
        yield from page.aliases
        marker = page.next_marker
        if not page.truncated or marker is None:
            return
    raise ForeignAnswerError(f"the list of aliases does not end after {_MAX_PAGES} pages")


def _page(marker: str | None, *, limit: int) -> dict[str, object]:
    return {"Limit": limit} if marker is None else {"Limit": limit, "Marker": marker}


def _aliases_by_key(client: ServiceClient) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for entry in _all_aliases(client, {}):
        if entry.target_key_id is not None:
            found[entry.target_key_id].append(entry.alias_name)
    return found


def _full_alias(alias: str) -> str:
    name = alias if alias.startswith("alias/") else f"alias/{alias}"
    if not _ALIAS.fullmatch(name):
        raise click.BadParameter(
            "an alias has 1 to 250 of a-z A-Z 0-9 / _ - and does not begin with aws/", param_hint="--alias"
        )
    return name


def _require_free(client: ServiceClient, alias_name: str) -> None:
    """Look before the key is made: a key without the name that was asked for would be left behind."""
    try:
        found = _describe(client, alias_name)
    except RequestRefusedError as error:
        if error.code == "NotFoundException":
            return
        raise
    raise NotDoneError(
        f"{alias_name} is taken: it names key {found.key_id}; no key was created",
        next_step="choose another alias",
    )


def _add_alias(client: ServiceClient, alias_name: str, key_id: str) -> None:
    try:
        client.call("CreateAlias", {"AliasName": alias_name, "TargetKeyId": key_id}, Anything)
    except ClientError as error:
        raise NotDoneError(
            f"key {key_id} was created, but it may not be named {alias_name}: {error.message}",
            next_step=f"look with: strongroom keys show {key_id}",
        ) from error


def _document(metadata: KeyMetadata, aliases: Sequence[str]) -> Mapping[str, object]:
    return {
        "key_id": metadata.key_id,
        "arn": metadata.arn,
        "aliases": list(aliases),
        "state": metadata.key_state,
        "description": metadata.description,
        "created_at": metadata.creation_date,
        "origin": metadata.origin,
        "key_spec": metadata.key_spec,
        "key_usage": metadata.key_usage,
        "material_id": metadata.current_key_material_id,
    }


keys.add_command(move_command(_client), "move")
for _commands in (life_commands, cryptoperiod_commands, version_commands):
    for _name, _command in _commands(_client).items():
        keys.add_command(_command, _name)
