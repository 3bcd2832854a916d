"""STS GetCallerIdentity on the same endpoint: tells callers who they are.

Terraform, SOPS and people ask it first, and an SDK whose endpoint is set for all services asks it here. It comes in AWS's
query protocol: a form in, XML out, the signature scoped to the service ``sts``. No other action of STS is served.
Source: botocore's model sts/2011-06-15.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from strongroom.api._arns import Arns
from strongroom.api._errors import ApiError
from strongroom.api._http import Request
from strongroom.api._operation import Action, Document
from strongroom.service import Caller, KeyService

STS_SERVICE = "sts"
STS_CONTENT_TYPE = b"text/xml"
GET_CALLER_IDENTITY = "GetCallerIdentity"
_VERSION = "2011-06-15"
_FORM = "application/x-www-form-urlencoded"
_NAMESPACE = f"https://sts.amazonaws.com/doc/{_VERSION}/"
_MAX_FIELDS = 16
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) does not allow in a document, not even escaped."""


class _StsError(NamedTuple):
    code: str
    status: int


_ERRORS: Mapping[str, _StsError] = MappingProxyType(
    {
        "MissingAuthenticationTokenException": _StsError("MissingAuthenticationToken", 403),
        "UnrecognizedClientException": _StsError("InvalidClientTokenId", 403),
        "InvalidSignatureException": _StsError("SignatureDoesNotMatch", 403),
        "IncompleteSignatureException": _StsError("IncompleteSignature", 400),
        "UnknownOperationException": _StsError("InvalidAction", 400),
        "SerializationException": _StsError("MalformedQueryString", 400),
        "AccessDeniedException": _StsError("AccessDenied", 403),
        "KMSInternalException": _StsError("InternalFailure", 500),
        "DependencyTimeoutException": _StsError("ServiceUnavailable", 503),
    }
)
"""The codes of this room in the words of STS."""


def is_form(request: Request) -> bool:
    """Whether a request speaks the query protocol: a form is posted and no target named."""
    if request.path != "/" or request.method != "POST":
        return False
    headers = dict(request.headers)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == _FORM and "x-amz-target" not in headers


def sts_operation(body: bytes) -> str:
    """Name the action that a form asks for: one that we know, else ``-``."""
    try:
        _read_form(body)
    except ApiError:
        return "-"
    return GET_CALLER_IDENTITY


def prepare_sts(body: bytes, arns: Arns) -> Action:
    """Read a form. Raises ApiError for all but the one action that is served."""
    _read_form(body)

    async def act(service: KeyService, caller: Caller) -> Document:
        await service.get_caller_identity(caller)
        return {
            "Arn": arns.principal(caller.principal),
            "UserId": _user_id(arns.account_id, caller.principal),
            "Account": arns.account_id,
        }

    return act


def _read_form(body: bytes) -> None:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:  # UnicodeDecodeError is one
        raise ApiError("SerializationException", "The request cannot be read: it is not a form.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ApiError("SerializationException", "The request cannot be read: a field stands in it twice.")
    if fields.get("Action") != GET_CALLER_IDENTITY or fields.get("Version") != _VERSION:
        raise ApiError(
            "UnknownOperationException",
            f"Of STS this service has {GET_CALLER_IDENTITY} of version {_VERSION} only.",
        )


def _user_id(account_id: str, principal: str) -> str:
    """Return the id of a principal in the form of AWS: the same for the same principal, for ever."""
    digest = hashlib.sha256(f"strongroom principal\0{account_id}\0{principal}".encode()).digest()
    return "AIDA" + base64.b32encode(digest).decode()[:17]


def render_identity(document: Document, request_id: str) -> bytes:
    """Write the answer."""
    members = "".join(f"<{name}>{_text(str(value))}</{name}>" for name, value in document.items())
    return (
        f'<{GET_CALLER_IDENTITY}Response xmlns="{_NAMESPACE}"><{GET_CALLER_IDENTITY}Result>{members}'
        f"</{GET_CALLER_IDENTITY}Result><ResponseMetadata><RequestId>{request_id}</RequestId>"
        f"</ResponseMetadata></{GET_CALLER_IDENTITY}Response>\n"
    ).encode()


def render_error(error: ApiError, request_id: str) -> tuple[int, bytes]:
    """Write an error: its HTTP status and its XML."""
    code, status = _ERRORS.get(error.code, _StsError(error.code.removesuffix("Exception"), error.status))
    side = "Receiver" if status >= 500 else "Sender"
    text = (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{side}</Type><Code>{code}</Code>'
        f"<Message>{_text(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>\n"
    )
    return status, text.encode()


def _text(value: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", value))
