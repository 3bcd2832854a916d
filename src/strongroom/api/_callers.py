"""Who calls: by a signature, a bearer token of the configured issuer, or the certificate of the TLS connection.

An ``Authorization`` header goes before a certificate: whoever sends one wants to be known by it. Bearer tokens are for the admin API
alone, since whoever sees one can use it until it expires; a signature is good for one request.
"""

from strongroom.api._admin import JSON, MSGPACK, PREFIX
from strongroom.api._bearer import BearerTokens
from strongroom.api._errors import validation_error
from strongroom.api._http import Request
from strongroom.api._identities import ClientIdentities
from strongroom.api._sigv4 import SignatureVerifier
from strongroom.service import Caller

_READING = frozenset({"GET", "HEAD"})


class Callers:
    """Recognises callers. For one event loop."""

    def __init__(
        self,
        verifier: SignatureVerifier,
        identities: ClientIdentities | None,
        tokens: BearerTokens | None,
    ) -> None:
        self._verifier = verifier
        self._identities = identities
        self._tokens = tokens

    def recognise(self, request: Request, service: str, request_id: str) -> Caller:
        """Return who sent a request, which is for an AWS service. Raises ApiError and what the look-up of access keys raises."""
        is_admin = request.path.startswith(PREFIX)
        if "authorization" in request.by_name:
            if is_admin and self._tokens is not None and self._tokens.shown(request):
                bearer = self._tokens.verify(request)
                return Caller(
                    bearer.principal,
                    bearer.identity,
                    request.peer,
                    bearer.region,
                    request_id,
                    credential_detail=bearer.credential_detail,
                )
        elif self._identities is not None:
            principal = self._identities.principal(request.identity)
            if principal is not None:
                if is_admin:
                    _check_no_form(request)
                return Caller(principal, request.identity, request.peer, self._identities.region, request_id)
        verified = self._verifier.verify(request, service)
        return Caller(verified.principal, verified.access_key_id, request.peer, verified.region, request_id)


def _check_no_form(request: Request) -> None:
    """Refuse what a page of another site can have a browser send, which shows the user's certificate by itself.

    It cannot send these content types without asking first, and that question (an OPTIONS request) is refused.
    """
    kind = request.by_name.get("content-type", "").partition(";")[0].strip().lower()
    if request.method not in _READING and kind not in {JSON, MSGPACK}:
        raise validation_error(f"Without a signature or a token, Content-Type must be {JSON} or {MSGPACK}.")
