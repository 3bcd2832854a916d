"""``AsyncEnvelope``: the same format from an event loop, in pieces of any size."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_client import FakeDataKeys
from strongroom import AsyncEnvelope, DataKeyCache, Envelope
from strongroom.envelope import (
    EnvelopeError,
    EnvelopeIntegrityError,
    MalformedFileError,
    TruncatedMessageError,
)

DATA = bytes(range(256)) * 300
CONTEXT = {"tenant": "7"}


async def collected_until_an_error(stream):
    given_out = b""
    try:
        async for piece in stream:
            given_out += piece
    except EnvelopeError as error:
        return given_out, error
    return given_out, None


@pytest.fixture
def source():
    return FakeDataKeys()


async def pieces_of(data, size):
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def collected(stream):
    return b"".join([piece async for piece in stream])


async def test_it_encrypts_what_the_other_decrypts_and_back(source):
    async with AsyncEnvelope("alias/one", source=source) as envelope:
        encrypted = await envelope.encrypt(DATA, context=CONTEXT)
        assert Envelope("alias/one", source=source).decrypt(encrypted, context=CONTEXT) == DATA
        assert await envelope.decrypt(encrypted, context=CONTEXT) == DATA


async def test_files(source, tmp_path):
    envelope = AsyncEnvelope("alias/one", source=source)
    (tmp_path / "plain").write_bytes(DATA)
    done = await envelope.encrypt_file(tmp_path / "plain", tmp_path / "sealed", context=CONTEXT)
    assert done.plaintext_bytes == len(DATA)
    await envelope.decrypt_file(tmp_path / "sealed", tmp_path / "back", context=CONTEXT)
    assert (tmp_path / "back").read_bytes() == DATA


@given(st.integers(0, 50_000), st.integers(500, 40_000), st.integers(500, 40_000))
@settings(max_examples=30, deadline=None)
def test_streams_of_any_pieces(size, size_in, size_out):
    async def there_and_back():
        envelope = AsyncEnvelope("alias/one", source=FakeDataKeys())
        sealed = await collected(envelope.encrypt_stream(pieces_of(DATA[:size], size_in), context=CONTEXT))
        return await collected(envelope.decrypt_stream(pieces_of(sealed, size_out), context=CONTEXT))

    assert asyncio.run(there_and_back()) == DATA[:size]


async def test_a_stream_in_single_bytes_and_one_in_a_long_piece(source):
    envelope = AsyncEnvelope("alias/one", source=source)
    long = DATA * 10
    sealed = await collected(envelope.encrypt_stream(pieces_of(long, len(long))))
    assert await collected(envelope.decrypt_stream(pieces_of(sealed, len(sealed)))) == long
    short = await collected(envelope.encrypt_stream(pieces_of(b"abc", 1)))
    assert await collected(envelope.decrypt_stream(pieces_of(short, 1))) == b"abc"


async def test_a_stream_gives_authentic_data_only_and_raises_where_it_is_cut_off(source):
    envelope = AsyncEnvelope("alias/one", source=source)
    sealed = await collected(envelope.encrypt_stream(pieces_of(DATA, 9999)))
    for end, kind in (
        (5, MalformedFileError), (30, MalformedFileError), (140, TruncatedMessageError), (-1, EnvelopeError), (-len(DATA), EnvelopeError),
    ):  # fmt: skip
        given_out, error = await collected_until_an_error(
            envelope.decrypt_stream(pieces_of(sealed[:end], 5000))
        )
        assert isinstance(error, kind)
        assert DATA.startswith(given_out)
    spoilt = bytearray(sealed)
    spoilt[-40_000] ^= 1
    with pytest.raises(EnvelopeIntegrityError):
        await collected(envelope.decrypt_stream(pieces_of(bytes(spoilt), 5000)))


async def test_a_slow_key_service_does_not_hold_up_the_loop(source):
    class Slow(FakeDataKeys):
        def generate_data_key(self, **request):
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), loop).result(5)
            return super().generate_data_key(**request)

    loop = asyncio.get_running_loop()
    envelope = AsyncEnvelope("alias/one", source=Slow())
    assert len(await asyncio.gather(*(envelope.encrypt(b"x") for _ in range(4)))) == 4


async def test_a_cache_is_shared_and_forgotten_at_the_end(source):
    cache = DataKeyCache(max_messages=100, max_bytes=10**6, max_age_s=60)
    async with AsyncEnvelope("alias/one", source=source, cache=cache) as envelope:
        for _ in range(5):
            await envelope.encrypt(b"x")
    assert source.generated == 1
    await AsyncEnvelope("alias/one", source=source, cache=cache).encrypt(b"x")
    assert source.generated == 2
