"""AWS Signature Version 4: the verifier of the server.

Only header signing, services ``kms`` and ``sts``. Presigned URLs, unsigned payloads, chunked signing, SigV4a and session
tokens are refused. Every failure is an ApiError with the code that AWS gives it. There is no replay guard in
SigV4 but the five-minute window.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from strongroom.api._canonical import (
    ALGORITHM,
    Scope,
    amz_date_of,
    canonical_request,
    signature,
    signing_key,
    string_to_sign,
)
from strongroom.api._errors import ApiError
from strongroom.api._http import Request
from strongroom.api._known_signers import (
    SIGNATURE_CHARS,
    Authorization,
    KnownSigners,
    Verified,
    has_signed,
    has_signed_plain,
)
from strongroom.api._plain_request import PlainReader, PlainRequest
from strongroom.api._signing_keys import SigningKeys
from strongroom.core import Clock, Secret, random_bytes
from strongroom.service import Credential

SERVICE = "kms"
MAX_SKEW_S = 300
_CREDENTIAL = re.compile(r"([A-Za-z0-9_]{1,128})/([0-9]{8})/([a-z0-9-]{1,32})/([a-z0-9-]{1,32})/aws4_request")
_CLAIM = re.compile(r"Credential=([A-Za-z0-9_]{1,128})/")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")
_AMZ_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_PARTS = ("Credential", "SignedHeaders", "Signature")


class SignatureVerifier:
    """Verifies requests against the access keys that ``find_credential`` knows. For one event loop's thread."""

    def __init__(self, find_credential: Callable[[str], Credential | None], clock: Clock) -> None:
        self._find_credential = find_credential
        self._clock = clock
        self._keys = SigningKeys()
        self._signers = KnownSigners()
        self._plain = PlainReader()
        self._dates: tuple[str, float] = ("", 0.0)  # the newest x-amz-date and what it means
        # Stand in for a secret and a signing key that do not exist, so that refusing costs the same work.
        self._no_secret = Secret(random_bytes(40))
        self._no_key = Secret(random_bytes(32))

    def verify(self, request: Request, service: str = SERVICE) -> Verified:
        """Return who signed this request for a service. Raises ApiError, or what ``find_credential`` raises."""
        if service != SERVICE:  # rare, and what is signed for one service must not pass for another
            return self._verify_any(request, service)
        return self.verify_known(request) or self._verify_any(request, service)

    def verify_known(self, request: Request) -> Verified | None:
        """Verify a request to KMS that is signed as one before it was; None when ``verify`` has to look.

        Raises what ``find_credential`` raises.
        """
        headers = request.by_name
        authorization = headers.get("authorization")
        if authorization is None or len(headers) != len(request.headers):
            return None
        signer = self._signers.find(authorization[:-SIGNATURE_CHARS])
        if signer is None:
            return None
        credential = signer.credential
        if self._find_credential(credential.access_key_id) is not credential:
            self._signers.forget(authorization[:-SIGNATURE_CHARS])
            return None
        if not self._is_timely(headers.get("x-amz-date", ""), signer.scope_date, self._clock.now()):
            return None
        if "x-amz-security-token" in headers:
            return None
        return signer.verified if has_signed(signer, request, authorization[-SIGNATURE_CHARS:]) else None

    def read_plain(self, data: bytes) -> PlainRequest | None:
        """Read what may be a plain request (``PlainReader.read``)."""
        return self._plain.read(data)

    def verify_plain(self, plain: PlainRequest, now: float) -> Verified | None:
        """Verify a plain request, at a time, if it is signed as one before it was; None when ``verify`` has to look.

        Raises what ``find_credential`` raises.
        """
        shape, values = plain.shape, plain.values
        authorization = values[shape.authorization]
        signer = self._signers.find(authorization[:-SIGNATURE_CHARS])
        if signer is None or self._find_credential(signer.credential.access_key_id) is not signer.credential:
            return None
        if not self._is_timely(values[shape.date], signer.scope_date, now):
            return None
        signature_text = authorization[-SIGNATURE_CHARS:]
        layout = signer.layouts.get(shape)
        if layout is not None:
            return signer.verified if has_signed_plain(signer, layout, plain, signature_text) else None
        layout = signer.layout_for(shape)
        if layout is None or not has_signed_plain(signer, layout, plain, signature_text):
            return None
        self._plain.keep(shape)
        signer.keep(shape, layout)
        return signer.verified

    def _is_timely(self, amz_date: str, scope_date: str, now: float) -> bool:
        if self._dates[0] != amz_date:
            try:
                self._dates = (amz_date, _parse_amz_date(amz_date))
            except ValueError:
                return False
        return amz_date[:8] == scope_date and abs(self._dates[1] - now) <= MAX_SKEW_S

    def _verify_any(self, request: Request, service: str) -> Verified:
        headers = _single_headers(request)
        authorization = parse_authorization(headers, service)
        amz_date = self._check_date(headers, authorization.scope)
        payload_hash = _check_payload(request, headers)
        _check_signed_headers(request, authorization)
        canonical = canonical_request(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            signed_headers=authorization.signed_headers,
            payload_hash=payload_hash,
        )
        credential = self._find_credential(authorization.access_key_id)
        self._check_signature(
            authorization, credential, string_to_sign(amz_date, authorization.scope, canonical)
        )
        if credential is None or "x-amz-security-token" in headers:
            raise ApiError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        key = self._keys.find(credential.access_key_id, credential.secret_access_key, authorization.scope)
        if key is not None and service == SERVICE:
            self._signers.learn(authorization, headers["authorization"], credential, key=key)
        return Verified(credential.principal, credential.access_key_id, authorization.scope.region)

    def _check_date(self, headers: Mapping[str, str], scope: Scope) -> str:
        amz_date = headers.get("x-amz-date", "")
        try:
            signed_at = _parse_amz_date(amz_date)
        except ValueError:
            raise _incomplete(
                "Authorization header requires an 'X-Amz-Date' like 20260131T235959Z."
            ) from None
        if scope.date != amz_date[:8]:
            raise _invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{scope.date}' != '{amz_date[:8]}', from '{amz_date}'."
            )
        now = self._clock.now()
        if signed_at < now - MAX_SKEW_S:
            raise _invalid(f"Signature expired: {amz_date} is now earlier than {_window(now, -1)}")
        if signed_at > now + MAX_SKEW_S:
            raise _invalid(f"Signature not yet current: {amz_date} is still later than {_window(now, 1)}")
        return amz_date

    def _check_signature(
        self, authorization: Authorization, credential: Credential | None, to_sign: bytes
    ) -> None:
        """Compare with the kept signing key, then with one derived afresh.

        Every refusal does the same work, whether the access key is known, unknown or not kept: one HMAC
        with a kept (or stand-in) key, a derivation, another HMAC. Only what verified is kept, so strangers
        cannot fill the cache.
        """
        access_key_id, scope = authorization.access_key_id, authorization.scope
        secret = self._no_secret if credential is None else credential.secret_access_key
        kept = self._keys.find(access_key_id, secret, scope)
        key = self._no_key if kept is None else kept
        if not hmac.compare_digest(signature(key, to_sign), authorization.signature):
            key = signing_key(secret, scope)
            matches = hmac.compare_digest(signature(key, to_sign), authorization.signature)
            if not matches and credential is not None:
                raise _mismatch()
        if credential is None:
            self._keys.forget(access_key_id)
        elif kept is not key:
            self._keys.keep(access_key_id, secret, scope, key)


