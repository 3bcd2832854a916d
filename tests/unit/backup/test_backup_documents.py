"""The documents of backups: one spelling each, bounded, and refused when they contradict themselves."""

import hashlib
import hmac
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_documents import SHARE_KEY, SoftwareSigner, a_manifest, a_set, a_snapshot
from strongroom.backup import (
    AlteredBundleError,
    BackupError,
    BackupSet,
    MalformedSetError,
    MissingKeyError,
    NewerBundleError,
    SetTransport,
    SigningKey,
    WrongSetError,
    check_share_key,
    manifest_digest,
    read_manifest,
    read_set,
    set_hash,
    share_key_check,
    write_manifest,
    write_set,
)
from strongroom.core import Secret, TransportKind

SIGNER = SoftwareSigner()
SET = a_set(SIGNER.spki)
SET_BYTES = write_set(SET)
MANIFEST = a_manifest(SET, a_snapshot()[0])
MANIFEST_BYTES = write_manifest(MANIFEST)


def twice_of_one_kind(backup_set: BackupSet) -> SetTransport:
    """Return what a member cannot have: another transport key of a kind that it has one of."""
    (transport,) = backup_set.transports
    again = msgspec.structs.replace(transport.keys[0], cka_id="99" * 16)
    return msgspec.structs.replace(transport, keys=(*transport.keys, again))


def test_a_set_is_read_as_it_was_written() -> None:
    assert read_set(SET_BYTES) == SET
    assert read_manifest(MANIFEST_BYTES) == MANIFEST


def test_the_hash_of_a_set_is_that_of_its_file() -> None:
    assert set_hash(SET) == set_hash(read_set(SET_BYTES))
    assert set_hash(SET) != set_hash(a_set(SIGNER.spki, made_at=5))


@given(st.integers(min_value=0, max_value=len(SET_BYTES) - 1), st.integers(min_value=0, max_value=255))
def test_any_change_of_a_byte_gives_another_set_or_none(place: int, byte: int) -> None:
    data = bytearray(SET_BYTES)
    data[place] = byte
    if bytes(data) == SET_BYTES:
        return
    try:
        found = read_set(bytes(data))
    except BackupError:
        return
    assert found != SET
    assert write_set(found) == bytes(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(MalformedSetError):
        read_set(data)
    with pytest.raises(AlteredBundleError):
        read_manifest(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(json.loads(SET_BYTES))), inner)
        ),
        max_leaves=10,
    )
)
def test_any_json_is_refused_by_an_error_of_ours(value: object) -> None:
    data = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    with pytest.raises(BackupError):
        read_set(data)
    with pytest.raises(BackupError):
        read_manifest(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 6},
        {"threshold": 1},
        {"count": 17},
        {"custodians": SET.custodians[:4]},
        {"custodians": (*SET.custodians[:4], SET.custodians[0])},
        {"custodians": tuple(reversed(SET.custodians))},
        {"transports": SET.transports * 2},
        {"transports": (*SET.transports, msgspec.structs.replace(SET.transports[0], member="two"))},
        {"transports": (twice_of_one_kind(SET),)},
        {"transports": ()},
        {"set_id": "5E" * 16},
        {"share_key_check": ""},
        {"wrapped_private": bytes(9000)},
    ],
)
def test_a_set_that_cannot_be_is_not_written(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedSetError):
        write_set(a_set(SIGNER.spki, **changes))


def test_a_set_that_is_being_made_names_no_custodians_yet() -> None:
    making = a_set(SIGNER.spki, custodians=())
    assert read_set(write_set(making)) == making


def test_a_set_of_a_newer_version_is_told_as_such() -> None:
    newer = SET_BYTES.replace(b'"version":1', b'"version":2').replace(b'"count":5', b'"count":"five"')
    with pytest.raises(NewerBundleError):
        read_set(newer)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"is_current":true', b'"is_current":false'),
        (b'"made_at":1', b'"made_at":-1'),
        (b'"source":"one"', b'"source":"one","surplus":1'),
        (b'"snapshot_key_root":"70', b'"snapshot_key_root":"71'),
        (b'"sha256":"', b'"sha256":"x'),
        (b"d2" * 16, b"d1" * 16),
        (b'"name":"strongroom.toml"', b'"name":"strongroom.db-wal"'),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(was: bytes, becomes: bytes) -> None:
    assert was in MANIFEST_BYTES
    with pytest.raises(AlteredBundleError):
        read_manifest(MANIFEST_BYTES.replace(was, becomes))


