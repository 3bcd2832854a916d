"""The OpenAPI 3.1 document of the admin API, made of the table of routes."""

import functools
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from strongroom.api._admin import JSON, PATH_PARAMETERS, PREFIX, AdminRoute
from strongroom.service import FOR_EVERYBODY, ROLES_FOR

_API_VERSION: Final = "1"
_TEMPLATE: Final = "#/components/schemas/{name}"


class ErrorAnswer(Struct, frozen=True):
    """What every refusal and failure looks like."""

    code: str = msgspec.field(name="__type")
    """The name of the error, such as ``AccessDeniedException``: for programs."""
    message: str
    """For people."""


class OpenApiDocument(Struct, frozen=True):
    """A document of OpenAPI 3.1; it has more members than these."""

    openapi: str
    info: dict[str, str]
    paths: dict[str, dict[str, Any]]
    components: dict[str, Any]


@functools.cache
def openapi_document(routes: tuple[AdminRoute, ...]) -> Mapping[str, object]:
    """Return the document; the same one each time, which nobody changes."""
    structs = {route.answer for route in routes} | {ErrorAnswer}
    structs |= {route.request for route in routes if route.request is not None}
    in_order = sorted(structs, key=lambda struct: struct.__name__)
    _, schemas = msgspec.json.schema_components(in_order, ref_template=_TEMPLATE)
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Strongroom admin API", "version": _API_VERSION},
        "security": [{name: []} for name in _security_schemes()],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _security_schemes()},
    }


def _operation(route: AdminRoute) -> Mapping[str, object]:
    operation: dict[str, object] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": _description(route),
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {
            "200": {"description": "Done.", "content": _content(route.answer, route.forms)},
            "4XX": _error("Refused."),
            "5XX": _error("Not done: the fault is the service's."),
        },
    }
    if route.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.request, route.forms)}
    return operation


def _description(route: AdminRoute) -> str:
    lines = []
    for verb in route.verbs:
        if verb in FOR_EVERYBODY:
            lines.append("Every caller who is known may.")
        else:
            lines.append(f"Needs the verb `{verb}`: {', '.join(sorted(ROLES_FOR[verb]))}.")
    if route.errors:
        lines.append(f"Errors of its own: {', '.join(route.errors)}.")
    return " ".join(lines)


def _path_parameters(route: AdminRoute) -> list[Mapping[str, object]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{pattern}$"},
        }
        for name, pattern in PATH_PARAMETERS.items()
        if f"{{{name}}}" in route.path
    ]


def _query_parameters(route: AdminRoute) -> list[Mapping[str, object]]:
    if route.query is None:
        return []
    _, schemas = msgspec.json.schema_components([route.query], ref_template=_TEMPLATE)
    schema = schemas[route.query.__name__]
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _given(of)}
        for name, of in schema["properties"].items()
    ]


def _given(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a parameter without null, which no query can say."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else {k: v for k, v in schema.items() if v is not None}


def _content(struct: type[Struct], forms: tuple[str, ...]) -> Mapping[str, object]:
    return {form: {"schema": {"$ref": _TEMPLATE.format(name=_name(struct))}} for form in forms}


def _error(text: str) -> Mapping[str, object]:
    return {"description": text, "content": _content(ErrorAnswer, (JSON,))}


def _name(struct: type[Struct]) -> str:
    """Return what msgspec calls the schema of a Struct."""
    (reference,), _ = msgspec.json.schema_components([struct], ref_template="{name}")
    return str(reference["$ref"])


def _security_schemes() -> Mapping[str, object]:
    return {
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "AWS Signature Version 4, service kms, any region.",
        },
        "bearerToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of the configured OpenID Connect issuer.",
        },
        "clientCertificate": {
            "type": "mutualTLS",
            "description": "A TLS client certificate of the configured CA.",
        },
    }
