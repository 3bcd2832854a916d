"""``Envelope``: one format for bytes, files and streams; keys, contexts, and everything that can go wrong."""

import io
import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strongroom
from fakes_client import FakeDataKeys
from strongroom import Envelope
from strongroom.client import ClientError, ContextMismatchError, ForeignAnswerError, RequestRefusedError
from strongroom.core import ConfigError, StrongroomError
from strongroom.envelope import (
    EnvelopeError,
    EnvelopeIntegrityError,
    KeyCommitmentError,
    MalformedFileError,
    TruncatedMessageError,
)

DATA = bytes(range(256)) * 300  # 75 KiB: five chunks
CONTEXT = {"tenant": "7", "app": "mail"}


@pytest.fixture
def source():
    return FakeDataKeys()


@pytest.fixture
def envelope(source):
    return Envelope("alias/one", source=source)


@given(
    st.binary(max_size=200) | st.integers(0, 100_000).map(bytes),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
@settings(max_examples=50, deadline=None)
def test_whatever_is_encrypted_is_decrypted(data, context):
    envelope = Envelope("alias/any", source=FakeDataKeys())
    encrypted = envelope.encrypt(data, context=context)
    assert envelope.decrypt(encrypted, context=context) == envelope.decrypt(encrypted) == data


def test_bytes_streams_and_files_have_one_format(envelope, tmp_path):
    (tmp_path / "plain").write_bytes(DATA)
    done = envelope.encrypt_file(tmp_path / "plain", str(tmp_path / "sealed"), context=CONTEXT)
    assert done.plaintext_bytes == len(DATA)
    assert done.encrypted_bytes == (tmp_path / "sealed").stat().st_size
    assert (done.key_id, done.encryption_context) == (FakeDataKeys.arn("alias/one"), CONTEXT)
    assert envelope.decrypt((tmp_path / "sealed").read_bytes()) == DATA
    target = io.BytesIO()
    assert envelope.decrypt_stream(io.BytesIO(envelope.encrypt(DATA)), target).plaintext_bytes == len(DATA)
    assert target.getvalue() == DATA
    sealed = io.BytesIO()
    envelope.encrypt_stream(io.BytesIO(DATA), sealed)
    (tmp_path / "other").write_bytes(sealed.getvalue())
    assert envelope.decrypt_file(tmp_path / "other", tmp_path / "back") == done._replace(
        encrypted_bytes=len(sealed.getvalue()), encryption_context={}
    )
    assert (tmp_path / "back").read_bytes() == DATA


def test_every_object_has_a_data_key_of_its_own(envelope, source):
    encrypted = {envelope.encrypt(b"same") for _ in range(20)}
    assert (len(encrypted), source.generated, source.opened) == (20, 20, 0)


def test_streams_that_read_and_write_little_at_a_time_give_the_same(envelope):
    class Slow(io.RawIOBase):
        def __init__(self):
            super().__init__()
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, piece):
            self.data += bytes(piece)[:777]
            return min(len(piece), 777)

    class Drops:
        """A source with ``read`` only."""

        def __init__(self, data):
            self.stream = io.BytesIO(data)

        def read(self, size):
            return self.stream.read(min(size, 1001))

    sealed = Slow()
    done = envelope.encrypt_stream(Drops(DATA), sealed)
    assert done.encrypted_bytes == len(sealed.data)
    opened = Slow()
    envelope.decrypt_stream(Drops(bytes(sealed.data)), opened)
    assert opened.data == DATA


def test_a_pipe_that_does_not_wait_is_refused_and_not_taken_for_its_end(envelope):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with (
        open(reading, "rb", buffering=0) as source,
        open(writing, "wb"),
        pytest.raises(ClientError, match="non-blocking"),
    ):
        envelope.encrypt_stream(source, io.BytesIO())


def test_the_context_is_stored_and_what_is_expected_must_be_there(envelope, source):
    encrypted = envelope.encrypt(b"x", context=CONTEXT)
    for expected in (None, {}, {"tenant": "7"}, CONTEXT):
        assert envelope.decrypt(encrypted, context=expected) == b"x"
    asked = source.opened
    for expected in ({"tenant": "8"}, {"who": "7"}, {**CONTEXT, "more": ""}):
        with pytest.raises(ContextMismatchError):
            envelope.decrypt(encrypted, context=expected)
    assert source.opened == asked, "the key service was asked for a data key of unexpected data"


