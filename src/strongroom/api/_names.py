"""The four forms of KeyId (key id, key ARN, alias name, alias ARN), and which operation takes which.

Messages are those that AWS KMS was recorded to give. Echoed text is what the caller sent, at most 2,048
characters by the constraint on KeyId.
"""

import re
from functools import lru_cache

from strongroom.api._arns import Arns
from strongroom.api._errors import ApiError, validation_error
from strongroom.keyring import AliasNotFoundError, KeyByAlias, KeyById, KeyNotFoundError, KeyRef

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_WELL_FORMED_ELSEWHERE = re.compile(r"mrk-[0-9a-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""Ids that AWS gives out and we never do: they name no key, but nothing is wrong with them."""
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")
_ALIAS_PATTERN = r"^[a-zA-Z0-9:/_-]+$"
_RESERVED = "alias/aws/"


@lru_cache(maxsize=4_096)
def parse_key_ref(text: str, arns: Arns) -> KeyRef:
    """Read any of the four forms. Raises ApiError, KeyNotFoundError or AliasNotFoundError.

    What is well formed is kept, for verified callers name few keys, over and over.
    """
    name = _local_name(text, arns)
    if name.startswith("alias/"):
        if not _ALIAS.fullmatch(name):
            raise AliasNotFoundError(name)
        return KeyByAlias(name)
    return KeyById(_key_id(name, text))


def parse_key_id(text: str, arns: Arns) -> str:
    """Read a key id or key ARN, the forms that management operations take. Raises as ``parse_key_ref``."""
    name = _local_name(text, arns)
    if name.startswith("alias/"):
        raise _invalid_key_id(text)
    return _key_id(name, text)


def parse_alias_name(alias_name: str) -> str:
    """Check the name of an alias to be made, moved or removed. Raises ApiError."""
    if not re.fullmatch(_ALIAS_PATTERN, alias_name):
        raise validation_error(
            f"1 validation error detected: Value '{alias_name}' at 'aliasName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_ALIAS_PATTERN}"
        )
    if alias_name.startswith(_RESERVED):
        raise ApiError("NotAuthorizedException")
    if not alias_name.startswith("alias/") or alias_name == "alias/":
        raise validation_error("Invalid identifier")
    if not _ALIAS.fullmatch(alias_name):
        raise validation_error(f"{alias_name} contains invalid characters for an alias")
    return alias_name


def parse_alias_target(text: str, arns: Arns) -> str:
    """Read the target of a new alias. Raises ApiError or KeyNotFoundError."""
    if _local_name(text, arns).startswith("alias/"):
        raise validation_error("Aliases must refer to keys. Not aliases")
    return parse_key_id(text, arns)


def _local_name(text: str, arns: Arns) -> str:
    """Return ``alias/NAME`` or what should be a key id, out of an ARN if it is one."""
    if not text.startswith("arn:"):
        return text
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[:3] != ["arn", "aws", "kms"]:
        raise _not_found(f"Invalid arn {text}")
    region, account_id, resource = parts[3:]
    if region != arns.region:
        raise _not_found(f"Invalid arn {region}")
    if not resource.startswith(("key/", "alias/")):
        raise _not_found(f"Invalid arn {text}")
    if account_id != arns.account_id:
        is_key = resource.startswith("key/")
        raise _not_found(f"Key '{text}' does not exist" if is_key else f"Alias {text} is not found.")
    return resource.removeprefix("key/")


def _key_id(name: str, text: str) -> str:
    if _UUID.fullmatch(name):
        return name
    if _WELL_FORMED_ELSEWHERE.fullmatch(name):
        raise KeyNotFoundError(name)
    raise _invalid_key_id(text)


def _invalid_key_id(text: str) -> ApiError:
    return _not_found(f"Invalid keyId '{text}'")


def _not_found(message: str) -> ApiError:
    return ApiError("NotFoundException", message)
