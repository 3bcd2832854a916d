"""Calls of the admin API about one key."""

from typing import Protocol, TypeVar

import msgspec

from strongroom.cli._answers import KeyMetadataAnswer
from strongroom.cli._output import plain
from strongroom.client import Outgoing, ServiceClient, read_answer

_T = TypeVar("_T")


class AboutKey(Protocol):
    """An answer about a key; a Struct."""

    @property
    def key_id(self) -> str:
        """ARN of the key."""
        ...


def document_about_key(answer: AboutKey) -> dict[str, object]:
    """Return an answer as ``--json`` shows it: with the bare id of the key beside its ARN."""
    arn = answer.key_id
    return {**plain(answer), "key_id": arn.rpartition("/")[2], "arn": arn}


def id_of(client: ServiceClient, key: str) -> str:
    """Return the id of a key by any of its names. Raises as ``ServiceClient.call``."""
    return client.call("DescribeKey", {"KeyId": key}, KeyMetadataAnswer).key_metadata.key_id


def post(
    client: ServiceClient,
    key_id: str,
    action: str,
    kind: type[_T],
    members: object = None,
) -> _T:
    """Do something with a key, and return the answer. Raises as ``read_answer``."""
    body = b"" if members is None else msgspec.json.encode(members)
    request = Outgoing(f"/api/v1/keys/{key_id}/{action}", {"Content-Type": "application/json"}, body)
    return read_answer(client.exchange(request), kind)
