"""A whole service on each kind of token: Envelope keys by the wrap algorithm that the token does best."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tokens.capabilities import CANNOT, KINDS

TESTS = Path(__file__).parents[1]
BEST = {
    "softhsm": "HSM_AES_GCM",
    "shim": "HSM_AES_GCM",
    "nss": "HSM_AES_GCM",
    "opencryptoki": "HSM_AES_CBC_HMAC",
    "p11-kit": "HSM_RSA_OAEP",
}
PASSED_ON = ("TMPDIR", "LD_LIBRARY_PATH", "STRONGROOM_SOFTHSM_MODULE")


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_service_on_such_a_token_serves_envelope_keys(kind, request, tmp_path):
    assert "envelope" not in CANNOT[kind]
    started = request.getfixturevalue(f"{kind.replace('-', '')}_token")
    member = {
        "name": "alpha",
        "profile": started.profile.name,
        "pin": {"file": "pins/alpha"},
        "module": str(started.module),
        "token_label": started.label,
        "environment": started.environment,
        "library_parameters": started.library_parameters,
    }
    asked = {"folder": str(tmp_path), "member": member, "pin": started.user_pin.decode()}
    python_path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(TESTS)])
    environment = {name: value for name, value in os.environ.items() if name in PASSED_ON}
    ended = subprocess.run(
        [*started.prefix, sys.executable, "-m", "tokens.envelope_cluster"],
        input=json.dumps(asked).encode(),
        env={**environment, "PATH": os.environ["PATH"], "PYTHONPATH": python_path},
        capture_output=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]
    assert json.loads(ended.stdout) == {
        "algorithm": BEST[kind],
        "opened": True,
        "data_key": True,
        "refusal": "InvalidCiphertextException",
    }
