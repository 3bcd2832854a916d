"""A bundle is read as it was written, and whatever is wrong with one is told for what it is."""

import hashlib
import io
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_documents import (
    FILES,
    SNAPSHOT_KEY,
    MadeBundle,
    SoftwareSigner,
    a_bundle,
    a_set,
    wrapped_snapshot_key,
)
from strongroom.backup import (
    MAGIC,
    AlteredBundleError,
    BackupError,
    BundlePart,
    Manifest,
    MissingKeyError,
    NewerBundleError,
    NotABundleError,
    SnapshotFile,
    TruncatedBundleError,
    WrongSetError,
    decrypt_snapshot,
    encrypt_snapshot,
    manifest_digest,
    read_bundle,
    snapshot_key_blob,
    verify_bundle,
    write_bundle,
)
from strongroom.core import Secret
from strongroom.envelope import CHUNK_BYTES, Blob, Purpose

SIGNER = SoftwareSigner()
MADE = a_bundle(SIGNER)


def verify(data: bytes, made: MadeBundle = MADE) -> None:
    verify_bundle(io.BytesIO(data), made.backup_set)


def test_a_bundle_is_read_as_it_was_written() -> None:
    bundle = verify_bundle(io.BytesIO(MADE.data), MADE.backup_set)
    assert bundle.manifest == MADE.manifest
    assert bundle.snapshot_at == MADE.snapshot_at


def test_what_is_written_has_the_hash_that_is_returned() -> None:
    out = io.BytesIO()
    assert write_bundle(out, b"{}", b"s", [b"a", b"b"]) == hashlib.sha256(out.getvalue()).hexdigest()


def test_the_snapshot_gives_the_files_back(tmp_path: Path) -> None:
    file = io.BytesIO(MADE.data)
    written = decrypt_snapshot(
        file, MADE.manifest, Secret(SNAPSHOT_KEY), tmp_path, begins_at=MADE.snapshot_at
    )
    assert {name: path.read_bytes() for name, path in written.items()} == FILES
    assert {path.stat().st_mode & 0o777 for path in written.values()} == {0o600}
    assert snapshot_key_blob(file, MADE.manifest, begins_at=MADE.snapshot_at) == wrapped_snapshot_key()


def test_another_key_does_not_open_the_snapshot(tmp_path: Path) -> None:
    file = io.BytesIO(MADE.data)
    with pytest.raises(AlteredBundleError) as refused:
        decrypt_snapshot(file, MADE.manifest, Secret(bytes(32)), tmp_path, begins_at=MADE.snapshot_at)
    assert refused.value.part == "snapshot"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotABundleError),
        (b"SQLite format 3\0" + bytes(100), NotABundleError),
        (b"strongroom-backup-vX\n" + bytes(100), NotABundleError),
        (b"strongroom-backup-v2\n" + bytes(100), NewerBundleError),
        (b"strongroom-backup-v10\n" + bytes(100), NewerBundleError),
        (MAGIC[:9], TruncatedBundleError),
        (MAGIC + b"\0\0\0\0", AlteredBundleError),
        (MAGIC + b"\xff\xff\xff\xff", AlteredBundleError),
        (MAGIC + b"\0\0\0\x09", TruncatedBundleError),
    ],
)
def test_what_is_no_bundle_of_ours_is_told_for_what_it_is(data: bytes, error: type[BackupError]) -> None:
    with pytest.raises(error):
        verify(data)


@given(st.integers(min_value=1, max_value=len(MADE.data) - 1))
@example(MADE.snapshot_at)
def test_a_bundle_that_is_cut_off_anywhere_is_truncated(end: int) -> None:
    with pytest.raises(TruncatedBundleError):
        verify(MADE.data[:end])


@given(st.integers(min_value=0, max_value=len(MADE.data) - 1), st.integers(min_value=1, max_value=255))
def test_a_bundle_with_any_byte_changed_is_refused(place: int, by: int) -> None:
    data = bytearray(MADE.data)
    data[place] ^= by
    with pytest.raises(BackupError):
        verify(bytes(data))


@pytest.mark.parametrize(
    ("place", "part"),
    [
        (MADE.data.index(b'"direct"') + 2, "manifest"),
        (MADE.signature_at, "signature"),
        (MADE.signature_at + 40, "signature"),
        (MADE.snapshot_at - 1, "signature"),
        (MADE.snapshot_at + 200, "snapshot"),
        (len(MADE.data) - 1, "snapshot"),
    ],
)
def test_it_is_said_which_part_was_altered(place: int, part: BundlePart) -> None:
    data = bytearray(MADE.data)
    data[place] ^= 1
    with pytest.raises(AlteredBundleError) as refused:
        verify(bytes(data))
    assert refused.value.part == part
    assert part in refused.value.message


def test_a_manifest_that_somebody_else_signed_is_refused() -> None:
    other = a_bundle(SoftwareSigner())._replace(backup_set=MADE.backup_set)
    with pytest.raises(AlteredBundleError) as refused:
        verify(other.data)
    assert refused.value.part == "signature"


