"""``Caller``: who calls, in a file of its own, so that the protocols of verbs by topic and ``KeyService`` both know it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Caller(NamedTuple):
    """An authenticated caller and the request that it makes."""

    principal: str
    """Name of the principal, such as ``user/developer``."""
    access_key_id: str
    source_address: str
    region: str
    """From the credential scope of the signature; ARNs are rendered with it."""
    request_id: str
    grant_tokens: tuple[str, ...] = ()
    """What the request shows of grants; each must name one (``service._grant_tokens``)."""
    credential_detail: Mapping[str, str] = MappingProxyType({})
    """What the audit log says of the credential besides ``access_key_id``, such as the subject of a bearer token."""
