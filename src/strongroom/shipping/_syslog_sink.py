"""Syslog over TLS (RFC 5425): octet counting, both sides known by certificates.

Syslog has no answer by which a receiver says what it has. But TLS has a last word: who got our close_notify has read all that
stands before it. So a connection serves for a while, then it is closed in order, and its messages count as accepted when
the receiver's own close_notify comes (RFC 5425, section 4.4, has it send one) and the connection ends without a reset. One that
ends otherwise counts for nothing: its messages are sent again.
"""

import contextlib
import fcntl
import os
import socket
import ssl
import sys
import termios
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.audit import Entry
from strongroom.core import Clock, Deadline
from strongroom.shipping._errors import SinkError
from strongroom.shipping._rfc5424 import SyslogStyle, framed, syslog_message
from strongroom.shipping._sink import HOLD_ENTRIES
from strongroom.shipping._tls import TlsFiles, end_calls

_LOOK_AGAIN_S: Final = 0.01


class SyslogReceiver(NamedTuple):
    """Where messages go."""

    host: str
    port: int
    server_name: str
    """In its certificate."""
    files: TlsFiles
    timeout_s: float
    """For each step: to connect, to send, to get the last word."""
    needs_close_notify: bool = True
    """False: an orderly end of the connection (FIN) is word enough. A receiver that dies may leave one too."""


class SyslogSink:
    """One connection at a time."""

    hold_entries = HOLD_ENTRIES

    def __init__(self, receiver: SyslogReceiver, style: SyslogStyle, *, hold_s: float, clock: Clock) -> None:
        self._receiver, self._style = receiver, style
        self._clock = clock
        self.hold_s = hold_s
        self._connection: ssl.SSLSocket | None = None

    def send(self, entries: Sequence[Entry]) -> None:
        """Send a message for each entry. Raises SinkError and OSError."""
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect()
        try:
            connection.sendall(b"".join(framed(syslog_message(entry, self._style)) for entry in entries))
        except BaseException:
            self._forget()
            raise

    def confirm(self) -> None:
        """Close the connection and wait for the receiver's last word. Raises SinkError and OSError."""
        connection = self._connection
        if connection is None:
            raise SinkError("the connection was given up before the receiver had confirmed anything")
        try:
            self._last_word(connection)
        finally:
            self._forget()

    def abort(self) -> None:
        """Give the connection up; what hangs in it ends."""
        if (connection := self._connection) is not None:
            end_calls(connection)

    def _connect(self) -> ssl.SSLSocket:
        receiver = self._receiver
        context = receiver.files.context()
        context.options &= (
            ~ssl.OP_IGNORE_UNEXPECTED_EOF
        )  # Python has it set: any end would count as a close_notify
        plain = socket.create_connection((receiver.host, receiver.port), timeout=receiver.timeout_s)
        try:
            return context.wrap_socket(plain, server_hostname=receiver.server_name)
        except BaseException:
            plain.close()
            raise

    def _last_word(self, connection: ssl.SSLSocket) -> None:
        try:
            connection.unwrap()  # close_notify out, and the receiver's in (RFC 8446, section 6.1)
        except OSError as error:  # ssl.SSLError is one
            if not _is_bare_end(error):
                raise
            if self._receiver.needs_close_notify:
                raise SinkError(
                    "the receiver ended the connection without a close_notify, so it is not known what it has",
                    next_step='if it never sends one, as rsyslog with its gtls driver: set confirm = "end"',
                ) from error
        self._check_end(connection)

    def _check_end(self, connection: ssl.SSLSocket) -> None:
        """Check that whoever ended the connection had taken everything: a receiver that refuses us ends it too, in order.

        Linux, and RFC 1122 (section 4.2.2.13), have a socket that is closed with bytes unread in it answer with a reset, and what
        comes later too.
        """
        socket.socket.shutdown(connection, socket.SHUT_WR)
        if socket.socket.recv(connection, 1):
            raise SinkError("the receiver goes on after its close_notify")
        deadline = Deadline.after(self._clock, self._receiver.timeout_s)
        while _unacknowledged_bytes(connection):
            if deadline.has_passed():
                raise SinkError("the receiver ended the connection without having taken all of it")
            time.sleep(_LOOK_AGAIN_S)
        if (code := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) != 0:
            raise SinkError(f"the receiver ended the connection: {os.strerror(code)}")

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


def _is_bare_end(error: OSError) -> bool:
    """Whether an error says that the connection ended in order, but without a close_notify."""
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"
    return error.errno == 0  # of OpenSSL before 3


def _unacknowledged_bytes(connection: socket.socket) -> int:
    """Bytes that the other side's kernel has not acknowledged (SIOCOUTQ, tcp(7))."""
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
