"""Chunked messages: pieces of any size, ranges, and everything that can be done to the bytes."""

import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.core import Secret
from strongroom.envelope import (
    CHUNK_BYTES,
    ENCRYPTED_CHUNK_BYTES,
    PROLOGUE_BYTES,
    ChunkDecryptor,
    ChunkEncryptor,
    ChunkReader,
    EnvelopeError,
    EnvelopeIntegrityError,
    KeyCommitmentError,
    TruncatedMessageError,
    encrypted_bytes,
)
from strongroom.envelope._chunk_cipher import MAX_CHUNKS

KEY = bytes(range(32))
CONTEXT = b"what it belongs to"
SIZES = st.sampled_from([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]) | st.integers(
    0, 50_000
)
CUTS = st.lists(st.integers(0, 50_000), max_size=6)


def message_of(length):
    return (b"0123456789abcdef." * (length // 17 + 1))[:length]


def encrypt(message, key=KEY, context=CONTEXT):
    encryptor = ChunkEncryptor(key, context)
    return encryptor.prologue + encryptor.update(message) + encryptor.finish()


def decrypt(ciphertext, key=KEY, context=CONTEXT):
    decryptor = ChunkDecryptor(key, context, ciphertext[:PROLOGUE_BYTES])
    return decryptor.update(ciphertext[PROLOGUE_BYTES:]) + decryptor.finish()


def cut(data, places):
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(SIZES, CUTS, CUTS)
@settings(max_examples=60, deadline=None)
def test_any_cutting_into_pieces_gives_the_same_message(size, cuts_in, cuts_out):
    message = message_of(size)
    encryptor = ChunkEncryptor(Secret(KEY), CONTEXT)
    ciphertext = encryptor.prologue
    for piece in cut(message, cuts_in):
        expected = encryptor.output_bytes(len(piece))
        made = encryptor.update(piece)
        assert len(made) == expected
        ciphertext += made
    ciphertext += encryptor.finish()
    assert len(ciphertext) == encrypted_bytes(size)
    decryptor = ChunkDecryptor(KEY, CONTEXT, ciphertext[:PROLOGUE_BYTES])
    opened = b"".join(decryptor.update(piece) for piece in cut(ciphertext[PROLOGUE_BYTES:], cuts_out))
    assert opened + decryptor.finish() == message


@given(SIZES, st.integers(0, 60_000), st.integers(0, 60_000), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_a_range_is_what_a_slice_of_the_message_is(size, start, length, begins_at):
    message = message_of(size)
    reader = ChunkReader(io.BytesIO(bytes(begins_at) + encrypt(message)), KEY, CONTEXT, begins_at=begins_at)
    assert reader.length == size
    assert reader.read_range(start, length) == message[start : start + length]


def test_a_long_range_comes_in_pieces():
    message = message_of(3_000_000)
    pieces = list(ChunkReader(io.BytesIO(encrypt(message)), KEY, CONTEXT).pieces(5, 2_999_990))
    assert b"".join(pieces) == message[5:2_999_995]
    assert max(map(len, pieces)) <= 1024 * 1024


def test_a_file_that_reads_little_at_a_time_reads_all_the_same():
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 1000))

    message = message_of(40_000)
    assert ChunkReader(Slow(encrypt(message)), KEY, CONTEXT).read_range(100, 39_000) == message[100:39_100]


def test_a_range_before_the_beginning_is_refused():
    reader = ChunkReader(io.BytesIO(encrypt(b"x")), KEY, CONTEXT)
    for start, length in ((-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="range"):
            reader.read_range(start, length)


def test_updates_into_a_buffer_need_enough_room():
    encryptor = ChunkEncryptor(KEY, CONTEXT)
    with pytest.raises(ValueError, match="room"):
        encryptor.update_into(bytes(CHUNK_BYTES), bytearray(ENCRYPTED_CHUNK_BYTES - 1))


def test_every_message_has_other_keys():
    assert len({encrypt(b"")[:PROLOGUE_BYTES] for _ in range(100)}) == 100
    assert encrypt(b"same")[PROLOGUE_BYTES:] != encrypt(b"same")[PROLOGUE_BYTES:]


@given(SIZES, st.data())
@settings(max_examples=80, deadline=None)
def test_a_flipped_bit_anywhere_is_noticed(size, data):
    ciphertext = bytearray(encrypt(message_of(size)))
    ciphertext[data.draw(st.integers(0, len(ciphertext) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(EnvelopeIntegrityError):
        decrypt(bytes(ciphertext))
    with pytest.raises(EnvelopeIntegrityError):
        ChunkReader(io.BytesIO(ciphertext), KEY, CONTEXT).read_range(0, size)


@given(SIZES, st.data())
@settings(max_examples=80, deadline=None)
def test_a_cut_off_end_is_noticed(size, data):
    ciphertext = encrypt(message_of(size))
    shorter = ciphertext[: data.draw(st.integers(0, len(ciphertext) - 1))]
    with pytest.raises((EnvelopeIntegrityError, TruncatedMessageError)):
        decrypt(shorter)
    with pytest.raises((EnvelopeIntegrityError, TruncatedMessageError)):
        ChunkReader(io.BytesIO(shorter), KEY, CONTEXT)


@given(SIZES, st.binary(min_size=1, max_size=20_000))
@settings(max_examples=40, deadline=None)
def test_an_extended_end_is_noticed(size, more):
    with pytest.raises((EnvelopeIntegrityError, TruncatedMessageError)):
        decrypt(encrypt(message_of(size)) + more)


@pytest.mark.parametrize("change", ["swap", "double", "drop first", "drop middle", "other message"])
def test_chunks_in_another_order_are_noticed(change):
    ciphertext = encrypt(message_of(3 * CHUNK_BYTES + 5))
    chunks = [
        ciphertext[at : at + ENCRYPTED_CHUNK_BYTES]
        for at in range(PROLOGUE_BYTES, len(ciphertext), ENCRYPTED_CHUNK_BYTES)
    ]
    match change:
        case "swap":
            chunks[0], chunks[1] = chunks[1], chunks[0]
        case "double":
            chunks.insert(1, chunks[0])
        case "drop first":
            del chunks[0]
        case "drop middle":
            del chunks[1]
        case "other message":
            chunks[1] = encrypt(message_of(3 * CHUNK_BYTES))[PROLOGUE_BYTES + ENCRYPTED_CHUNK_BYTES :][
                :ENCRYPTED_CHUNK_BYTES
            ]
    with pytest.raises(EnvelopeIntegrityError):
        decrypt(ciphertext[:PROLOGUE_BYTES] + b"".join(chunks))


def test_another_key_or_context_is_refused_before_anything_is_decrypted():
    ciphertext = encrypt(b"x")
    for key, context in ((bytes(32), CONTEXT), (KEY, CONTEXT + b"!"), (KEY, b"")):
        with pytest.raises(KeyCommitmentError):
            ChunkDecryptor(key, context, ciphertext[:PROLOGUE_BYTES])
        with pytest.raises(KeyCommitmentError):
            ChunkReader(io.BytesIO(ciphertext), key, context)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="32 bytes"):
        ChunkEncryptor(bytes(length), b"")
    with pytest.raises(ValueError, match="32 bytes"):
        ChunkDecryptor(bytes(length), b"", bytes(PROLOGUE_BYTES))


def test_a_salt_of_another_length_is_refused():
    with pytest.raises(ValueError, match="24 bytes"):
        ChunkEncryptor(KEY, b"", salt=bytes(23))


def test_after_an_error_a_decryptor_gives_nothing_more():
    ciphertext = bytearray(encrypt(message_of(2 * CHUNK_BYTES)))
    ciphertext[PROLOGUE_BYTES] ^= 1
    decryptor = ChunkDecryptor(KEY, CONTEXT, bytes(ciphertext[:PROLOGUE_BYTES]))
    body = ciphertext[PROLOGUE_BYTES:]
    for attempt in (lambda: decryptor.update(body), lambda: decryptor.update(b""), decryptor.finish):
        with pytest.raises(EnvelopeIntegrityError, match="chunk 0 does not authenticate"):
            attempt()


def test_what_does_not_authenticate_is_not_left_in_the_buffer():
    ciphertext = bytearray(encrypt(message_of(2 * CHUNK_BYTES)))
    ciphertext[-40] ^= 1  # in chunk 1
    decryptor = ChunkDecryptor(KEY, CONTEXT, bytes(ciphertext[:PROLOGUE_BYTES]))
    target = bytearray(2 * CHUNK_BYTES)
    with pytest.raises(EnvelopeIntegrityError, match="chunk 1 does not"):
        decryptor.update_into(ciphertext[PROLOGUE_BYTES:-16], target)
    assert target == bytes(2 * CHUNK_BYTES)


def test_a_finished_message_takes_nothing_more():
    encryptor = ChunkEncryptor(KEY, b"")
    encryptor.finish()
    for attempt in (lambda: encryptor.update(b"x"), encryptor.finish):
        with pytest.raises(ValueError, match="finished"):
            attempt()


def test_no_message_has_more_chunks_than_the_counter_allows():
    encryptor = ChunkEncryptor(KEY, b"")
    encryptor._done = MAX_CHUNKS - 2
    encryptor.update(bytes(CHUNK_BYTES))
    with pytest.raises(EnvelopeError, match="4 PiB"):
        encryptor.update(bytes(CHUNK_BYTES))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_typed_error(data):
    with pytest.raises(EnvelopeError):
        decrypt(data)
    with pytest.raises(EnvelopeError):
        ChunkReader(io.BytesIO(data), KEY, CONTEXT)
