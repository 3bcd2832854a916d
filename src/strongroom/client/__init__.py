"""Clients of a key service: where it is and who we are to it, and single signed calls.

Threading: a ``ServiceClient`` is for one thread. Nothing is tried twice, no thread is started.
"""

from strongroom.client._errors import (
    ClientError,
    ContextMismatchError,
    ForeignAnswerError,
    OutputExistsError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from strongroom.client._http import Answer, ServiceClient, read_answer
from strongroom.client._service import (
    AccessKey,
    Endpoint,
    Service,
    development_access_key,
    find_service,
    home_endpoint,
    home_service,
    needs_home,
    parse_endpoint,
)

__all__ = [
    "AccessKey",
    "Answer",
    "ClientError",
    "ContextMismatchError",
    "Endpoint",
    "ForeignAnswerError",
    "OutputExistsError",
    "RequestRefusedError",
    "Service",
    "ServiceClient",
    "ServiceUnreachableError",
    "development_access_key",
    "find_service",
    "home_endpoint",
    "home_service",
    "needs_home",
    "parse_endpoint",
    "read_answer",
]
