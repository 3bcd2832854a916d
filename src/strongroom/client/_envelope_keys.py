"""What stands before the data: header and data key, when encryption or decryption begins."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from strongroom.client._cache import DataKeyCache
from strongroom.client._data_keys import DataKey, DataKeySource, generate_data_key, open_data_key
from strongroom.client._errors import ContextMismatchError
from strongroom.client._kms import KmsClient
from strongroom.envelope import (
    ChunkDecryptor,
    ChunkEncryptor,
    ChunkReader,
    FileHeader,
    SeekableBytes,
    encode_context,
)

_NO_CONTEXT: Mapping[str, str] = MappingProxyType({})


class Done(NamedTuple):
    """What was encrypted or decrypted."""

    plaintext_bytes: int
    encrypted_bytes: int
    """Header included."""
    key_id: str
    """ARN of the key that wraps the data key."""
    encryption_context: Mapping[str, str]
    """As it stands in the header."""


class EnvelopeKeys:
    """Key, source and cache of an ``Envelope``. ``key_id``: None decrypts under every key, and encrypts nothing."""

    def __init__(
        self, key_id: str | None, *, source: DataKeySource | None, cache: DataKeyCache | None
    ) -> None:
        self._key_id = key_id
        self._own_client: KmsClient | None = None
        if source is None:
            source = self._own_client = KmsClient.from_environment()
        self._source = source
        self._cache = cache
        if cache is not None:
            cache.belong_to(source)

    def close(self) -> None:
        """Close the connections that are our own, and forget cached data keys."""
        if self._own_client is not None:
            self._own_client.close()
        if self._cache is not None:
            self._cache.clear()

    def begin_encryption(
        self, n_bytes: int | None, context: Mapping[str, str] | None
    ) -> tuple[bytes, ChunkEncryptor, Done]:
        """Get a data key for a message of so many bytes (None: not known), and what encrypts it; the header comes first."""
        if self._key_id is None:
            raise ValueError("this Envelope was made without a key to encrypt under")
        pairs, key_id = dict(context or _NO_CONTEXT), self._key_id
        encoded = encode_context(pairs)  # before a key is asked for: it may be too long

        def generate() -> DataKey:
            return generate_data_key(self._source, key_id, pairs)

        if self._cache is None:
            key = generate()
        else:
            key = self._cache.for_encryption(key_id, encoded, n_bytes, generate)
        header = FileHeader(key.wrapped, pairs).encode()
        chunks = ChunkEncryptor(key.plaintext, header)
        key.plaintext.zeroize()
        return header, chunks, Done(0, len(header), key.key_id, pairs)

    def begin_decryption(
        self, header: bytes, prologue: bytes, expected: Mapping[str, str] | None
    ) -> tuple[ChunkDecryptor, Done]:
        """Get the data key that the header holds, and what decrypts the chunks after the prologue."""
        key, pairs = self._opened_key(header, expected)
        chunks = ChunkDecryptor(key.plaintext, header, prologue)
        key.plaintext.zeroize()
        return chunks, Done(0, len(header) + len(prologue), key.key_id, pairs)

    def begin_reading(
        self, header: bytes, file: SeekableBytes, expected: Mapping[str, str] | None
    ) -> ChunkReader:
        """Get the data key that the header at the beginning of ``file`` holds, and what reads parts."""
        key, _ = self._opened_key(header, expected)
        chunks = ChunkReader(file, key.plaintext, header, begins_at=len(header))
        key.plaintext.zeroize()
        return chunks

    def _opened_key(
        self, header: bytes, expected: Mapping[str, str] | None
    ) -> tuple[DataKey, Mapping[str, str]]:
        wrapped, pairs = FileHeader.parse(header)
        for name, value in (expected or _NO_CONTEXT).items():
            if pairs.get(name) != value:
                raise ContextMismatchError(
                    f"the data was encrypted with another encryption context: {name!r} is not what is expected",
                    next_step="is it another file than was meant?",
                )

        def unwrap() -> DataKey:
            return open_data_key(self._source, wrapped, pairs, key_id=self._key_id)

        if self._cache is None:
            return unwrap(), pairs
        return self._cache.for_decryption(wrapped, encode_context(pairs), self._key_id, unwrap), pairs
