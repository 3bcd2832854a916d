"""A real rsyslog that takes syslog over mutual TLS and writes what it gets to a file, to be stopped, killed and started again."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

CONFIG = """
global(
  workDirectory="{folder}"
  DefaultNetstreamDriver="{driver}"
  DefaultNetstreamDriverCAFile="{folder}/ca.pem"
  DefaultNetstreamDriverCertFile="{folder}/server.pem"
  DefaultNetstreamDriverKeyFile="{folder}/server.pem"
  maxMessageSize="64k"
)
module(load="imtcp" StreamDriver.Name="{driver}" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/name"
  PermittedPeer=["strongroom"])
template(name="whole" type="string" string="%rawmsg%\\n")
# Direct: a message is in the file before the next one is read, so that the end of a connection says what was written.
ruleset(name="received" queue.type="Direct") {{
  action(type="omfile" file="{folder}/received" template="whole" asyncWriting="off" flushOnTXEnd="on" queue.type="Direct")
}}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="received")
"""


def missing(driver: str = "ossl") -> str:
    """Say what a machine lacks for it; empty when nothing is."""
    daemon = shutil.which("rsyslogd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    if daemon is None:
        return "rsyslogd (package rsyslog)"
    found = [
        folder for folder in Path("/usr/lib").glob("**/rsyslog") if (folder / f"lmnsd_{driver}.so").exists()
    ]
    package = {"ossl": "rsyslog-openssl", "gtls": "rsyslog-gnutls"}[driver]
    return "" if found else f"the driver {driver} of rsyslog (package {package})"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Rsyslog:
    """``folder`` has ca.pem and server.pem (certificate and key)."""

    def __init__(self, folder: Path, driver: str = "ossl") -> None:
        self.folder, self.port = folder, free_port()
        (folder / "rsyslog.conf").write_text(CONFIG.format(folder=folder, port=self.port, driver=driver))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        daemon = shutil.which("rsyslogd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
        assert daemon is not None, missing()
        command = [daemon, "-n", "-f", str(self.folder / "rsyslog.conf"), "-iNONE", "-C"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "rsyslog does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        """Have it end in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def received(self) -> list[bytes]:
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "received").read_bytes().splitlines()
        return []

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)
