"""A small HTTP server for load and for preparing it: it works, keeps what it was sent, and refuses on demand."""

import base64
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from strongroom.bench import Wrk
from strongroom.client import Endpoint

_RESULTS = {"encrypt": "ciphertext", "decrypt": "plaintext", "sign": "signature"}


class KeyServer(ThreadingHTTPServer):
    """Speaks as much of the KMS protocol as a measurement needs; its ciphertexts are the plaintexts reversed."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen = []
        self.refused = set()
        """Operations that are answered with 400, and batches whose last item fails."""

    @property
    def endpoint(self):
        return Endpoint("http", "127.0.0.1", self.server_address[1], None)

    def answer(self, operation, document):
        if operation in self.refused:
            return 400, {"__type": "DisabledException"}
        match operation:
            case "CreateKey" | "DescribeKey":
                return 200, {"KeyMetadata": {"KeyId": "made-for-the-bench", "Arn": "arn"}}
            case "Encrypt":
                plaintext = base64.b64decode(document["Plaintext"])
                return 200, {"CiphertextBlob": base64.b64encode(plaintext[::-1]).decode()}
            case _:
                return 200, {}

    def answer_batch(self, verb, document):
        items = [{_RESULTS[verb]: next(iter(item.values()))[::-1]} for item in document["items"]]
        if verb in self.refused:
            items[-1] = {"error": {"code": "InvalidCiphertextException", "message": ""}}
        return 200, msgspec.msgpack.encode({"items": items})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/":
            operation = self.path.rpartition("/")[2]
            status, answer = self.server.answer_batch(operation, msgspec.msgpack.decode(body))
        else:
            operation = self.headers["X-Amz-Target"].removeprefix("TrentService.")
            status, document = self.server.answer(operation, json.loads(body))
            answer = json.dumps(document).encode()
        self.server.seen.append((operation, self.path, self.headers.items(), body))
        head = f"HTTP/1.1 {status} Fine\r\nContent-Length: {len(answer)}\r\n\r\n".encode()
        self.wfile.write(head + answer)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def key_server():
    with KeyServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def wrk():
    if shutil.which("wrk") is None:
        pytest.skip("the load generator wrk is missing (Debian package wrk)")
    return Wrk.find()
