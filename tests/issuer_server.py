"""An HTTPS server on a loopback port that serves an issuer's key set, or whatever a test has it answer."""

import contextlib
import http.server
import ssl
import threading


class KeyServer(http.server.ThreadingHTTPServer):
    """Serves what ``answer`` says: (status, headers, body)."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, folder):
        """``folder`` has server.pem and server.key."""
        super().__init__(("127.0.0.1", 0), _Answering)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.answer = (200, {}, b"{}")
        self.asked = 0

    def handle_error(self, request, client_address):
        """A client that does not trust us, or goes away, is no news here."""


class _Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving_keys(folder):
    with KeyServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(60)