def test_a_stored_context_cannot_be_changed(envelope):
    encrypted = envelope.encrypt(b"x", context=CONTEXT)
    with pytest.raises(RequestRefusedError):
        envelope.decrypt(encrypted.replace(b"\0\x017", b"\0\x018"), context={"tenant": "8"})


def test_with_a_key_only_data_of_that_key_is_decrypted(envelope, source):
    foreign = Envelope("alias/two", source=source).encrypt(b"planted")
    with pytest.raises(RequestRefusedError, match="IncorrectKeyException"):
        envelope.decrypt(foreign)
    assert Envelope(source=source).decrypt(foreign) == b"planted"


def test_without_a_key_nothing_is_encrypted(source):
    with pytest.raises(ValueError, match="without a key"):
        Envelope(source=source).encrypt(b"x")


def test_a_context_that_is_too_long_is_refused_before_a_data_key_is_asked_for(envelope, source):
    with pytest.raises(MalformedFileError):
        envelope.encrypt(b"x", context={"a": "x" * 9000})
    assert source.generated == 0


def test_headers_cannot_be_swapped_even_between_objects_of_one_data_key(source):
    from strongroom import DataKeyCache

    cache = DataKeyCache(max_messages=9, max_bytes=10**6, max_age_s=60)
    envelope = Envelope("alias/one", source=source, cache=cache)
    first, second = envelope.encrypt(b"a" * 9, context=CONTEXT), envelope.encrypt(b"b" * 9, context=CONTEXT)
    assert source.generated == 1
    header_bytes = len(first) - 56 - 9 - 16
    assert first[:header_bytes] == second[:header_bytes]
    mixed = first[: header_bytes + 56] + second[header_bytes + 56 :]
    with pytest.raises(EnvelopeIntegrityError):
        envelope.decrypt(mixed)