def parse_authorization(headers: Mapping[str, str], service: str) -> Authorization:
    """Take the header apart. Raises ApiError for one that is absent or incomplete."""
    value = headers.get("authorization")
    if value is None:
        raise ApiError("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = value.partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Authorization header requires the algorithm {ALGORITHM}.")
    parts: dict[str, str] = {}
    for item in rest.split(","):
        name, equals, text = item.strip(" \t").partition("=")
        if not equals or name not in _PARTS or name in parts:
            raise _incomplete(
                "Authorization header requires Credential, SignedHeaders and Signature, once each."
            )
        parts[name] = text
    missing = [f"Authorization header requires '{name}' parameter." for name in _PARTS if name not in parts]
    if missing:
        raise _incomplete(" ".join(missing))
    found = _authorization(**parts)
    if found.scope.service != service:
        raise _invalid(f"Credential should be scoped to correct service: '{service}'.")
    return found


def claimed_access_key_id(request: Request) -> str:
    """Return what a request calls its caller, for the record of its refusal; ``-`` if nothing.

    The access key id that it claims, unverified, or else the identity of its client certificate.
    """
    value = next((value for name, value in request.headers if name == "authorization"), "")
    claim = _CLAIM.search(value)
    return claim[1] if claim else request.identity or "-"


