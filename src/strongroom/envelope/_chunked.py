"""Chunked encryption and decryption of a message that comes piece by piece, in constant memory."""

from collections.abc import Callable
from typing import ClassVar

from strongroom.core import Secret
from strongroom.envelope._chunk_cipher import (
    CHUNK_BYTES,
    ENCRYPTED_CHUNK_BYTES,
    PROLOGUE_BYTES,
    TAG_LEN_BYTES,
    ChunkCipher,
    check_chunk_count,
)
from strongroom.envelope._errors import EnvelopeError, TruncatedMessageError

_Run = Callable[[int, memoryview, memoryview], None]


class _ChunkStream:
    """Cuts what comes into chunks: whole ones are worked on where they lie, the rest waits for more."""

    input_chunk_bytes: ClassVar[int]
    """Data that comes in multiples of this is not copied."""
    output_chunk_bytes: ClassVar[int]

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._waiting = bytearray()  # always less than a unit
        self._done = 0  # chunks so far
        self._is_finished = False
        self._failure: EnvelopeError | None = None

    def output_bytes(self, input_bytes: int) -> int:
        """How many bytes the next update gives when it is handed so many."""
        return (len(self._waiting) + input_bytes) // self.input_chunk_bytes * self.output_chunk_bytes

    def update(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take more of the message, return what is ready: nothing, one chunk or many. Raises as ``update_into``."""
        target = bytearray(self.output_bytes(len(data)))
        self.update_into(data, target)
        return bytes(target)

    def update_into(self, data: bytes | bytearray | memoryview, target: bytearray | memoryview) -> int:
        """Do as ``update`` into a buffer of the caller's; returns how many bytes it holds now.

        Nothing is copied as long as data comes in multiples of whole chunks. Raises ValueError when the
        buffer is smaller than ``output_bytes`` says or the message is finished, EnvelopeIntegrityError when
        it grows over 4 PiB, or, at decryption, where a chunk does not authenticate.
        """
        self._require_open()
        source, written = memoryview(data), self.output_bytes(len(data))
        if len(target) < written:
            raise ValueError(f"the buffer has room for {len(target)} of {written} bytes")
        try:
            check_chunk_count(self._done + written // self.output_chunk_bytes + 1)
            self._take(source, memoryview(target)[:written])
        except EnvelopeError as error:
            self._failure = error
            raise
        return written

    def finish(self) -> bytes:
        """Return the end of the output; what came so far was the whole message. Raises as ``update_into``."""
        self._require_open()
        self._is_finished = True
        try:
            return self._last()
        except EnvelopeError as error:
            self._failure = error
            raise

    def _last(self) -> bytes:
        target = bytearray(len(self._waiting) + self.output_chunk_bytes - self.input_chunk_bytes)
        self._run(self._done, memoryview(self._waiting), memoryview(target))
        return bytes(target)

    def _take(self, source: memoryview, target: memoryview) -> None:
        if self._waiting:
            missing = self.input_chunk_bytes - len(self._waiting)
            self._waiting += source[:missing]
            source = source[missing:]
            if len(self._waiting) < self.input_chunk_bytes:
                return
            self._work(memoryview(self._waiting), target[: self.output_chunk_bytes])
            self._waiting, target = bytearray(), target[self.output_chunk_bytes :]
        whole = len(source) - len(source) % self.input_chunk_bytes
        if whole:
            self._work(source[:whole], target)
        self._waiting += source[whole:]

    def _work(self, source: memoryview, target: memoryview) -> None:
        self._run(self._done, source, target)
        self._done += len(source) // self.input_chunk_bytes

    def _require_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_finished:
            raise ValueError("the message is finished")


class ChunkEncryptor(_ChunkStream):
    """Encrypts one message: write ``prologue``, then what ``update`` and ``finish`` give.

    The result is 56 bytes longer than the message, and 16 more for each begun 16 KiB. For one thread at a time.
    """

    input_chunk_bytes, output_chunk_bytes = CHUNK_BYTES, ENCRYPTED_CHUNK_BYTES

    def __init__(self, input_key: bytes | Secret, context: bytes, *, salt: bytes | None = None) -> None:
        """Take a uniformly random key of 32 bytes; it may serve any number of messages.

        ``context`` is authenticated, not stored. The salt is random; only tests with known answers give one.
        Raises ValueError on a key or salt of another length.
        """
        cipher = ChunkCipher.for_new_message(input_key, context, salt=salt)
        super().__init__(cipher.encrypt_run)
        self.prologue = cipher.prologue
        """The first 56 bytes of the ciphertext: salt and commitment."""


class ChunkDecryptor(_ChunkStream):
    """Decrypts one message. Everything that it gives is authenticated; that it is all, ``finish`` says.

    After an error it gives nothing more, but raises the same error again. For one thread at a time.
    """

    input_chunk_bytes, output_chunk_bytes = ENCRYPTED_CHUNK_BYTES, CHUNK_BYTES

    def __init__(self, input_key: bytes | Secret, context: bytes, prologue: bytes) -> None:
        """Take the first 56 bytes of the ciphertext.

        Raises KeyCommitmentError when key or context are not those of encryption, TruncatedMessageError on a
        shorter prologue, and ValueError on a key that is not 32 bytes long.
        """
        super().__init__(ChunkCipher.of_message(input_key, context, prologue).decrypt_run)

    def _last(self) -> bytes:
        if len(self._waiting) < TAG_LEN_BYTES:  # after a full chunk at least the tag of an empty one follows
            raise TruncatedMessageError
        return super()._last()


def encrypted_bytes(plaintext_bytes: int) -> int:
    """Return how long the ciphertext of so long a message is, prologue included."""
    return PROLOGUE_BYTES + plaintext_bytes + (plaintext_bytes // CHUNK_BYTES + 1) * TAG_LEN_BYTES