def written(manifest: bytes) -> bytes:
    """Return a bundle of any bytes in the place of the manifest, which nobody signed."""
    out = io.BytesIO()
    write_bundle(out, manifest, b"signature", [])
    return out.getvalue()


NAMES_THE_SET = b'{"keys":[,"set_id":"%s",' % MADE.manifest.set_id.encode()


@pytest.mark.parametrize("hostile", [b"[" * 1_000_000, b'[1],{"a":1},' * 100_000, b"\xff"])
def test_a_manifest_is_not_parsed_before_the_signature_over_its_bytes_is_verified(hostile: bytes) -> None:
    with pytest.raises(AlteredBundleError, match="not by the backup signing key") as refused:
        verify(written(NAMES_THE_SET + hostile))
    assert refused.value.part == "signature"


@pytest.mark.parametrize(
    "manifest", [b"{}", b'{"a":1,"set_id":"', b'{"a":1,"set_id":"' + b"5E" * 16 + b'"}', b'"set_id":"', b"["]
)
def test_a_manifest_that_names_no_set_is_refused(manifest: bytes) -> None:
    with pytest.raises(AlteredBundleError, match="names no set"):
        _ = read_bundle(io.BytesIO(written(manifest))).named_set


def test_the_set_that_a_bundle_names_is_read_without_parsing_it() -> None:
    assert read_bundle(io.BytesIO(MADE.data)).named_set == MADE.backup_set.set_id


def test_what_is_signed_and_no_manifest_is_refused() -> None:
    out = io.BytesIO()
    write_bundle(out, NAMES_THE_SET, SIGNER.sign(manifest_digest(NAMES_THE_SET)), [])
    with pytest.raises(AlteredBundleError) as refused:
        verify(out.getvalue())
    assert refused.value.part == "manifest"


def test_what_follows_behind_the_snapshot_is_refused() -> None:
    with pytest.raises(AlteredBundleError, match="more follows"):
        verify(MADE.data + b"x")


def test_the_bundle_of_another_set_is_told_by_the_sets_ids() -> None:
    other = a_set(SoftwareSigner().spki, set_id="ab" * 16)
    with pytest.raises(
        WrongSetError, match=f"made for the backup set {MADE.backup_set.set_id}, and this is {'ab' * 16}"
    ):
        verify_bundle(io.BytesIO(MADE.data), other)


def test_another_set_whose_key_signed_the_bundle_is_refused() -> None:
    other = a_set(SIGNER.spki, set_id="ab" * 16)
    with pytest.raises(WrongSetError, match="not the one that the bundle was made with"):
        verify_bundle(io.BytesIO(MADE.data), other)


def test_another_document_of_the_same_set_is_refused() -> None:
    other = a_set(SIGNER.spki, threshold=2)
    with pytest.raises(WrongSetError, match="not the one that the bundle was made with"):
        verify_bundle(io.BytesIO(MADE.data), other)


def test_a_bundle_that_says_that_its_keys_are_of_something_else_than_its_set_says_is_refused() -> None:
    # keys of HSMs that are said to be of SoftHSM would be put into SoftHSM, and nobody asked
    made = a_bundle(SIGNER, of_set={"origin": "hsm"}, origin="softhsm")
    with pytest.raises(WrongSetError, match="not the one that the bundle was made with"):
        verify_bundle(io.BytesIO(made.data), made.backup_set)


@pytest.mark.parametrize("genesis", ["", "ab" * 32])
def test_a_bundle_signed_for_other_officers_than_those_of_the_set_is_refused(genesis: str) -> None:
    # whoever can have the signing key sign, such as a broken-into API process, would else choose who approves a restore
    made = a_bundle(SIGNER, of_set={"genesis_sha256": "cd" * 32}, genesis_sha256=genesis)
    with pytest.raises(WrongSetError, match="other officers"):
        verify_bundle(io.BytesIO(made.data), made.backup_set)


def test_a_bundle_for_the_officers_of_the_set_and_one_of_a_home_that_got_officers_later_verify() -> None:
    for of_set in ("cd" * 32, ""):
        made = a_bundle(SIGNER, of_set={"genesis_sha256": of_set}, genesis_sha256="cd" * 32)
        assert verify_bundle(io.BytesIO(made.data), made.backup_set).manifest == made.manifest


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused_by_an_error_of_ours(data: bytes, begins_well: bool) -> None:  # noqa: FBT001
    with pytest.raises(BackupError):
        verify(MAGIC + data if begins_well else data)


@given(
    st.integers(min_value=MADE.snapshot_at, max_value=len(MADE.data) - 1),
    st.integers(min_value=1, max_value=255),
)
def test_a_snapshot_with_any_byte_changed_does_not_decrypt(place: int, by: int) -> None:
    data = bytearray(MADE.data)
    data[place] ^= by
    with tempfile.TemporaryDirectory() as folder, pytest.raises(BackupError):
        decrypt_snapshot(
            io.BytesIO(data), MADE.manifest, Secret(SNAPSHOT_KEY), Path(folder), begins_at=MADE.snapshot_at
        )


