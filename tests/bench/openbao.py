"""OpenBao's transit engine beside us: in-memory storage, file audit, no TLS, the root token.

Each of these choices is the fastest that OpenBao has with an audit log; its file audit never syncs.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.processes import OwnedProcess, answers, free_port
from strongroom.bench import (
    BATCH_ITEM_BYTES,
    BATCH_ITEMS,
    BATCH_TABLE_SIZE,
    BenchError,
    Connection,
    HttpRequest,
)
from strongroom.client import Endpoint
from strongroom.config import worker_environment
from strongroom.core import random_bytes

_KEY = "bench"
_SIGNING_KEY = "bench-p256"
_PATHS = {
    "Encrypt": f"/v1/transit/encrypt/{_KEY}",
    "Decrypt": f"/v1/transit/decrypt/{_KEY}",
    "GenerateDataKey": f"/v1/transit/datakey/plaintext/{_KEY}",
    "Sign": f"/v1/transit/sign/{_SIGNING_KEY}/sha2-256",
}
_BATCHES = {"BatchEncrypt": "Encrypt", "BatchDecrypt": "Decrypt", "BatchSign": "Sign"}
"""Those of the same path that have ``batch_input``."""
_CONFIGURATION = """\
storage "inmem" {{}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:{port}"
audit "file" "bench" {{
  options {{
    file_path = {audit_file}
  }}
}}
"""
_NO_CONTENT = (200, 204)


class _Initialised(msgspec.Struct, frozen=True):
    keys: list[str]
    root_token: str

    def __repr__(self) -> str:
        return "_Initialised(…)"


def find_bao(beside: Path) -> str:
    """Return the program ``bao``, from this environment or PATH. Raises BenchError."""
    found = shutil.which("bao", path=str(beside)) or shutil.which("bao")
    if found is None:
        raise BenchError(
            "OpenBao's program bao is not installed",
            next_step="use ./dev bench, which installs it, or leave it out: --without-openbao",
        )
    return found


def bao_version(bao: str) -> str:
    """Return OpenBao's version, such as ``v2.7.2``."""
    said = subprocess.run(
        [bao, "version"], capture_output=True, text=True, check=True, env=worker_environment({})
    )
    return said.stdout.split()[1]


def _batches_of_texts() -> list[list[str]]:
    def text() -> str:
        return base64.b64encode(random_bytes(BATCH_ITEM_BYTES)).decode()

    return [[text() for _ in range(BATCH_ITEMS)] for _ in range(BATCH_TABLE_SIZE)]


def _batch(member: str, values: Sequence[str]) -> Mapping[str, object]:
    return {"batch_input": [{member: value} for value in values]}


class OpenBaoSubject:
    """An OpenBao server with one transit key; a context manager by ``process``, then ``set_up``."""

    def __init__(
        self,
        name: str,
        bao: str,
        folder: Path,
        *,
        operations: Sequence[str],
        table_size: int,
        plaintext_bytes: int,
    ) -> None:
        self.name = name
        self.operations = operations
        self.audit_file = folder / "openbao-audit.log"
        self.endpoint = Endpoint("http", "127.0.0.1", free_port(), None)
        configuration = folder / "openbao.hcl"
        configuration.write_text(
            _CONFIGURATION.format(port=self.endpoint.port, audit_file=json.dumps(str(self.audit_file)))
        )
        self.process = OwnedProcess(
            [bao, "server", "-config", str(configuration)],
            environment=worker_environment({"HOME": str(folder)}),
            log=folder / "openbao.log",
        )
        self._plaintexts = [
            base64.b64encode(random_bytes(plaintext_bytes)).decode() for _ in range(table_size)
        ]
        self._ciphertexts: list[str] = []
        self._batches = _batches_of_texts()
        self._sealed_batches: list[list[str]] = []
        self._token = ""

    @property
    def pids(self) -> Sequence[int]:
        """The server."""
        return [self.process.pid]

    def set_up(self) -> None:
        """Initialise, unseal, mount transit and make its keys. Raises BenchError."""
        self.process.wait_until(lambda: answers(self.endpoint, "/v1/sys/seal-status"))
        with Connection(self.endpoint) as connection:
            shares = {"secret_shares": 1, "secret_threshold": 1}
            made = connection.send(self._request("/v1/sys/init", shares, method="PUT"))
            initialised = msgspec.json.decode(made, type=_Initialised)
            self._token = initialised.root_token
            connection.send(self._request("/v1/sys/unseal", {"key": initialised.keys[0]}, method="PUT"))
        self.process.wait_until(lambda: answers(self.endpoint, "/v1/sys/health"))
        with Connection(self.endpoint) as connection:
            connection.send(self._request("/v1/sys/mounts/transit", {"type": "transit"}), accept=_NO_CONTENT)
            for key, kind in ((_KEY, "aes256-gcm96"), (_SIGNING_KEY, "ecdsa-p256")):
                made_key = self._request(f"/v1/transit/keys/{key}", {"type": kind})
                connection.send(made_key, accept=_NO_CONTENT)

    def requests(self, operation: str) -> list[HttpRequest]:
        """Return the requests of an operation."""
        path = _PATHS[_BATCHES.get(operation, operation)]
        made = [self._request(path, document) for document in self._documents(operation)]
        with Connection(self.endpoint) as connection:
            connection.send(made[0])
        if not self.audit_file.stat().st_size:
            raise BenchError("OpenBao wrote no audit log, so the comparison would not be fair")
        return made

    def _documents(self, operation: str) -> Sequence[Mapping[str, object]]:
        match operation:
            case "Encrypt":
                return [{"plaintext": plaintext} for plaintext in self._plaintexts]
            case "Decrypt":
                return [{"ciphertext": ciphertext} for ciphertext in self._encrypted()]
            case "Sign":
                return [{"input": plaintext} for plaintext in self._plaintexts]
            case "GenerateDataKey":
                return [{"bits": 256}] * len(self._plaintexts)
            case "BatchEncrypt":
                return [_batch("plaintext", texts) for texts in self._batches]
            case "BatchDecrypt":
                return [_batch("ciphertext", sealed) for sealed in self._encrypted_batches()]
            case "BatchSign":
                return [_batch("input", texts) for texts in self._batches]
        raise BenchError(f"{operation} is nothing that OpenBao is measured at")

    def _encrypted_batches(self) -> list[list[str]]:
        if not self._sealed_batches:
            with Connection(self.endpoint) as connection:
                for document in self._documents("BatchEncrypt"):
                    answer = connection.send(self._request(_PATHS["Encrypt"], document))
                    results = msgspec.json.decode(answer)["data"]["batch_results"]
                    self._sealed_batches.append([result["ciphertext"] for result in results])
        return self._sealed_batches

    def _encrypted(self) -> list[str]:
        if not self._ciphertexts:
            with Connection(self.endpoint) as connection:
                for plaintext in self._plaintexts:
                    answer = connection.send(self._request(_PATHS["Encrypt"], {"plaintext": plaintext}))
                    self._ciphertexts.append(msgspec.json.decode(answer)["data"]["ciphertext"])
        return self._ciphertexts

    def _request(self, path: str, document: Mapping[str, object], *, method: str = "POST") -> HttpRequest:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["X-Vault-Token"] = self._token
        return HttpRequest(method, path, headers, msgspec.json.encode(document))
