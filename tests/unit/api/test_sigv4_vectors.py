"""The AWS test suite of Signature Version 4: what we sign is what AWS signs."""

import json
import re
from pathlib import Path

import pytest

from strongroom.api._canonical import (
    Scope,
    canonical_request,
    signature,
    signing_key,
    string_to_sign,
)
from strongroom.core import Secret

VECTORS = Path(__file__).parents[2] / "vectors" / "sigv4"
CASES = sorted(path.name for path in VECTORS.iterdir() if path.is_dir())


def _read(case, name):
    return (VECTORS / case / name).read_bytes().decode("latin-1")


def _parse(text):
    head = text.partition("\n\n")[0]
    line, *lines = re.sub(r"\n[ \t]+", " ", head).rstrip("\n").split("\n")
    method, target = re.fullmatch(r"(\w+) (.*) HTTP/1.1", line).groups()
    path, _, query = target.partition("?")
    headers = [tuple(item.split(":", 1)) for item in lines]
    return method, path, query, [(name.lower(), value) for name, value in headers]


def test_all_38_cases_are_here():
    assert len(CASES) == 38


@pytest.mark.parametrize("case", CASES)
def test_canonical_request_string_to_sign_and_signature_are_those_of_aws(case):
    context = json.loads(_read(case, "context.json"))
    method, path, query, headers = _parse(_read(case, "request.txt"))
    amz_date = "20150830T123600Z"
    token = context["credentials"].get("token")
    headers.append(("x-amz-date", amz_date))
    if token and not context.get("omit_session_token"):
        headers.append(("x-amz-security-token", token))
    expected = _read(case, "header-canonical-request.txt").rstrip("\n")
    payload_hash = expected.rsplit("\n", 1)[1]
    if context["sign_body"]:
        headers.append(("x-amz-content-sha256", payload_hash))
    canonical = canonical_request(
        method=method, path=path, query=query, headers=headers, payload_hash=payload_hash,
        signed_headers=sorted({name for name, _ in headers}), normalize=context["normalize"],
    )  # fmt: skip
    assert canonical == expected

    scope = Scope("20150830", context["region"], context["service"])
    to_sign = string_to_sign(amz_date, scope, canonical)
    assert to_sign.decode() == _read(case, "header-string-to-sign.txt").rstrip("\n")

    secret = Secret(context["credentials"]["secret_access_key"].encode())
    assert signature(signing_key(secret, scope), to_sign) == _read(case, "header-signature.txt").strip()
