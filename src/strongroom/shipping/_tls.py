"""TLS to a sink: whom we trust, by which certificate it knows us, and an end to calls that hang."""

import contextlib
import socket
import ssl
from pathlib import Path
from typing import NamedTuple


class TlsFiles(NamedTuple):
    """PEM files, read anew for each connection, so that certificates may be renewed at any time."""

    ca: Path | None
    """None: those that the system trusts."""
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Make a client context: TLS 1.2 or later, the peer's certificate and name are checked. Raises OSError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Python has OpenSSL take any end of a connection for a close_notify.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if self.ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key, password="")  # else it asks at a terminal
        return context


def end_calls(connection: socket.socket) -> None:
    """Have calls on a connection end that hang in another thread. It is not closed: its number could be used again too soon."""
    with contextlib.suppress(OSError):
        # Not the method of SSLSocket, which would first forget its TLS: another thread might go on in clear.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