def test_another_header_with_the_same_data_key_does_not_fit(source):
    class Careless(FakeDataKeys):
        def decrypt(self, **request):
            return super().decrypt(**{**request, "EncryptionContext": {"tenant": "7"}})

    envelope = Envelope(source=(careless := Careless()))
    encrypted = Envelope("alias/one", source=careless).encrypt(b"x", context={"tenant": "7"})
    with pytest.raises(KeyCommitmentError):
        envelope.decrypt(encrypted.replace(b"\0\x017", b"\0\x018"))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_shorter_or_longer_object_gives_an_error_and_no_data(data):
    envelope = Envelope("alias/one", source=FakeDataKeys())
    encrypted = envelope.encrypt(bytes(20_000), context=CONTEXT)
    match data.draw(st.sampled_from(["flip", "cut", "more"])):
        case "flip":
            spoilt = bytearray(encrypted)
            spoilt[data.draw(st.integers(0, len(encrypted) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            spoilt = encrypted[: data.draw(st.integers(0, len(encrypted) - 1))]
        case "more":
            spoilt = encrypted + data.draw(st.binary(min_size=1, max_size=40))
    with pytest.raises((EnvelopeError, RequestRefusedError)):
        envelope.decrypt(bytes(spoilt))


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_are_refused_with_a_typed_error(data):
    with pytest.raises(StrongroomError):
        Envelope("alias/one", source=FakeDataKeys()).decrypt(data)


def test_a_stream_that_is_cut_off_raises_at_its_end_and_gave_authentic_data_only(envelope):
    encrypted, target = envelope.encrypt(DATA), io.BytesIO()
    for end in (-1, -17, -len(DATA) % 16384 - 16400):
        target.seek(0)
        target.truncate()
        with pytest.raises((TruncatedMessageError, EnvelopeIntegrityError)):
            envelope.decrypt_stream(io.BytesIO(encrypted[:end]), target)
        assert DATA.startswith(target.getvalue())


@pytest.mark.parametrize("answer", [
    {}, {"Plaintext": b"x" * 31, "CiphertextBlob": b"b", "KeyId": "k"},
    {"Plaintext": b"x" * 32, "CiphertextBlob": b"", "KeyId": "k"},
    {"Plaintext": b"x" * 32, "CiphertextBlob": bytes(6145), "KeyId": "k"},
    {"Plaintext": "x" * 32, "CiphertextBlob": b"b", "KeyId": "k"},
    {"Plaintext": b"x" * 32, "CiphertextBlob": b"b"},
])  # fmt: skip
def test_an_answer_that_is_no_data_key_is_refused(answer):
    class Strange(FakeDataKeys):
        def generate_data_key(self, **request):
            return answer

    with pytest.raises(ForeignAnswerError):
        Envelope("k", source=Strange()).encrypt(b"x")


def test_a_file_opens_for_reading_in_its_middle(envelope, tmp_path):
    (tmp_path / "sealed").write_bytes(envelope.encrypt(DATA, context=CONTEXT))
    with envelope.open(tmp_path / "sealed", context={"tenant": "7"}) as file:
        assert file.seek(0, os.SEEK_END) == len(DATA)
        for start, length in ((0, 10), (16_380, 10), (70_000, 99_999), (len(DATA), 5)):
            file.seek(start)
            assert file.read(length) == DATA[start : start + length]
        file.seek(-5, os.SEEK_END)
        assert (file.read(), file.tell()) == (DATA[-5:], len(DATA))
    assert envelope.open(io.BytesIO((tmp_path / "sealed").read_bytes())).read() == DATA


def test_a_damaged_chunk_is_noticed_by_those_who_read_it(envelope):
    spoilt = bytearray(envelope.encrypt(DATA * 4))
    spoilt[-40_000] ^= 1
    file = envelope.open(io.BytesIO(spoilt))
    assert file.read(100) == DATA[:100]
    file.seek(len(DATA) * 4 - 41_000)
    with pytest.raises(EnvelopeIntegrityError):
        file.read(5000)


def test_a_file_that_was_cut_off_does_not_open(envelope, tmp_path):
    (tmp_path / "sealed").write_bytes(envelope.encrypt(DATA)[:-1])
    with pytest.raises(EnvelopeIntegrityError):
        envelope.open(tmp_path / "sealed")
    with pytest.raises(MalformedFileError):
        envelope.open(io.BytesIO(b""))


def test_decrypted_files_are_for_their_owner_and_encrypted_ones_as_the_umask_says(envelope, tmp_path):
    (tmp_path / "plain").write_bytes(DATA)
    before = os.umask(0o027)
    try:
        envelope.encrypt_file(tmp_path / "plain", tmp_path / "sealed")
        envelope.decrypt_file(tmp_path / "sealed", tmp_path / "back")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "sealed").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o600


def test_progress_is_told_up_to_the_whole_input(envelope, tmp_path):
    (tmp_path / "plain").write_bytes(bytes(3_000_000))
    seen = []
    envelope.encrypt_file(tmp_path / "plain", tmp_path / "sealed", progress=seen.append)
    assert seen == sorted(seen)
    assert (len(seen) >= 3, seen[-1]) == (True, 3_000_000)


def test_threads_share_an_envelope(envelope):
    failures = []

    def work(number):
        data = bytes([number]) * 40_000
        failures.extend(number for _ in range(20) if envelope.decrypt(envelope.encrypt(data)) != data)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_without_a_service_in_the_environment_making_one_says_what_to_do(monkeypatch, tmp_path):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no key service is named") as caught:
        Envelope("alias/x")
    assert "strongroom env" in caught.value.next_step


def test_importing_the_package_brings_nothing_and_its_names_bring_the_client():
    program = (
        "import sys, strongroom\n"
        "assert not {'cryptography', 'msgspec', 'strongroom.client'} & sys.modules.keys()\n"
        "from strongroom import AsyncEnvelope, DataKeyCache, Envelope\n"
        "assert 'strongroom.client' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)
    assert all(hasattr(strongroom, name) for name in strongroom.__all__)
    with pytest.raises(AttributeError):
        _ = strongroom.Nothing
