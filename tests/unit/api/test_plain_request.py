"""The reader of plain requests: what it takes, the general reader takes and reads alike; whatever is not plain it leaves alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.api._plain_request import MAX_SHAPES, PlainReader
from strongroom.api._request_reader import Arrived, RequestReader

HEADERS = [
    ("Host", "localhost:8443"),
    ("Content-Type", "application/x-amz-json-1.1"),
    ("X-Amz-Target", "TrentService.Encrypt"),
    ("User-Agent", "Boto3/1.44.5 md/Botocore#1.44.5"),
    ("X-Amz-Date", "20260131T235959Z"),
    (
        "Authorization",
        "AWS4-HMAC-SHA256 Credential=A/20260131/r/kms/aws4_request, SignedHeaders=host, Signature=00",
    ),
]
BODY = b'{"KeyId": "x"}'


def render(headers, body, start=b"POST / HTTP/1.1\r\n", end=b"\r\n"):
    return start + b"".join(f"{n}: {v}\r\n".encode("latin-1") for n, v in headers) + end + body


PLAIN = render([*HEADERS, ("Content-Length", str(len(BODY)))], BODY)


def knowing(*requests):
    """A reader that keeps the shapes of these, and so reads them by patterns."""
    reader = PlainReader()
    for data in requests:
        reader.keep(reader.read(data).shape)
    return reader


OTHERS = [
    render([("content-length", "0"), *[(name.lower(), value) for name, value in reversed(HEADERS)]], b""),
    render([*HEADERS, ("Accept", "*/*"), ("Content-Length", "0")], b""),
]
KNOWING = knowing(PLAIN, *OTHERS)


class Taken:
    """Receives from the general reader."""

    def __init__(self):
        self.requests: list[Arrived] = []
        self.refusals = []
        self.has_ended = self.expected = False

    def began(self):
        pass

    def arrived(self, arrived):
        self.requests.append(arrived)

    def expects(self):
        self.expected = True

    def refuse(self, error):
        self.refusals.append(error)

    def end(self):
        self.has_ended = True


def check_alike(data):
    """If the plain reader takes it, the general reader takes the same request, whole, and nothing else of it."""
    plain = PlainReader().read(data)
    of_known_shape = KNOWING.read(data)
    if plain is None:
        assert of_known_shape is None
        return None
    assert (of_known_shape.shape.names, of_known_shape.values, of_known_shape.body) == (
        plain.shape.names,
        plain.values,
        plain.body,
    )
    taken = Taken()
    general = RequestReader(taken)
    general.feed(data)
    assert not taken.refusals
    assert not taken.has_ended
    assert not taken.expected
    [(request, keep_alive, error)] = taken.requests
    assert keep_alive
    assert error is None
    assert general.is_at_rest
    assert (request.method, request.path, request.query) == ("POST", "/", "")
    assert request.headers == tuple(zip(plain.shape.names, plain.values, strict=True))
    assert request.body == plain.body
    assert request.by_name["content-length"] == str(len(plain.body))
    assert len(request.by_name) == len(request.headers)
    return plain


def test_an_sdk_request_is_plain():
    plain = check_alike(PLAIN)
    assert plain is not None
    assert plain.body == BODY
    assert plain.values[plain.shape.target] == "TrentService.Encrypt"
    assert plain.values[plain.shape.date] == "20260131T235959Z"
    assert plain.values[plain.shape.authorization].startswith("AWS4-HMAC-SHA256 ")


NOT_PLAIN = {
    "another method": PLAIN.replace(b"POST", b"PUT", 1),
    "another path": PLAIN.replace(b"POST / ", b"POST /a ", 1),
    "a query": PLAIN.replace(b"POST / ", b"POST /?a ", 1),
    "HTTP/1.0": PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a line before": b"\r\n" + PLAIN,
    "a byte after": PLAIN + b"\n",
    "another request after": PLAIN + PLAIN,
    "a byte short": PLAIN[:-1],
    "half a head": PLAIN[:100],
    "no head's end": PLAIN.partition(b"\r\n\r\n")[0] + b"\r\n",
    "a length with a zero": PLAIN.replace(b"Content-Length: ", b"Content-Length: 0"),
    "a length with a sign": PLAIN.replace(b"Content-Length: ", b"Content-Length: +"),
    "no length": PLAIN.replace(b"Content-Length", b"User-Agent-X"),
    "a doubled length": PLAIN.replace(b"Host", b"Content-Length: 14\r\nHost", 1),
    "a chunked body": PLAIN.replace(b"User-Agent: Boto3/1.44.5 md/Botocore#1.44.5", b"Transfer-Encoding: chunked"),
    "an upgrade": PLAIN.replace(b"User-Agent: ", b"Upgrade: h2c "),
    "an expectation": PLAIN.replace(b"User-Agent: Boto3/1.44.5 md/Botocore#1.44.5", b"Expect: 100-continue"),
    "a connection option": PLAIN.replace(b"User-Agent: Boto3/1.44.5 md/Botocore#1.44.5", b"Connection: close"),
    "a session token": PLAIN.replace(b"User-Agent", b"X-Amz-Security-Token"),
    "an unknown header": PLAIN.replace(b"User-Agent", b"User-Agents"),
    "a doubled header": PLAIN.replace(b"User-Agent", b"hOST"),
    "a blank before the colon": PLAIN.replace(b"Host: ", b"Host : "),
    "no blank after the colon": PLAIN.replace(b"Host: ", b"Host:"),
    "two blanks after the colon": PLAIN.replace(b"Host: ", b"Host:  "),
    "a blank at the end": PLAIN.replace(b"8443", b"8443 "),
    "a blank at the very end": PLAIN.replace(b"\r\n\r\n", b" \r\n\r\n"),
    "two blanks within": PLAIN.replace(b"5 md", b"5  md"),
    "a tab": PLAIN.replace(b"5 md", b"5\tmd"),
    "a folded line": PLAIN.replace(b"5 md", b"5\r\n md"),
    "a bare line feed": PLAIN.replace(b"\r\nContent-Type", b"\nContent-Type"),
    "a bare carriage return": PLAIN.replace(b"\r\nContent-Type", b"\rContent-Type"),
    "a null byte": PLAIN.replace(b"5 md", b"5\x00md"),
    "a byte over ASCII": PLAIN.replace(b"5 md", b"5\xffmd"),
    "a delete character": PLAIN.replace(b"5 md", b"5\x7fmd"),
    "an empty value": PLAIN.replace(b"localhost:8443", b""),
    "a long head": PLAIN.replace(b"Boto3", b"B" * 5_000),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_differs_in_one_thing_is_not_plain(name):
    assert NOT_PLAIN[name] != PLAIN
    assert PlainReader().read(NOT_PLAIN[name]) is None
    assert KNOWING.read(NOT_PLAIN[name]) is None


names = st.sampled_from(
    ["Accept", "accept-encoding", "amz-sdk-invocation-id", "AMZ-SDK-Request", "Authorization", "Content-Length",
     "Content-Type", "Host", "User-Agent", "x-amz-content-sha256", "X-Amz-Date", "X-Amz-Target", "Transfer-Encoding",
     "Connection", "Upgrade", "Expect", "TE", "Trailer", "X-Amz-Security-Token", "Date"]
)  # fmt: skip
values = st.one_of(
    st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=12),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
    st.sampled_from(
        ["chunked", "close", "keep-alive", "14", "0", "5", "upgrade", "100-continue", "a b", "a  b"]
    ),
)


@given(
    headers=st.lists(st.tuples(names, values), max_size=3),
    order=st.randoms(use_true_random=False),
    body=st.binary(max_size=20),
    length=st.one_of(st.none(), st.text("0123456789 +,x", max_size=4)),
)
def test_of_any_headers_the_two_readers_read_the_same_or_the_plain_one_reads_nothing(
    headers, order, body, length
):
    # To all that a plain request has come others, which may double or contradict it.
    sent = [*HEADERS, *headers, ("Content-Length", str(len(body)) if length is None else length)]
    order.shuffle(sent)
    check_alike(render(sent, body))


@given(
    at=st.integers(0, len(PLAIN) - 1),
    span=st.integers(0, 3),
    put=st.one_of(
        st.binary(max_size=3),
        st.sampled_from(
            [b"\r\n", b"\n", b"\r", b" ", b": ", b"\r\n\r\n", b"\r\n ", b"Content-Length: 0\r\n"]
        ),
    ),
)
def test_of_any_change_the_two_readers_read_the_same_or_the_plain_one_reads_nothing(at, span, put):
    check_alike(PLAIN[:at] + put + PLAIN[at + span :])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(data):
    check_alike(data)
    check_alike(b"POST / HTTP/1.1\r\n" + data)
    check_alike(data + PLAIN[30:])


def test_kept_shapes_are_found_again_and_those_of_strangers_are_not_kept():
    reader = PlainReader()
    plain = reader.read(PLAIN)
    assert reader.read(PLAIN).shape is not plain.shape
    reader.keep(plain.shape)
    assert reader.read(PLAIN).shape is plain.shape
    other = reader.read(OTHERS[0])
    assert other.shape is not plain.shape
    reader.keep(other.shape)
    for _ in range(3):
        assert reader.read(PLAIN).shape is plain.shape
        assert reader.read(OTHERS[0]).shape is other.shape


def test_many_shapes_are_kept_and_no_more_and_further_ones_are_read_all_the_same():
    reader = PlainReader()
    for number in range(MAX_SHAPES + 5):
        spelt = "".join(
            letter.upper() if number >> at & 1 else letter for at, letter in enumerate("authorization")
        )
        data = PLAIN.replace(b"Authorization", spelt.encode())
        for _ in range(2):
            plain = reader.read(data)
            assert plain is not None
            reader.keep(plain.shape)
    assert len(reader._shapes) == MAX_SHAPES
    assert len(reader._recent) <= 4