@pytest.mark.parametrize(
    "changes",
    [
        {"roots": (*MANIFEST.roots, msgspec.structs.replace(MANIFEST.roots[0], is_current=False))},
        {"keys": MANIFEST.keys * 2},
        {
            "left_out": (
                *MANIFEST.left_out,
                msgspec.structs.replace(MANIFEST.left_out[0], key_id=MANIFEST.keys[0].key_id),
            )
        },
        {"custody": (b"a genesis",), "genesis_sha256": hashlib.sha256(b"another one").hexdigest()},
        {"custody": (b"a genesis",)},
    ],
    ids=["a root twice", "a key twice", "a key that is left out", "another genesis", "no genesis"],
)
def test_a_manifest_that_would_be_refused_is_not_written(changes: dict[str, object]) -> None:
    with pytest.raises(BackupError, match="what no manifest can say"):
        write_manifest(a_manifest(SET, a_snapshot()[0], **changes))


def test_a_manifest_names_the_genesis_that_is_in_it() -> None:
    genesis = hashlib.sha256(b"a genesis").hexdigest()
    written = write_manifest(
        a_manifest(SET, a_snapshot()[0], custody=(b"a genesis", b"later"), genesis_sha256=genesis)
    )
    assert read_manifest(written).genesis_sha256 == genesis


def test_what_is_signed_of_a_manifest_is_a_hash_of_a_label_of_its_own_and_its_bytes() -> None:
    labelled = b"strongroom-backup-manifest-v1\0" + MANIFEST_BYTES
    assert manifest_digest(MANIFEST_BYTES) == hashlib.sha256(labelled).digest()


def test_the_seal_of_a_set_is_that_of_its_label_its_bytes_and_its_share_key() -> None:
    key = hkdf_sha256(SHARE_KEY, b"strongroom backup set seal v1")
    unsealed = write_set(msgspec.structs.replace(SET, seal="0" * 64))
    assert SET.seal == hmac.digest(key, b"strongroom-backup-set-seal-v1\0" + unsealed, "sha256").hex()


def hkdf_sha256(key: bytes, info: bytes) -> bytes:
    """RFC 5869 without a salt, for 32 bytes, by the standard library."""
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), info + b"\1", "sha256")


def test_a_share_key_of_another_set_is_told_by_its_check_value() -> None:
    check_share_key(SET, Secret(SHARE_KEY))
    for wrong in (bytes(32), SHARE_KEY[:31], b""):
        with pytest.raises(WrongSetError):
            check_share_key(SET, Secret(wrong))


@pytest.mark.parametrize(
    "changes",
    [
        {"signing_key": SigningKey(cka_id="52" * 16, spki=SoftwareSigner().spki)},
        {"transports": (msgspec.structs.replace(SET.transports[0], mechanism=0x210A),)},
        {"origin": "hsm"},
        {"custodians": (msgspec.structs.replace(SET.custodians[0], name="Mallory"), *SET.custodians[1:])},
        {"seal": "0" * 64},
    ],
)
def test_a_document_that_somebody_changed_is_told_by_whoever_has_the_share_key(
    changes: dict[str, object],
) -> None:
    changed = msgspec.structs.replace(SET, **changes)
    assert read_set(write_set(changed)) == changed
    with pytest.raises(WrongSetError, match="changed after the ceremony"):
        check_share_key(changed, Secret(SHARE_KEY))


def test_the_check_value_of_a_share_key_never_changes() -> None:
    # made by HKDF as RFC 5869 writes it, with hmac of the standard library
    assert share_key_check(Secret(bytes(32))) == "3d7673d9150b372b"


def test_keys_that_are_missing_are_named() -> None:
    assert SET.transport("one", TransportKind.AES).kind is TransportKind.AES
    with pytest.raises(MissingKeyError, match="two"):
        SET.transport("two", TransportKind.AES)
    with pytest.raises(MissingKeyError, match="two"):
        SET.transports_of("two")
    with pytest.raises(MissingKeyError, match="77"):
        MANIFEST.root("77" * 16)
    with pytest.raises(MissingKeyError, match=r"other\.db"):
        MANIFEST.part("other.db")