@given(st.integers(min_value=MADE.snapshot_at, max_value=len(MADE.data) - 1))
def test_a_snapshot_that_is_cut_off_anywhere_does_not_decrypt(end: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(BackupError):
        decrypt_snapshot(
            io.BytesIO(MADE.data[:end]),
            MADE.manifest,
            Secret(SNAPSHOT_KEY),
            Path(folder),
            begins_at=MADE.snapshot_at,
        )


@given(st.binary(max_size=200))
def test_any_bytes_in_the_place_of_a_snapshot_are_refused_by_an_error_of_ours(data: bytes) -> None:
    for begins in (b"", b"\x89SRF\r\n\x1a\n", MADE.data[MADE.snapshot_at : MADE.snapshot_at + 12]):
        file = io.BytesIO(begins + data)
        with pytest.raises(BackupError):
            snapshot_key_blob(file, MADE.manifest, begins_at=0)


@pytest.mark.parametrize(
    "parts",
    [
        {"strongroom.db": 1},
        {"strongroom.db": -1},
        {"strongroom.toml": 1},
        {"strongroom.toml": -1},
    ],
)
def test_files_of_other_sizes_than_the_manifest_says_are_refused(
    tmp_path: Path, parts: dict[str, int]
) -> None:
    listed = tuple(
        msgspec.structs.replace(part, size=part.size + parts.get(part.name, 0))
        for part in MADE.manifest.snapshot.parts
    )
    snapshot = msgspec.structs.replace(MADE.manifest.snapshot, parts=listed)
    manifest = msgspec.structs.replace(MADE.manifest, snapshot=snapshot)
    with pytest.raises(AlteredBundleError):
        decrypt_snapshot(
            io.BytesIO(MADE.data), manifest, Secret(SNAPSHOT_KEY), tmp_path, begins_at=MADE.snapshot_at
        )


def made_of(files: dict[str, bytes], purpose: Purpose = Purpose.SNAPSHOT_KEY) -> tuple[io.BytesIO, Manifest]:
    """Return a snapshot of some files, whose key was wrapped for a purpose, and the manifest that names it."""
    out = io.BytesIO()
    blob = wrapped_snapshot_key()
    wrapped = Blob.of_wrapped(purpose, blob.wrapping_key_id, blob.wrapped)
    snapshot = encrypt_snapshot(
        out,
        [SnapshotFile(name, io.BytesIO(content)) for name, content in files.items()],
        backup_id=MADE.manifest.backup_id,
        key=Secret(SNAPSHOT_KEY),
        wrapped_key=wrapped,
        revision="0014",
        counts={},
    )
    return out, msgspec.structs.replace(MADE.manifest, snapshot=snapshot)


def test_the_snapshot_of_another_bundle_is_told() -> None:
    other = msgspec.structs.replace(MADE.manifest, backup_id="0f" * 16)
    with pytest.raises(AlteredBundleError, match="that of another bundle"):
        snapshot_key_blob(io.BytesIO(MADE.data), other, begins_at=MADE.snapshot_at)


def test_a_key_that_was_wrapped_for_something_else_is_not_asked_for() -> None:
    out, manifest = made_of({"strongroom.db": b"x"}, Purpose.DOMAIN_KEK)
    with pytest.raises(AlteredBundleError, match="another purpose"):
        snapshot_key_blob(out, manifest, begins_at=0)


def test_a_key_under_another_root_than_the_manifest_names_is_told() -> None:
    other = msgspec.structs.replace(MADE.manifest, snapshot_key_root="0f" * 16)
    with pytest.raises(MissingKeyError, match="another one"):
        snapshot_key_blob(io.BytesIO(MADE.data), other, begins_at=MADE.snapshot_at)


def decrypted(out: io.BytesIO, manifest: Manifest, **changes: object) -> None:
    """Decrypt a snapshot whose manifest says something else of its first file, and names no other."""
    part = msgspec.structs.replace(manifest.snapshot.parts[0], **changes)
    snapshot = msgspec.structs.replace(manifest.snapshot, parts=(part,))
    with tempfile.TemporaryDirectory() as folder:
        decrypt_snapshot(
            out,
            msgspec.structs.replace(manifest, snapshot=snapshot),
            Secret(SNAPSHOT_KEY),
            Path(folder),
            begins_at=0,
        )


def test_a_file_of_the_right_size_with_another_content_is_refused() -> None:
    out, manifest = made_of({"strongroom.db": b"x"})
    decrypted(out, manifest)
    with pytest.raises(AlteredBundleError, match="not the file that the manifest names"):
        decrypted(out, manifest, sha256=hashlib.sha256(b"y").hexdigest())


@pytest.mark.parametrize("size", [CHUNK_BYTES, 16 * CHUNK_BYTES, 1])
def test_what_the_manifest_does_not_name_is_found_wherever_the_last_file_ends(size: int) -> None:
    out, manifest = made_of({"strongroom.db": bytes(size), "more": b"x"})
    with pytest.raises(AlteredBundleError, match="more in it than the manifest says"):
        decrypted(out, manifest)
