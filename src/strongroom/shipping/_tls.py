"""TLS to a sink: whom we trust, by which certificate it knows us, and an end to calls that hang."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from strongroom.shipping._errors import SinkError


class TlsFiles(NamedTuple):
    """PEM files, read anew for each connection, so that certificates may be renewed at any time."""

    ca: Path | None
    """None: those that the system trusts."""
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Make a client context: TLS 1.2 or later, the peer's certificate and name are checked. Raises SinkError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca is None:
            context.load_default_certs()
        else:
            with _named(self.ca):
                context.load_verify_locations(self.ca)
        if self.certificate is not None:
            with _named(self.certificate, self.key):
                context.load_cert_chain(self.certificate, self.key, password="")  # else it asks at a terminal
        return context


@contextlib.contextmanager
def _named(*paths: Path | None) -> Iterator[None]:
    """Have an error name the files: that of OpenSSL does not."""
    try:
        yield
    except OSError as error:
        names = " or ".join(str(path) for path in paths if path is not None)
        raise SinkError(f"cannot use {names}: {error.strerror or error}") from error


def end_calls(connection: socket.socket) -> None:
    """Have calls on a connection end that hang in another thread. It is not closed: its number could be used again too soon."""
    with contextlib.suppress(OSError):
        # Not the method of SSLSocket, which would first forget its TLS: another thread might go on in clear.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