def _authorization(*, Credential: str, SignedHeaders: str, Signature: str) -> Authorization:  # noqa: N803  # AWS's names
    credential = _CREDENTIAL.fullmatch(Credential)
    if credential is None:
        raise _incomplete("Credential must be keyid/yyyymmdd/region/service/aws4_request.")
    access_key_id, date, region, service = credential.groups()
    names = SignedHeaders.split(";")
    if names != sorted(set(names)) or not all(map(_HEADER_NAME.fullmatch, names)):
        raise _incomplete("SignedHeaders must be lower-case header names, sorted, each once.")
    if not _SIGNATURE.fullmatch(Signature):
        raise _mismatch()
    return Authorization(access_key_id, Scope(date, region, service), tuple(names), Signature)


def _single_headers(request: Request) -> dict[str, str]:
    """Index the headers, and refuse doubles of those whose value we use."""
    found: dict[str, str] = {}
    for name, value in request.headers:
        if name in found and (name in {"authorization", "host"} or name.startswith("x-amz-")):
            raise _incomplete(f"The header {name} may be sent once only.")
        found[name] = value
    return found


def _check_signed_headers(request: Request, authorization: Authorization) -> None:
    signed = set(authorization.signed_headers)
    present = {name for name, _ in request.headers}
    for name in ("host", "x-amz-date"):
        if name not in signed:
            raise _invalid(f"'{name}' must be a signed header.")
    unsigned = sorted(name for name in present - signed if name.startswith("x-amz-"))
    if unsigned:
        raise _invalid(f"There were headers present in the request which were not signed: {unsigned[0][:64]}")
    if not signed <= present:
        raise _invalid(f"'{min(signed - present)}' must exist as header since it is signed.")


def _check_payload(request: Request, headers: Mapping[str, str]) -> str:
    actual = hashlib.sha256(request.body).hexdigest()
    if headers.get("x-amz-content-sha256", actual) != actual:
        raise _invalid("The provided 'x-amz-content-sha256' header does not match what was computed.")
    return actual


def _parse_amz_date(text: str) -> float:
    if not _AMZ_DATE.fullmatch(text):
        raise ValueError(text)
    date = (int(text[0:4]), int(text[4:6]), int(text[6:8]))
    return datetime(*date, int(text[9:11]), int(text[11:13]), int(text[13:15]), tzinfo=UTC).timestamp()


def _window(now: float, side: int) -> str:
    """Write one end of the window of time as AWS does: the limit, and how it was reckoned."""
    limit, sign = amz_date_of(now + side * MAX_SKEW_S), "-" if side < 0 else "+"
    return f"{limit} ({amz_date_of(now)} {sign} {MAX_SKEW_S // 60} min.)"


def _incomplete(message: str) -> ApiError:
    return ApiError("IncompleteSignatureException", message)


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidSignatureException", message)


def _mismatch() -> ApiError:
    return _invalid(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
        "Access Key and signing method. Consult the service documentation for details."
    )
