"""Signed notes, checkpoints and their keys, by vectors of other implementations.

Vectors: golang/mod ``sumdb/note/note_test.go``; transparency-dev/formats ``note/note_verifier_test.go`` (a checkpoint of the
public log Rekor and one of the Pixel log); C2SP signed-note.md and tlog-cosignature.md; FiloSottile/torchwood (ML-DSA-44).
"""

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit._checkpoint import (
    Checkpoint,
    ed25519_cosigned,
    mldsa_cosigned,
    read_checkpoint,
)
from strongroom.audit._checkpoint_keys import KeyKind, LogKey, cosigned_at, read_log_key
from strongroom.audit._errors import MalformedNoteError
from strongroom.audit._note import Note, Signature, read_note, require_key_name, verify_note
from strongroom.core import VerificationFailedError

PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
ENOCH_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCH = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
REKOR_KEY = (
    "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZ"
    "LOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc="
)
REKOR = (
    "Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n— rekor.sigstore.dev wNI9ajBEAiARInWIWyCdyG27"
    "CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=\n"
)
PIXEL_KEY = (
    "pixel6_transparency_log+91c16e30+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN+4x0Jk1yTwvLFI9A4NDdGZcX0aiWVdWM5XJV"
    "y0M4VWD3AvyW5Q6Hs9A0mcDkpUoYgn+KKPNzFC0H3nN3q6JQ8="
)
PIXEL = (
    "DEFAULT\n10\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n\n— pixel6_transparency_log kcFuMDBFAiEAhqMAP8P6qf6QxtUJ"
    "hzMhbN+MbZ9dwfUHzGQJmffJHtoCIGD0cNe47dHWBoPwYdgBCepB06/+g5O1FmYjXl06owL4\n"
)
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SOFA_NOTE = (
    f"{SOFA}\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zy"
    "WE+xeMcTOAYQ8=\n— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
    "qhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
MLDSA_KEY, _, MLDSA_NOTE = (
    (Path(__file__).parents[2] / "vectors" / "tlog" / "mldsa_checkpoint.txt").read_bytes().partition(b"\n")
)


def _note(text: str) -> Note:
    return read_note(text.encode())


def test_a_note_of_another_implementation_verifies_and_reads_back():
    note = _note(f"{TEXT}\n{PETER}{ENOCH}")
    assert note.text == TEXT
    assert note.encode().decode() == f"{TEXT}\n{PETER}{ENOCH}"
    assert verify_note(note, [read_log_key(PETER_KEY)]) == (note.signatures[0],)
    assert verify_note(note, [read_log_key(ENOCH_KEY), read_log_key(PETER_KEY)]) == note.signatures


def test_a_note_that_is_signed_here_has_the_bytes_of_another_implementation():
    key = read_log_key(PETER_KEY)
    signer = Ed25519PrivateKey.from_private_bytes(base64.b64decode(PETER_SEED.split("+", 4)[4])[1:])
    signature = Signature(key.name, key.key_id, signer.sign(TEXT.encode()))
    assert Note(TEXT, ()).with_signatures([signature, signature]).encode().decode() == f"{TEXT}\n{PETER}"


@pytest.mark.parametrize("text", [PETER_KEY, ENOCH_KEY, REKOR_KEY, PIXEL_KEY, MLDSA_KEY.decode()])
def test_a_key_is_written_as_it_was_read(text):
    assert read_log_key(text).text() == text


def test_a_mangled_key_is_refused():
    for start in range(len(PETER_KEY)):
        for end in range(start, len(PETER_KEY) + 1):
            if (start, end) != (0, len(PETER_KEY)):
                with pytest.raises(MalformedNoteError):
                    read_log_key(PETER_KEY[start:end])
    for place, char in enumerate(PETER_KEY):
        with pytest.raises(MalformedNoteError):
            read_log_key(PETER_KEY[:place] + chr(ord(char) + 1) + PETER_KEY[place + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "bananas.sigstore.dev+12344556",
        "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!",
        "rekor.sigstore.dev+12345678+AwEB",
        REKOR_KEY.replace("c0d23d6a", "00000000"),
        PETER_KEY.replace("c74f20a3", "C74F20A3"),
        f"{PETER_KEY}=",
        "a" * 5000,
        "",
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(MalformedNoteError):
        read_log_key(text)


@pytest.mark.parametrize(("key", "note"), [(REKOR_KEY, REKOR), (PIXEL_KEY, PIXEL)])
def test_checkpoints_of_public_logs_with_ecdsa_keys_verify(key, note):
    verify_note(_note(note), [read_log_key(key)])
    with pytest.raises(VerificationFailedError):
        verify_note(_note(note.replace("\n\n", "\nmore\n\n")), [read_log_key(key)])


def test_a_checkpoint_that_another_implementation_cosigned_by_mldsa_verifies():
    key, note = read_log_key(MLDSA_KEY.decode()), read_note(MLDSA_NOTE)
    assert key.kind is KeyKind.MLDSA44_COSIGNER
    (signature,) = verify_note(note, [key])
    assert cosigned_at(signature.data) == 0
    for text in (note.text.replace("\n1\n", "\n2\n"), f"{note.text}more\n", note.text[:-2]):
        with pytest.raises(VerificationFailedError):
            key.verify(text, signature.data)
    with pytest.raises(VerificationFailedError):
        key.verify(note.text, signature.data[:-1])


def test_the_cosigned_bytes_are_those_of_the_specification():
    assert ed25519_cosigned(SOFA, 1679315147) == b"cosignature/v1\ntime 1679315147\n" + SOFA.encode()
    assert cosigned_at(_note(SOFA_NOTE).signatures[1].data) == 1679315147
    expected = b"subtree/v1\n\x00" + b"\x16witness.example.com/w1" + bytes.fromhex("00000000641850cb")
    expected += b"\x1bexample.com/behind-the-sofa" + bytes(8) + (20852163).to_bytes(8, "big")
    expected += base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    assert mldsa_cosigned("witness.example.com/w1", read_checkpoint(SOFA), 1679315147) == expected


@pytest.mark.parametrize("kind", [KeyKind.ED25519_COSIGNER, KeyKind.MLDSA44_COSIGNER])
def test_cosignatures_verify_and_are_bound_to_time_and_checkpoint(kind):
    name = "witness.example/w1"
    if kind is KeyKind.MLDSA44_COSIGNER:
        signer, signed = MLDSA44PrivateKey.generate(), mldsa_cosigned(name, read_checkpoint(SOFA), 7)
    else:
        signer, signed = Ed25519PrivateKey.generate(), ed25519_cosigned(SOFA, 7)
    key = LogKey(name, kind, signer.public_key().public_bytes_raw())
    signature = signer.sign(signed)
    key.verify(SOFA, (7).to_bytes(8, "big") + signature)
    assert read_log_key(key.text()) == key
    for text, data in [
        (SOFA, (8).to_bytes(8, "big") + signature),
        (SOFA.replace("20852163", "20852164"), (7).to_bytes(8, "big") + signature),
        (SOFA, (2**63).to_bytes(8, "big") + signature),
        (SOFA, signature),
        (SOFA, b""),
        ("no checkpoint\n", (7).to_bytes(8, "big") + signature),
    ]:
        with pytest.raises(VerificationFailedError):
            key.verify(text, data)


def test_key_ids_are_those_of_the_specification():
    raw = bytes(range(32))
    raw_key = Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    key = LogKey("example.com/foo", KeyKind.ED25519_COSIGNER, raw_key)
    assert key.key_id == hashlib.sha256(b"example.com/foo\n\x04" + raw_key).digest()[:4]
    encoded = base64.b64encode(b"\x04" + raw_key).decode()
    assert key.text() == f"example.com/foo+{key.key_id.hex()}+{encoded}"


def test_a_note_without_a_trusted_signature_is_refused():
    note = _note(f"{TEXT}\n{ENOCH}")
    for keys in ([], [read_log_key(PETER_KEY)]):
        with pytest.raises(VerificationFailedError):
            verify_note(note, keys)


def test_a_bad_signature_of_a_trusted_key_is_refused_beside_a_good_one():
    bad = f"{PETER[:60]}ABCD{PETER[60:]}"
    keys = [read_log_key(PETER_KEY), read_log_key(ENOCH_KEY)]
    for lines in (bad, PETER + bad, ENOCH + bad):
        with pytest.raises(VerificationFailedError):
            verify_note(_note(f"{TEXT}\n{lines}"), keys)


def test_signatures_that_share_only_name_or_id_with_a_trusted_key_are_passed_over():
    other_name = PETER.replace("PeterNeumann", "CarmenSandiego")
    other_id = PETER.replace("x08g", "xxxx")
    assert len(verify_note(_note(f"{TEXT}\n{other_name}{other_id}{PETER}"), [read_log_key(PETER_KEY)])) == 1


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        f"{TEXT}\n".encode(),
        f"{TEXT}\n{PETER[:-1]}".encode(),
        f"\x01{TEXT}\n{PETER}".encode(),
        b"\xff" + f"{TEXT}\n{PETER}".encode(),
        f"{TEXT}\n{PETER.replace('PeterNeumann', 'Bad Name')}".encode(),
        f"{TEXT}\n{PETER.replace('PeterNeumann', 'a+b')}".encode(),
        f"{TEXT}\n{PETER}Unexpected line.\n".encode(),
        f"{TEXT}\n{PETER * 101}".encode(),
        f"{TEXT}\n— PeterNeumann \n".encode(),
        f"{TEXT}\n— PeterNeumann AAAA\n".encode(),
        f"{TEXT}\n— PeterNeumann QUJDQUJD=\n".encode(),
        f"{TEXT}\n— PeterNeumann QUJDQUJDQR==\n".encode(),
        b"",
        b"\n" * 600_000,
    ],
)
def test_what_is_no_note_is_refused(data):
    with pytest.raises(MalformedNoteError):
        read_note(data)


def test_sixteen_signatures_are_accepted_and_the_last_empty_line_ends_the_text():
    assert len(_note(f"{TEXT}\n{PETER * 16}").signatures) == 16
    assert _note(f"{TEXT}\n{TEXT}\n{PETER}").text == f"{TEXT}\n{TEXT}"


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\N{NO-BREAK SPACE}b", "a\u2003b", "\n", "a" * 256])
def test_names_that_no_key_may_have_are_refused(name):
    with pytest.raises(MalformedNoteError):
        require_key_name(name)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_arbitrary_bytes_are_refused_in_words_or_read_back_the_same(data):
    for candidate in (data, f"{TEXT}\n".encode() + data, data + f"\n\n{PETER}".encode()):
        try:
            note = read_note(candidate)
        except MalformedNoteError:
            continue
        assert note.encode() == candidate


@given(st.text(max_size=60))
def test_arbitrary_texts_are_no_keys(text):
    with pytest.raises(MalformedNoteError):
        read_log_key(text)
    with pytest.raises(MalformedNoteError):
        read_log_key(f"{PETER_KEY}{text}x")


# Checkpoints


def test_a_checkpoint_has_the_bytes_of_another_implementation():
    root = hashlib.sha256(b"\x00hello world").digest()
    text = "go.sum database tree\n123456789012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n"
    assert Checkpoint("go.sum database tree", 123456789012, root).text() == text
    assert read_checkpoint(text) == Checkpoint("go.sum database tree", 123456789012, root)
    assert read_checkpoint(f"{text}JOE\n").extensions == ("JOE",)


@pytest.mark.parametrize(
    "text",
    [
        "o\n0xabcdef\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "o\n12\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBTOOBIG=\n",
        "o\n012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "o\n-1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "o\n\u0661\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "o\n0\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "o\n9223372036854775808\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "o\n12\nTszz\n",
        "o\n12\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=",
        "o\n12\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\nJOE",
        "o\n12\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n\n",
        "\n12\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        f"{'o' * 256}\n12\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "o\n12\n",
        "",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(MalformedNoteError):
        read_checkpoint(text)


@given(
    st.builds(
        Checkpoint,
        st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=60),
        st.integers(1, 2**63 - 1),
        st.binary(min_size=32, max_size=32),
        st.just(()),
    )
)
def test_a_checkpoint_reads_back(checkpoint):
    assert read_checkpoint(checkpoint.text()) == checkpoint
