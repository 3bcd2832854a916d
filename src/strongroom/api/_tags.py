"""Tags as requests carry them, and the rules of AWS on them.

Source: AWS KMS API reference (Tag, TagException) and AWS Billing "User-defined tag restrictions". A control character
is refused too: tags end in terminals and on bills.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from strongroom.api._constraints import Violations
from strongroom.api._errors import ApiError
from strongroom.keyring import MAX_TAGS_OF_KEY

MAX_TAG_KEY = 128
MAX_TAG_VALUE = 256
_RESERVED = "aws:"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class TagMember(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One tag of a request."""

    tag_key: str | None = None
    tag_value: str | None = None


def check_tags(found: Violations, tags: Sequence[TagMember] | None) -> None:
    """Check the constraints of the model on each tag."""
    for number, tag in enumerate(tags or (), 1):
        name = f"tags.{number}.member.tagKey"
        found.required(name, tag.tag_key)
        found.length(name, tag.tag_key, 1, MAX_TAG_KEY)
        name = f"tags.{number}.member.tagValue"
        found.required(name, tag.tag_value)
        found.length(name, tag.tag_value, 0, MAX_TAG_VALUE)


def check_tag_keys(found: Violations, keys: Sequence[str] | None) -> None:
    """Check the constraints of the model on each name of a tag."""
    for number, key in enumerate(keys or (), 1):
        found.length(f"tagKeys.{number}.member", key, 1, MAX_TAG_KEY)


def tag_map(tags: Sequence[TagMember] | None) -> dict[str, str]:
    """Return name to value of tags that ``check_tags`` found well-formed. Raises ApiError (TagException)."""
    made: dict[str, str] = {}
    for tag in tags or ():
        key, value = tag.tag_key or "", tag.tag_value or ""
        if key.lower().startswith(_RESERVED):
            raise _tag_error("Tags beginning with aws: are reserved")
        if _CONTROL.search(key) or _CONTROL.search(value):
            raise _tag_error("Tags must not hold control characters")
        if key in made:
            raise _tag_error("Duplicate tag keys")
        made[key] = value
    if len(made) > MAX_TAGS_OF_KEY:
        raise _tag_error("Too many tags")
    return made


def _tag_error(message: str) -> ApiError:
    return ApiError("TagException", message)
