"""What the HTTP fuzz sends: signed requests whose answers name them, hostile forms, and mutations.

Each request is signed for a region of its own, and answers show the region in the ARN of the key: so each answer
tells which request it belongs to. Behind everything that must end a connection, and inside of bodies, stands
a *canary*: a whole, correctly signed request that nobody may ever answer.
"""

import json
from enum import Enum
from pathlib import Path
from random import Random
from typing import NamedTuple

from strongroom.api import sign_request
from strongroom.core import Secret, SystemClock

CANARY_REGION = "canary"
_JSON_TYPE = "application/x-amz-json-1.1"


class Expect(Enum):
    """What has to come back for a piece."""

    TAGGED = "200, with its region and key, and the connection goes on"
    TAGGED_LAST = "200, with its region and key, and the connection ends"
    PROBE = "200 of a probe, and the connection goes on"
    REFUSED = "one refusal, and the connection goes on"
    ENDED = "one refusal at most, and the connection ends"
    CUT = "408 or nothing, and the connection ends: it is not whole"
    ANYTHING = "anything that belongs to no other request"


class Piece(NamedTuple):
    """Some bytes, and what they must lead to."""

    name: str
    data: bytes
    expect: Expect
    region: str = ""
    key_id: str = ""


class Signed(NamedTuple):
    """A signed request in its parts, so that each can be bent."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def render(self, *extra: bytes, length: bytes | None = b"", version: bytes = b"1.1") -> bytes:
        """Put it together; ``length`` None leaves Content-Length out, empty writes the right one."""
        lines = [f"{self.method} {self.path} HTTP/".encode() + version]
        lines += [f"{name}: {value}".encode() for name, value in self.headers]
        if length is not None:
            lines.append(b"Content-Length: " + (length or b"%d" % len(self.body)))
        return b"\r\n".join([*lines, *extra, b"", b""])


class Requests:
    """Makes requests for a service; the caller brings the randomness."""

    def __init__(self, *, port: int, access_key: Path, keys: list[str], canary_key: str) -> None:
        self.port = port
        self.keys = keys
        self.canary_key = canary_key
        found = json.loads(access_key.read_bytes())
        self._id = found["access_key_id"]
        self._secret = found["secret_access_key"]

    def sign(self, operation: str, body: bytes, *, region: str) -> Signed:
        headers = sign_request(
            method="POST", path="/", host=f"localhost:{self.port}", body=body, region=region,
            headers={"Content-Type": _JSON_TYPE, "X-Amz-Target": f"TrentService.{operation}"},
            access_key_id=self._id, secret_access_key=Secret(self._secret.encode()), clock=SystemClock(),
        )  # fmt: skip
        return Signed("POST", "/", list(headers.items()), body)

    def canary(self) -> bytes:
        body = json.dumps({"KeyId": self.canary_key, "Plaintext": "AAAA"}).encode()
        signed = self.sign("Encrypt", body, region=CANARY_REGION)
        return signed.render() + signed.body

    def plain(self, rng: Random, region: str) -> tuple[Signed, str]:
        """A request that is right, and the key that it asks for."""
        key_id = rng.choice(self.keys)
        operations: list[tuple[str, dict[str, object]]] = [
            ("DescribeKey", {}),
            ("Encrypt", {"Plaintext": "QUJD", "EncryptionContext": {"a": "b" * rng.randrange(40)}}),
            ("GenerateDataKey", {"KeySpec": "AES_256"}),
            ("GenerateDataKeyWithoutPlaintext", {"NumberOfBytes": rng.randrange(1, 1025)}),
        ]
        operation, members = rng.choice(operations)
        return self.sign(operation, json.dumps({"KeyId": key_id, **members}).encode(), region=region), key_id

    def valid(self, rng: Random, region: str) -> Piece:
        signed, key_id = self.plain(rng, region)
        kind = rng.randrange(8)
        if kind == 0:
            data = signed.render(b"Transfer-Encoding: chunked", length=None) + chunked(rng, signed.body)
            return Piece("chunked", data, Expect.TAGGED, region, key_id)
        if kind == 1:
            data = b"\r\n" * rng.randrange(3) + signed.render(b"Expect: 100-continue") + signed.body
            return Piece("expects 100", data, Expect.TAGGED, region, key_id)
        return Piece("valid", signed.render() + signed.body, Expect.TAGGED, region, key_id)

    def last(self, rng: Random, region: str) -> Piece:
        """Right, but nothing after it may be answered."""
        signed, key_id = self.plain(rng, region)
        name, data = rng.choice(
            [
                ("Connection: close", signed.render(b"Connection: close")),
                ("HTTP/1.0", signed.render(version=b"1.0")),
            ]
        )
        data += signed.body + self.canary()
        return Piece(name, data, Expect.TAGGED_LAST, region, key_id)

    def refused(self, rng: Random, region: str) -> Piece:
        """Wrong in what it says, not in how it is framed; a canary in the body is no request."""
        inside = self.canary()
        signed, _ = self.plain(rng, region)
        forged = signed._replace(body=signed.body[:-1] + b" }")
        hidden = self.sign("DescribeKey", inside, region=region)
        host = b"Host: localhost\r\n"
        long = b"Content-Length: %d\r\n\r\n" % len(inside) + inside
        name, data, expect = rng.choice(
            [
                ("canary as body", hidden.render() + inside, Expect.REFUSED),
                ("canary in chunks", hidden.render(b"Transfer-Encoding: chunked", length=None)
                    + chunked(rng, inside), Expect.REFUSED),
                ("forged body", forged.render() + forged.body, Expect.REFUSED),
                ("no signature", b"POST / HTTP/1.1\r\n" + host + long, Expect.REFUSED),
                ("nothing there", b"GET /x HTTP/1.1\r\n" + host + long, Expect.REFUSED),
                ("wrong method", b"DELETE / HTTP/1.1\r\n" + host + b"\r\n", Expect.REFUSED),
                ("no operation", self.sign("Frobnicate", b"{}", region=region).render() + b"{}", Expect.REFUSED),
                ("probe", b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n", Expect.PROBE),
                ("probe with a body", b"GET /healthz HTTP/1.1\r\n" + host + long, Expect.PROBE),
            ]
        )  # fmt: skip
        return Piece(name, data, expect)

    def cut(self, rng: Random, region: str) -> Piece:
        signed, _ = self.plain(rng, region)
        whole = signed.render() + signed.body
        return Piece("cut", whole[: rng.randrange(1, len(whole))], Expect.CUT)

    def hostile(self, rng: Random, region: str) -> Piece:
        """A form that smuggles or breaks a limit, with a canary behind it."""
        signed, _ = self.plain(rng, region)
        name, data = rng.choice(_BENDS)(rng, signed)
        return Piece(name, data + self.canary(), Expect.ENDED)

    def mutated(self, rng: Random, region: str) -> Piece:
        signed, key_id = self.plain(rng, region)
        name, data = _mutate(rng, signed)
        return Piece(name, data, Expect.ANYTHING, region, key_id)


def chunked(rng: Random, body: bytes) -> bytes:
    parts = []
    while body:
        size = rng.randrange(1, len(body) + 1)
        extension = rng.choice([b"", b"", b";a=b", b';a="b c"'])
        parts.append(rng.choice([b"%x", b"%X", b"00%x"]) % size + extension + b"\r\n" + body[:size] + b"\r\n")
        body = body[size:]
    return b"".join(parts) + b"0\r\n\r\n"


def _lengths(rng: Random, signed: Signed) -> tuple[str, bytes]:
    right = b"%d" % len(signed.body)
    wrong = rng.choice(
        [
            b"+" + right,
            b"-1",
            b"0x10",
            right + b"," + right,
            right + b" 0",
            b"0" * 30 + b"x",
            b"9" * 30,
            b"65537",
        ]
    )
    return f"Content-Length {wrong!r}", signed.render(length=wrong) + signed.body


def _two_framings(rng: Random, signed: Signed) -> tuple[str, bytes]:
    encoding = rng.choice(
        [
            b"chunked",
            b"xchunked",
            b"chunked, identity",
            b"identity",
            b"chunked\x0b",
            b"Chunked ",
            b"chunked, gzip",
        ]
    )
    line = rng.choice([b"Transfer-Encoding: ", b"transfer-encoding:", b"TRANSFER-ENCODING:\t"]) + encoding
    return f"length and {line!r}", signed.render(line) + b"0\r\n\r\n"


def _two_lengths(rng: Random, signed: Signed) -> tuple[str, bytes]:
    other = rng.choice([len(signed.body), 0, 1, len(signed.body) + 1])
    return f"a second length {other}", signed.render(b"content-length: %d" % other) + signed.body


def _bad_line(rng: Random, signed: Signed) -> tuple[str, bytes]:
    line = rng.choice(
        [b"X-A : b", b" X-A: b", b"X-A: b\r\n c", b"X-A: b\x00c", b": b", b"X(A: b", b"X-A", b"X-A: b\rc",
         b"X-A: b\nX-Amz-Target: c", b"\x80: b", b"X-A: b\r\r\n"]
    )  # fmt: skip
    return f"header {line!r}", signed.render(line) + signed.body


def _bad_first_line(rng: Random, signed: Signed) -> tuple[str, bytes]:
    rest = signed.render().split(b"\r\n", 1)[1] + signed.body
    line = rng.choice(
        [b"post / HTTP/1.1", b"POST / HTTP/1.1 x", b"POST / HTTP/9.9", b"POST /", b"POST / http/1.1", b"FROB / HTTP/1.1",
         b"POST / HTTP/1.1\x00", b"CONNECT a:1 HTTP/1.1", b"PRI * HTTP/2.0", b"POST /\x00 HTTP/1.1", b"POST / HTTPS/1.1"]
    )  # fmt: skip
    return f"first line {line!r}", line + b"\r\n" + rest


def _bad_chunks(rng: Random, signed: Signed) -> tuple[str, bytes]:
    body = rng.choice(
        [b"zz\r\nhello\r\n", b"-5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5 \r\nhello\r\n", b"5\nhello\n0\n\n",
         b"F" * 17 + b"\r\nhello", b"5\r\nhello!\r\n", b"5\r\nhello0\r\n\r\n", b"5;a\nb\r\nhello\r\n", b"\r\nhello\r\n",
         b"5\r\nhello\r\n0\r\nX-Amz-Target: TrentService.DisableKey\r\n\r\n", b"5\r\nhello\n0\r\n\r\n",
         (b"8000\r\n" + bytes(0x8000) + b"\r\n") * 3 + b"0\r\n\r\n"]
    )  # fmt: skip
    return f"chunks {body[:60]!r}", signed.render(b"Transfer-Encoding: chunked", length=None) + body


def _over_limit(rng: Random, signed: Signed) -> tuple[str, bytes]:
    name, lines = rng.choice(
        [
            ("80 headers", [b"A: b"] * 80),
            ("a header of 17 KiB", [b"A: " + b"b" * 17_408]),
            ("a header of 1 MiB", [b"A: " + b"b" * 1_048_576]),
            ("a header name of 20 KiB", [b"A" * 20_480 + b": b"]),
            ("unknown expectation", [b"Expect: a miracle"]),
        ]
    )
    return name, signed.render(*lines) + signed.body


def _odd(rng: Random, signed: Signed) -> tuple[str, bytes]:
    no_host = signed._replace(headers=[pair for pair in signed.headers if pair[0] != "Host"])
    return rng.choice(
        [
            ("a target of 3 KiB", signed._replace(path="/" + "a" * 3_072).render() + signed.body),
            ("no Host", no_host.render() + signed.body),
            ("bare line feeds", signed.render().replace(b"\r\n", b"\n") + signed.body),
        ]
    )


def _upgrade(rng: Random, signed: Signed) -> tuple[str, bytes]:
    protocol = rng.choice([b"h2c", b"websocket", b"TLS/1.2"])
    return f"upgrade to {protocol!r}", signed.render(
        b"Connection: Upgrade", b"Upgrade: " + protocol
    ) + signed.body


def _garbage(rng: Random, _signed: Signed) -> tuple[str, bytes]:
    # A first byte that begins no method: else a line feed would be skipped and what follows be a request.
    return "garbage", bytes([rng.randrange(0x80, 0x100)]) + rng.randbytes(rng.randrange(3_000))


_BENDS = (
    _lengths, _two_framings, _two_lengths, _bad_line, _bad_first_line, _bad_chunks, _over_limit, _odd, _upgrade, _garbage,
)  # fmt: skip


def _mutate(rng: Random, signed: Signed) -> tuple[str, bytes]:
    """Bend a request at random. Never twice the whole request: SigV4 knows no replay protection."""
    whole = bytearray(signed.render() + signed.body)
    kind = rng.choice(
        ["flip", "remove", "insert", "repeat", "header twice", "header gone", "length", "short"]
    )
    at = rng.randrange(len(whole))
    if kind == "flip":
        for _ in range(rng.randrange(1, 9)):
            whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    elif kind == "remove":
        del whole[at : at + rng.randrange(1, 200)]
    elif kind == "insert":
        whole[at:at] = rng.randbytes(rng.randrange(1, 200))
    elif kind == "repeat":
        whole[at:at] = whole[at : at + rng.randrange(1, 100)] * rng.randrange(1, 30)
    elif kind.startswith("header"):
        headers = list(signed.headers)
        chosen = rng.randrange(len(headers))
        headers[chosen : chosen + 1] = [headers[chosen]] * (2 if kind == "header twice" else 0)
        whole = bytearray(signed._replace(headers=headers).render() + signed.body)
    elif kind == "length":
        length = max(0, len(signed.body) + rng.randrange(-20, 20))
        whole = bytearray(signed.render(length=b"%d" % length) + signed.body)
    else:
        del whole[len(whole) - rng.randrange(1, len(signed.body)) :]
    return f"{kind} at {at}", bytes(whole)
