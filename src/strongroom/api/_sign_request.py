"""AWS Signature Version 4: the signer of our own clients."""

import hashlib
from collections.abc import Mapping

from strongroom.api._canonical import (
    ALGORITHM,
    Scope,
    amz_date_of,
    canonical_request,
    signature,
    signing_key,
    string_to_sign,
)
from strongroom.core import Clock, Secret


def sign_request(
    *,
    method: str,
    path: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    access_key_id: str,
    secret_access_key: Secret,
    region: str,
    clock: Clock,
    query: str = "",
    service: str = "kms",
) -> dict[str, str]:
    """Sign a request of our own clients; returns all headers to send, those given included.

    ``host`` is what the HTTP client will send as Host, with the port when it is not the scheme's own.
    """
    amz_date = amz_date_of(clock.now())
    scope = Scope(amz_date[:8], region, service)
    sent = {**headers, "Host": host, "X-Amz-Date": amz_date}
    lowered = [(name.lower(), value) for name, value in sent.items()]
    names = sorted(name for name, _ in lowered)
    canonical = canonical_request(
        method=method,
        path=path,
        query=query,
        headers=lowered,
        signed_headers=names,
        payload_hash=hashlib.sha256(body).hexdigest(),
    )
    made = signature(signing_key(secret_access_key, scope), string_to_sign(amz_date, scope, canonical))
    credential = f"Credential={access_key_id}/{scope.text()}"
    sent["Authorization"] = f"{ALGORITHM} {credential}, SignedHeaders={';'.join(names)}, Signature={made}"
    return sent
