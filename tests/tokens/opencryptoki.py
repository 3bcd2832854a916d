"""opencryptoki's soft token, with a daemon and a store that nobody else on the machine sees.

Everything of opencryptoki is one for the whole machine: the slot daemon, its shared memory, its locks and its store. So
the daemon runs in a mount, an IPC and a process namespace of its own, with empty folders over the system's (over all of
/run, where its socket is), and whoever uses the token is brought into the same namespaces by ``nsenter``. When the
process that holds them ends, the kernel ends all that runs inside.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.hsm.token import Profile
from tokens.started import StartedToken

_CANDIDATES = (
    "/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so.0",
    "/usr/lib/aarch64-linux-gnu/opencryptoki/libopencryptoki.so.0",
    "/usr/lib64/opencryptoki/libopencryptoki.so",
)
_NAMESPACES = ("--mount", "--ipc", "--pid", "--fork", "--mount-proc")
_INSTALLED_SO_PIN = "87654321"
SO_PIN, USER_PIN = "so-pin-1", "usr-pin1"
_START = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/opencryptoki
for folder in /var/lock /var/lib/opencryptoki /var/log/opencryptoki /dev/shm; do
    [ -L "$folder" ] || { mkdir -p "$folder" && mount -t tmpfs tmpfs "$folder"; }
done
mkdir -p /var/lock/opencryptoki
for slot in $2; do mkdir -p "/var/lib/opencryptoki/sw$slot/TOK_OBJ" "/var/lock/opencryptoki/sw$slot"; done
chgrp -R pkcs11 /var/lib/opencryptoki /var/lock/opencryptoki
chmod -R g+rwX /var/lib/opencryptoki /var/lock/opencryptoki
mount --bind "$1" /etc/opencryptoki/opencryptoki.conf
pkcsslotd
for slot in $2; do
    echo "ock-$slot" | pkcsconf -I -c "$slot" -S "$3"
    pkcsconf -P -c "$slot" -S "$3" -n 12345678
    pkcsconf -P -c "$slot" -S 12345678 -n "$4"
    pkcsconf -u -c "$slot" -S "$4" -n 123456
    pkcsconf -p -c "$slot" -U 123456 -n "$5"
done >&2
echo ready
exec cat
"""
_SLOT = "slot {0}\n{{\nstdll = libpkcs11_sw.so\ntokname = sw{0}\n}}\n"


def _module() -> Path:
    found = [Path(path) for path in _CANDIDATES if Path(path).is_file()]
    if not found or shutil.which("pkcsslotd", path=_path()) is None:
        pytest.skip("opencryptoki is missing: install the package opencryptoki")
    if os.geteuid() != 0:
        pytest.skip(
            "opencryptoki's store is one for the machine: only root can give it namespaces of its own"
        )
    allowed = subprocess.run(["unshare", *_NAMESPACES, "true"], capture_output=True, timeout=60, check=False)
    if allowed.returncode != 0:
        pytest.skip(f"opencryptoki needs namespaces of its own: {allowed.stderr.decode().strip()}")
    return found[0]


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


@contextmanager
def opencryptoki_tokens(folder: Path, profile: Profile, *, n_tokens: int = 1) -> Iterator[list[StartedToken]]:
    """Start a slot daemon and initialise soft tokens ``ock-0``, ``ock-1`` … Skips the test where that cannot be done."""
    module = _module()
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "opencryptoki.conf"
    conf.write_text("version opencryptoki-3.1\n" + "".join(map(_SLOT.format, range(n_tokens))))
    slots = " ".join(map(str, range(n_tokens)))
    script = ["sh", "-c", _START, "sh", str(conf), slots, _INSTALLED_SO_PIN, SO_PIN, USER_PIN]
    with (folder / "opencryptoki.log").open("w+b") as log:
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "--kill-child", *script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={"PATH": _path()},
        )
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != b"ready\n":
                log.seek(0)
                raise AssertionError(f"opencryptoki did not start: {log.read().decode(errors='replace')}")
            prefix = ("nsenter", "--target", _child(holder.pid), "--mount", "--ipc", "--pid", "--")
            yield [
                StartedToken(
                    "opencryptoki",
                    module,
                    profile,
                    f"ock-{slot}",
                    USER_PIN.encode(),
                    SO_PIN.encode(),
                    {},
                    None,
                    prefix,
                )
                for slot in range(n_tokens)
            ]
        finally:
            holder.kill()
            holder.wait(60)
            for pipe in (holder.stdin, holder.stdout):
                assert pipe is not None
                pipe.close()


def _child(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
