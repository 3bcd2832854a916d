"""What a route of the admin API is: ``AdminRoute`` is declared once, and answers requests, documentation and tests.

To add one: declare its Structs and a function that makes one service call, and add the route to the table of its family
(``_admin_keys.py`` and its like), which ``_admin_routes.py`` joins. The function raises ApiError only before it
calls the service: then the refusal is recorded here. What the service was asked it records itself, refusals too.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct

from strongroom.api._arns import Arns
from strongroom.api._errors import ApiError, validation_error
from strongroom.api._health import HealthSource
from strongroom.api._http import Request
from strongroom.api._json import encode_document, require_no_doubles
from strongroom.service import Caller, KeyService

PREFIX: Final = "/api/v1/"
JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
MAX_PARAMETERS: Final = 16
MAX_PAGE: Final = 100
_DOMAIN: Final = "[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"  # a name, or an id
_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PATH_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "keyId": _UUID,
        "jobId": _UUID,
        "domain": _DOMAIN,
        "version": "[1-9][0-9]{0,9}",
        "approval": "[0-9a-f]{8,64}",
    }
)
"""What may stand in braces in a path, and the pattern of its values: no part of one needs percent-encoding."""


class AdminMembers(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Members of a request; one that is not known is refused, for it would change what is asked."""


class AdminAnswer(Struct, frozen=True, rename="camel"):
    """Members of an answer."""


class PageQuery(AdminMembers, frozen=True):
    """Which page of a list."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50
    marker: Annotated[str, Meta(max_length=1_024)] | None = None
    """``nextMarker`` of the page before; left out for the first one."""


class AdminCall(NamedTuple):
    """A request whose caller is known and whose form was checked: what the function of a route works with."""

    service: KeyService
    caller: Caller
    arns: Arns
    health: HealthSource
    path: Mapping[str, str]
    """What the path has for each name in braces."""
    query: Any
    """Of the route's type ``query``."""
    body: Any
    """Of the route's type ``request``."""


class AdminRoute(Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: str
    path: str
    """Below ``/api/v1/``; ``{keyId}`` and the other ``PATH_PARAMETERS`` stand for one segment."""
    operation: str
    """What metrics, refusals and the OpenAPI document call it."""
    verbs: tuple[str, ...]
    """What the caller must be allowed, as ``ROLES_FOR`` and ``FOR_EVERYBODY`` name it."""
    summary: str
    call: Callable[[AdminCall], Awaitable[object]]
    """Makes the answer by one call of the service. Raises ApiError only before it."""
    answer: type[Struct]
    """The form of what ``call`` returns, which may be a plain document of that form."""
    request: type[Struct] | None = None
    """The form of the body; None when there is none."""
    query: type[Struct] | None = None
    """The form of the query, of texts and numbers; None when there is none."""
    forms: tuple[str, ...] = (JSON,)
    """Content types of the body; the answer has that of its request."""
    errors: tuple[str, ...] = ()
    """Codes that it has besides those that every route has."""


class Matched(NamedTuple):
    """A request for a route, by its method and path alone."""

    route: AdminRoute
    path: Mapping[str, str]


class AdminRequest(NamedTuple):
    """A request for a route, whose form was checked."""

    route: AdminRoute
    path: Mapping[str, str]
    query: object
    body: object

    def action(self, arns: Arns, health: HealthSource) -> Callable[[KeyService, Caller], Awaitable[object]]:
        """Return what makes the answer."""

        async def act(service: KeyService, caller: Caller) -> object:
            return await self.route.call(
                AdminCall(service, caller, arns, health, self.path, self.query, self.body)
            )

        return act


class AdminRouter:
    """Finds routes. Immutable."""

    def __init__(self, routes: tuple[AdminRoute, ...]) -> None:
        """Raises ValueError for two routes of the same method and path."""
        self._by_length: dict[int, dict[str, tuple[re.Pattern[str], dict[str, AdminRoute]]]] = {}
        for route in routes:
            full = PREFIX + route.path
            same_length = self._by_length.setdefault(full.count("/"), {})
            _, methods = same_length.setdefault(full, (_pattern_of(full), {}))
            if route.method in methods:
                raise ValueError(f"there are two routes {route.method} {full}")
            methods[route.method] = route

    def find(self, method: str, path: str) -> Matched | None:
        """Return the route of a request; None when there is none."""
        for pattern, methods in self._alike(path):
            found = pattern.fullmatch(path)
            if found is not None and method in methods:
                return Matched(methods[method], found.groupdict())
        return None

    def methods(self, path: str) -> tuple[str, ...]:
        """Return the methods that a path takes, sorted; none when there is nothing at it."""
        taken = {
            method for pattern, methods in self._alike(path) if pattern.fullmatch(path) for method in methods
        }
        return tuple(sorted(taken))

    def _alike(self, path: str) -> list[tuple[re.Pattern[str], dict[str, AdminRoute]]]:
        if not path.startswith(PREFIX):
            return []
        return list(self._by_length.get(path.count("/"), {}).values())


def read_admin(matched: Matched, request: Request) -> AdminRequest:
    """Read what is asked of a route. Raises ApiError."""
    route = matched.route
    body = read_body(route, request.by_name.get("content-type", ""), request.body)
    return AdminRequest(route, matched.path, read_query(route, request.query), body)


def read_body(route: AdminRoute, content_type: str, body: bytes) -> object:
    """Read the body of a request for a route. Raises ApiError."""
    if route.request is None:
        if body not in {b"", b"{}"}:
            raise validation_error("This path takes no members.")
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in route.forms:
        raise validation_error(f"Content-Type must be {' or '.join(route.forms)}.")
    try:
        if kind == MSGPACK:
            return msgspec.msgpack.decode(body, type=route.request)
        members = msgspec.json.decode(body, type=route.request)
        require_no_doubles(body)
        return members
    except msgspec.ValidationError as error:
        raise ApiError("ValidationException", f"1 validation error detected: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ApiError("SerializationException", f"The body is not a document of {kind}.") from None


def read_query(route: AdminRoute, query: str) -> object:
    """Read the query of a request for a route. Raises ApiError."""
    if route.query is None:
        if query:
            raise validation_error("This path takes no query.")
        return None
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )  # fmt: skip
        if len(dict(pairs)) != len(pairs):
            raise validation_error("A parameter of the query stands there twice.")
        return msgspec.convert(dict(pairs), route.query, strict=False)
    except msgspec.ValidationError as error:
        raise validation_error(f"1 validation error detected: {error}") from None
    except ValueError:  # UnicodeDecodeError is one
        raise validation_error("The query cannot be read.") from None


def _pattern_of(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    for at in range(1, len(parts), 2):
        parts[at] = f"(?P<{parts[at]}>{PATH_PARAMETERS[parts[at]]})"
    return re.compile("".join(part if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def render_answer(answer: object, route: AdminRoute, content_type: str) -> tuple[bytes, bytes]:
    """Return content type and body of an answer, in the form of its request."""
    if MSGPACK in route.forms and content_type.lower().startswith(MSGPACK):
        return MSGPACK.encode(), msgspec.msgpack.encode(answer)
    return JSON.encode(), encode_document(answer)
