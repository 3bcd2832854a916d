"""What the environment tells an AWS client, and so the online commands too: endpoint, access key, CA file."""

import os
from pathlib import Path
from typing import NamedTuple

from strongroom.core import Secret

_DEFAULT_REGION = "us-east-1"


class ClientEnvironment(NamedTuple):
    """The variables that AWS clients read, as far as the online commands read them too."""

    endpoint_url: str | None
    """AWS_ENDPOINT_URL."""
    access_key_id: str | None
    """AWS_ACCESS_KEY_ID, if the secret is set with it."""
    secret_access_key: Secret | None
    """AWS_SECRET_ACCESS_KEY."""
    ca_bundle: Path | None
    """AWS_CA_BUNDLE: PEM file of the CAs to trust."""
    region: str
    """AWS_DEFAULT_REGION, else us-east-1; ARNs show it."""
    has_session_token: bool
    """AWS_SESSION_TOKEN is set: AWS clients send it, and a Strongroom refuses whoever sends one."""


def client_environment() -> ClientEnvironment:
    """Read the variables. An empty one counts as absent, and half an access key as none."""
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    has_key = bool(key_id and secret)
    ca_bundle = os.environ.get("AWS_CA_BUNDLE")
    return ClientEnvironment(
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None,
        access_key_id=key_id if has_key else None,
        secret_access_key=Secret.from_text(secret) if has_key and secret else None,
        ca_bundle=Path(ca_bundle) if ca_bundle else None,
        region=os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION,
        has_session_token=bool(os.environ.get("AWS_SESSION_TOKEN")),
    )
