"""From a request to its answer: route, authenticate, parse, one call, render.

The audit rule, visible in ``Handler._answer``: what fails before a service function runs is recorded here by
``record_refusal``; once the service function runs, it audits its own outcome, failures too. Never both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from strongroom.api._admin import PREFIX, Matched, read_admin, render_answer
from strongroom.api._admin_routes import ADMIN_ROUTER
from strongroom.api._answers import AMZ_JSON, JSON, Answers
from strongroom.api._arns import Arns, arns_of
from strongroom.api._bearer import BearerTokens
from strongroom.api._callers import Callers
from strongroom.api._errors import ApiError, Where, to_api_error, unsupported_error
from strongroom.api._express import ExpressLane
from strongroom.api._failure_log import log_failure
from strongroom.api._health import HealthSource
from strongroom.api._http import Request, Response
from strongroom.api._identities import ClientIdentities
from strongroom.api._json import encode_document
from strongroom.api._kms import NOT_SERVED_YET, OPERATIONS
from strongroom.api._metrics import ApiMetrics
from strongroom.api._operation import Prepare
from strongroom.api._sigv4 import SERVICE, SignatureVerifier, claimed_access_key_id
from strongroom.api._sts import (
    STS_CONTENT_TYPE,
    STS_SERVICE,
    is_form,
    prepare_sts,
    render_error,
    render_identity,
    sts_operation,
)
from strongroom.core import Clock, Secret
from strongroom.keyring import KeyringError
from strongroom.service import Caller, ImmediateService, KeyService, Refusal

_TARGET_PREFIX = "TrentService."
_TEXT = b"text/plain; version=0.0.4; charset=utf-8"
_READ_METHODS = ("GET", "HEAD")
_METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"/": ("POST",), "/healthz": _READ_METHODS, "/readyz": _READ_METHODS, "/metrics": _READ_METHODS}
)


class _Call(Struct, frozen=True):
    """One request with what is known of it before it is verified."""

    request: Request
    request_id: str
    operation: str
    """A name we know, else ``-``: it is a label of metrics and audit entries."""
    service: str
    """The AWS service that is spoken to, for which the request must be signed: ``kms`` or ``sts``."""
    admin: Matched | None = None
    """What route of the admin API the request is for, if it is for one."""

    @property
    def is_admin(self) -> bool:
        """Whether the request is for a path of the admin API, be it one that there is not."""
        return self.request.path.startswith(PREFIX)


class Handler:
    """Answers requests; implements ``RequestHandler``. For one event loop."""

    def __init__(
        self,
        service: KeyService,
        health: HealthSource,
        *,
        clock: Clock,
        account_id: str,
        identities: ClientIdentities | None = None,
        tokens: BearerTokens | None = None,
        of_all_processes: Callable[[str], str] = str,
    ) -> None:
        """``of_all_processes`` makes the metrics of all processes out of our own."""
        self._of_all_processes = of_all_processes
        self._service = service
        self._health = health
        self._clock = clock
        self._account_id = account_id
        self._verifier = SignatureVerifier(service.find_credential, clock)
        self._callers = Callers(self._verifier, identities, tokens)
        self.metrics = ApiMetrics()
        """Also for the connections, which count what never becomes a request."""
        self._answers = Answers(clock)
        self.lane: ExpressLane | None = None
        """Answers usual requests in groups, where the service can: for the connections."""
        if isinstance(service, ImmediateService):
            self.lane = ExpressLane(
                service, self._verifier, self._answers, self.metrics, clock=clock, account_id=account_id
            )
        self._probes: dict[str, Callable[[], tuple[int, bytes, bytes]]] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics_text,
        }

    async def handle(self, request: Request) -> Response:
        """Answer a request that arrived whole."""
        probe = self._probes.get(request.path)
        if probe is not None and request.method in _READ_METHODS:
            return self._probe(probe)
        started = self._clock.monotonic()
        call = self._call_of(request)
        code, response = await self._answer(call)
        self.metrics.record(call.operation, code, self._clock.monotonic() - started)
        return response

    async def reject(self, request: Request, error: ApiError) -> Response:
        """Answer a request that broke a limit of the transport."""
        call = self._call_of(request)
        code, response = await self._refuse(call, error)
        self.metrics.record(call.operation, code, 0.0)
        return response

    def _call_of(self, request: Request) -> _Call:
        """Find out what a request claims to be for."""
        request_id = self._answers.new_request_id()
        admin = ADMIN_ROUTER.find(request.method, request.path)
        if admin is not None:
            return _Call(request, request_id, admin.route.operation, SERVICE, admin)
        return _Call(request, request_id, *_operation_of(request))

    async def _answer(self, call: _Call) -> tuple[str, Response]:
        caller: Caller | None = None
        try:
            caller = self._recognise(call)
            action = self._prepare(call, caller)
        except Exception as error:  # noqa: BLE001  # every failure gets an answer and a record
            return await self._refuse(call, error, caller)
        # All that came in this turn are checked before the first of them acts: code and data of one half at a time fit
        # into the processor's caches, of both they do not (a seventh of the time that a request takes under load).
        await asyncio.sleep(0)
        # From here on the service function audits the outcome itself: no record_refusal below this line.
        try:
            document = await action(self._service, caller)
            return "OK", self._success(call, document)
        except (
            ApiError
        ) as error:  # a route of the admin API refuses before it calls the service, which knows no ApiError
            return await self._refuse(call, error, caller)
        except Exception as error:  # noqa: BLE001  # an untyped error becomes a plain 500
            return self._failure(call, error, Arns(self._account_id, caller.region))

    def _recognise(self, call: _Call) -> Caller:
        """Return who calls, if there is something at that path. Raises ApiError and what the look-up of access keys raises."""
        _check_route(call)
        return self._callers.recognise(call.request, call.service, call.request_id)

    def _prepare(self, call: _Call, caller: Caller) -> Callable[[KeyService, Caller], Awaitable[object]]:
        """Do the rest of what can be refused without the service: parse. Raises ApiError."""
        request = call.request
        arns = arns_of(self._account_id, caller.region)
        if call.admin is not None:
            return read_admin(call.admin, request).action(arns, self._health)
        try:
            return _preparation_of(call)(request.body, arns)
        except KeyringError as error:  # a name that needs no look-up to know that it is nobody's
            raise to_api_error(error, Where(arns, call.operation)) from error

    async def _refuse(
        self, call: _Call, error: Exception, caller: Caller | None = None
    ) -> tuple[str, Response]:
        """Record a request that got no further, then answer; without the record the answer is a 500."""
        arns = Arns(self._account_id, "-")
        refused = to_api_error(error, Where(arns, call.operation))
        refusal = Refusal(
            call.operation,
            refused.code,
            refused.credential or claimed_access_key_id(call.request),
            call.request.peer,
            call.request_id,
        )
        if caller is not None:
            refusal = refusal._replace(principal=caller.principal, access_key_id=caller.access_key_id)
        try:
            await self._service.record_refusal(refusal)
        except Exception as audit_error:  # noqa: BLE001  # whatever it is, there is no record
            return self._failure(call, audit_error, arns)
        return self._failure(call, error, arns)

    def _success(self, call: _Call, document: Any) -> Response:
        if call.service == STS_SERVICE and document is not None:
            body = render_identity(document, call.request_id)
            return self._answers.response(200, STS_CONTENT_TYPE, body, call.request_id)
        if call.admin is not None:
            content_type = call.request.by_name.get("content-type", "")
            rendered = render_answer(document, call.admin.route, content_type)
            return self._answers.response(200, *rendered, call.request_id)
        if document is None:
            return self._answers.response(200, AMZ_JSON, b"", call.request_id)
        body = encode_document(document)
        for value in document.values():
            if type(value) is Secret:  # ours since the service returned it, and no longer needed
                value.zeroize()
        return self._answers.response(200, AMZ_JSON, body, call.request_id)

    def _failure(self, call: _Call, error: Exception, arns: Arns) -> tuple[str, Response]:
        where = Where(arns, call.operation)
        if call.service != STS_SERVICE:
            kind = JSON if call.is_admin else AMZ_JSON
            return self._answers.failure(error, where, call.request_id, kind)
        answer = to_api_error(error, where)
        if answer.status >= 500:
            log_failure(error, operation=call.operation, request_id=call.request_id, code=answer.code)
        status, body = render_error(answer, call.request_id)
        return answer.code, self._answers.response(status, STS_CONTENT_TYPE, body, call.request_id)

    def _probe(self, probe: Callable[[], tuple[int, bytes, bytes]]) -> Response:
        request_id = self._answers.new_request_id()
        try:
            status, kind, body = probe()
        except Exception as error:  # noqa: BLE001  # a broken probe is a failed probe
            log_failure(error, operation="-", request_id=request_id, code="KMSInternalException")
            status, kind, body = 500, JSON, encode_document({"error": "the probe failed"})
        return self._answers.response(status, kind, body, request_id)

    def _healthz(self) -> tuple[int, bytes, bytes]:
        return 200, JSON, encode_document({"healthy": True})

    def _readyz(self) -> tuple[int, bytes, bytes]:
        reasons = self._health.readiness()
        if reasons:
            return 503, JSON, encode_document({"ready": False, "reasons": reasons})
        return 200, JSON, encode_document({"ready": True})

    def own_metrics(self) -> str:
        """Return the metrics of this process alone, in the Prometheus text format."""
        return self.metrics.text() + self._health.metrics()

    def _metrics_text(self) -> tuple[int, bytes, bytes]:
        return 200, _TEXT, self._of_all_processes(self.own_metrics()).encode()


def _operation_of(request: Request) -> tuple[str, str]:
    """Name the operation that the request claims, if it is one that we know, and the service that has it."""
    if request.path.startswith(PREFIX):
        return "-", SERVICE
    target = request.by_name.get("x-amz-target", "")
    operation = target.removeprefix(_TARGET_PREFIX)
    if target != operation and (operation in OPERATIONS or operation in NOT_SERVED_YET):
        return operation, SERVICE
    return (sts_operation(request.body), STS_SERVICE) if is_form(request) else ("-", SERVICE)


def _preparation_of(call: _Call) -> Prepare:
    if call.service == STS_SERVICE:
        return prepare_sts
    prepare = OPERATIONS.get(call.operation)
    if prepare is None:
        raise _no_such_operation(call.operation)
    return prepare


def _check_route(call: _Call) -> None:
    request = call.request
    methods = _METHODS.get(request.path) or ADMIN_ROUTER.methods(request.path)
    if not methods:
        raise ApiError("UnknownOperationException", "There is nothing at this path.", status=404)
    if request.method not in methods:
        allow = ", ".join(methods)
        raise ApiError(
            "UnknownOperationException",
            f"This path takes {allow} only.",
            status=405,
            header=f"allow: {allow}",
        )


def _no_such_operation(operation: str) -> ApiError:
    if operation in NOT_SERVED_YET:
        return unsupported_error(f"The operation {operation} is not served yet.")
    return ApiError("UnknownOperationException", "X-Amz-Target names no operation of this service.")
