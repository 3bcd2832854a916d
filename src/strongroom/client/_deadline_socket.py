"""A socket whose every operation ends by one moment: a peer that sends a byte now and then wins no time by it."""

import io
import socket
import ssl
from typing import Any, Self

from strongroom.core import Deadline

_PIECE_BYTES = 64 * 1024


class DeadlineSocket:
    """What ``http.client`` needs of a socket. ``deadline`` is set anew before each request.

    A time-out of ``socket`` is one for each system call; here each call gets what is left of the whole.
    Operations raise TimeoutError when nothing is left.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self.deadline = deadline

    @classmethod
    def connected(cls, host: str, port: int, tls: ssl.SSLContext | None, deadline: Deadline) -> Self:
        """Connect, and shake hands where there is TLS. Raises OSError, TimeoutError too.

        Each address of the host gets an even share of the time that is left, so that one which does not answer keeps nobody
        from the next.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for at, (family, kind, protocol, _, address) in enumerate(found, 1):
            made = cls(socket.socket(family, kind, protocol), deadline)
            try:
                made._connect(address, share=len(found) - at + 1)
                made._shake_hands(tls, host)
            except BaseException as error:
                made.close()
                if at < len(found) and isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
                    continue
                raise
            return made
        raise OSError(f"{host} has no address")

    def _connect(self, address: Any, *, share: int) -> None:
        self.use_what_is_left(share=share)
        self._sock.connect(address)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _shake_hands(self, tls: ssl.SSLContext | None, host: str) -> None:
        self.use_what_is_left()
        if tls is not None:
            self._sock = tls.wrap_socket(self._sock, server_hostname=host)

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        for at in range(0, len(view), _PIECE_BYTES):
            self.use_what_is_left()
            self._sock.sendall(view[at : at + _PIECE_BYTES])

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a file that reads the answer; ``mode`` is ``rb``, which is all that is asked for."""
        if mode != "rb":
            raise ValueError("answers are read as bytes")
        return io.BufferedReader(_Reads(self, self._sock.makefile("rb", buffering=0)))

    def use_what_is_left(self, *, share: int = 1) -> None:
        """Give the next operation the time that is left, or an even share. Raises TimeoutError when that is none."""
        left_s = self.deadline.remaining_s()
        if left_s <= 0:
            raise TimeoutError("the time for this call is over")
        self._sock.settimeout(left_s / share)

    def close(self) -> None:
        """Close it; an answer that is being read can be read to its end."""
        self._sock.close()


class _Reads(io.RawIOBase):
    """The reading side."""

    def __init__(self, sock: DeadlineSocket, raw: io.RawIOBase) -> None:
        super().__init__()
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]  # any writable buffer
        self._sock.use_what_is_left()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
