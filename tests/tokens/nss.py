"""A token of NSS softokn, with a key database of its own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from strongroom.hsm.token import Profile
from tokens.started import StartedToken

_CANDIDATES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
LABEL, PIN = "NSS Certificate DB", b"nss-pin-1"


def new_nss(folder: Path, profile: Profile) -> StartedToken:
    """Make a key database below ``folder``. Skips the test where NSS or its certutil is missing."""
    found = [path for name in _CANDIDATES if (path := Path(name, "libsoftokn3.so")).is_file()]
    if not found or shutil.which("certutil") is None:
        pytest.skip("NSS softokn is missing: install the packages libnss3 and libnss3-tools")
    database = folder / "nssdb"
    database.mkdir(parents=True)
    (folder / "pin").write_bytes(PIN + b"\n")
    command = ["certutil", "-N", "-d", f"sql:{database}", "-f", str(folder / "pin")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return StartedToken(
        kind="nss",
        module=found[0],
        profile=profile,
        label=LABEL,
        user_pin=PIN,
        so_pin=None,
        environment={},
        library_parameters=f"configdir='sql:{database}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=",
    )
