"""A real HTTPS server that keeps what is POSTed to it and answers as a test says, or hangs."""

import contextlib
import http.server
import json
import ssl
import threading


class Receiver(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, folder, *, wants_certificate=False):
        """``folder`` has server.pem (certificate and key) and ca.pem."""
        super().__init__(("127.0.0.1", 0), _Taking)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        if wants_certificate:
            context.load_verify_locations(folder / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.answers = []
        """(status, headers, body) of the next answers; then it is 200 without a body."""
        self.documents, self.headers, self.paths = [], [], []
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self):
        return f"https://localhost:{self.server_port}/in?x=1"

    def handle_error(self, request, client_address):
        """A client that does not trust us, or goes away, is no news here."""


class _Taking(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.asked += 1
        server.may_answer.wait(60)
        status, headers, answer = server.answers.pop(0) if server.answers else (200, {}, b"")
        if status == 200:
            server.documents.append(json.loads(body))
            server.headers.append(dict(self.headers))
            server.paths.append(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(answer)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def receiving(folder, **options):
    with Receiver(folder, **options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join(60)
