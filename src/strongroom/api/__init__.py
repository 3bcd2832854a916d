"""The HTTP edge: the AWS KMS JSON 1.1 protocol in, one service function per request, the answer out.

It is the only room that knows status codes, AWS error codes, ARNs and signatures::

    app = create_app(service, health, clock=SystemClock(), account_id="123456789012")
    uvicorn.run(app, date_header=False, server_header=False)  # the app sends Date itself

``Handler.handle`` is a plain asynchronous function of ``Request`` to ``Response``; ``create_app`` puts a raw
ASGI application around it. ``sign_request`` is the client side, for our own command line.

Threading: one handler belongs to one event loop. It does not serve sockets or TLS (``runtime`` does), does not
decide who may do what and does not write audit entries itself (``service`` does both).
"""

from strongroom.api._errors import ApiError
from strongroom.api._handler import Handler, HealthSource
from strongroom.api._http import AsgiApp, Request, RequestHandler, Response
from strongroom.api._sigv4 import sign_request
from strongroom.core import Clock
from strongroom.service import KeyService

__all__ = [
    "ApiError",
    "AsgiApp",
    "Handler",
    "HealthSource",
    "Request",
    "RequestHandler",
    "Response",
    "create_app",
    "sign_request",
]


def create_app(service: KeyService, health: HealthSource, *, clock: Clock, account_id: str) -> AsgiApp:
    """Make the ASGI application; ``account_id`` are the twelve digits that ARNs show."""
    return AsgiApp(Handler(service, health, clock=clock, account_id=account_id))
