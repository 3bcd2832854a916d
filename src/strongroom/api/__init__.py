"""The HTTP edge: the AWS KMS JSON 1.1 protocol in, one service function per request, the answer out.

It is the only room that knows status codes, AWS error codes, ARNs and signatures::

    handler = Handler(service, health, clock=SystemClock(), account_id="123456789012")
    connections = HttpConnections(handler, lane=handler.lane, metrics=handler.metrics)
    server = await loop.create_server(connections.protocol, sock=listener, ssl=context)

``Handler.handle`` is a plain asynchronous function of ``Request`` to ``Response``; ``HttpConnections`` speaks HTTP/1.1
around it, within limits. ``sign_request`` is the client side, for our own command line.

Threading: one handler belongs to one event loop. It does not open sockets or load certificates (``runtime`` does), does not
decide who may do what and does not write audit entries itself (``service`` does both).
"""

from strongroom.api._bearer import BearerTokens, TokenCaller, TokenRules
from strongroom.api._connection import HttpConnection
from strongroom.api._connections import HttpConnections
from strongroom.api._errors import ApiError
from strongroom.api._handler import Handler
from strongroom.api._health import HealthSource
from strongroom.api._http import Request, RequestHandler, Response
from strongroom.api._identities import ClientIdentities
from strongroom.api._jwks import MAX_KEY_SET_BYTES, IssuerKey, KeySetError, read_key_set
from strongroom.api._sign_request import sign_request
from strongroom.api._timeouts import Timeouts

__all__ = [
    "MAX_KEY_SET_BYTES",
    "ApiError",
    "BearerTokens",
    "ClientIdentities",
    "Handler",
    "HealthSource",
    "HttpConnection",
    "HttpConnections",
    "IssuerKey",
    "KeySetError",
    "Request",
    "RequestHandler",
    "Response",
    "Timeouts",
    "TokenCaller",
    "TokenRules",
    "read_key_set",
    "sign_request",
]
