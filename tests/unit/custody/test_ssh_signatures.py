"""SSH signatures with the vectors of OpenSSH, hostile ones, and ssh-keygen on the other side."""

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from fakes_custody import UNHURRIED
from strongroom.custody import (
    NAMESPACE_APPROVAL,
    KeyKind,
    OfficerKey,
    OfficerKeyError,
    OfficerPrivateKey,
    SignatureRefusedError,
    armour,
    dearmour,
    key_of_signature,
    verify_signature,
)
from strongroom.custody._ssh_signatures import signature_blob, signed_bytes
from strongroom.custody._ssh_wire import wire_mpint, wire_string

# regress/unittests/sshsig/testdata of OpenSSH (BSD licence).
OPENSSH_MESSAGE = b"This is a test, this is only a test"
OPENSSH_NAMESPACE = "unittest"
OPENSSH = {
    KeyKind.P256: """\
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE
EE3sud88FV0N8FPspZSV7LWqj6uPPLRZiSsenNuEYAteWPyDgrZsWbLzXBuUJucepaCNuW
/QWgHBRbrjWj3ERm3AAAAAh1bml0dGVzdAAAAAAAAAAGc2hhNTEyAAAAZQAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAASgAAACEAycVNsTlE+XEZYyYiDxWZlliruf/pPMhEEMR/XLdQ
a4MAAAAhALQt+5gES7L3uKGptHB6UZQMuZ2WyI0C6FJs4v6AtMIU
""",
    KeyKind.SK_ED25519: """\
U1NIU0lHAAAAAQAAAEoAAAAac2stc3NoLWVkMjU1MTlAb3BlbnNzaC5jb20AAAAgmxoNhd
Biu5zpuKUJgMgrhhI54b7OatE7Yz23Tf//sscAAAAEc3NoOgAAAAh1bml0dGVzdAAAAAAA
AAAGc2hhNTEyAAAAZwAAABpzay1zc2gtZWQyNTUxOUBvcGVuc3NoLmNvbQAAAEAi+7eTjW
/+LQ2M+sCD+KFtH1n7VFFJon/SZFsxODyV8cWTlFKj617Ys1Ur5TV6uaEXQhck8rBA2oQI
HTPANLIPARI0Vng=
""",
    KeyKind.SK_P256: """\
U1NIU0lHAAAAAQAAAH8AAAAic2stZWNkc2Etc2hhMi1uaXN0cDI1NkBvcGVuc3NoLmNvbQ
AAAAhuaXN0cDI1NgAAAEEEoNVrmNFxPlXsTrKybBWLsclaHunkP6F5ss9qRBymcPZqMlno
b/hbO6GVhadyVZjrcmykOnb31GWGrkBPzr+DwAAAAARzc2g6AAAACHVuaXR0ZXN0AAAAAA
AAAAZzaGE1MTIAAAB3AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20A
AABIAAAAIHohGwyy8iKT3zwd1TYA9V/Ioo7h/3zCJUtyq/Qigt/HAAAAIGzidTwq7D/kFa
7Xjcp/KkdbIs4MfQpfAW/0OciajlpzARI0Vng=
""",
}
OPENSSH_KEYS = {
    KeyKind.P256: "SHA256:YInG0FuXzFrI4twnU4WIDUE7/iFeM9DVtx6zdi61Pvg",
    KeyKind.SK_ED25519: "SHA256:pbI9wlyrFSsUbp+GTiIAOqNMvoajbF2tHsPMECyrMYU",
}
MESSAGE = b'{"verb":"DestroyRoot"}'
SOFT = [KeyKind.ED25519, KeyKind.P256]


class SecurityKey:
    """What a FIDO security key does for SSH (PROTOCOL.u2f), in software, with flags of the test's choice."""

    def __init__(self, kind):
        self.kind = kind
        if kind.is_p256:
            self._private = ec.generate_private_key(ec.SECP256R1())
            point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            fields = (kind.encode(), b"nistp256", point, b"ssh:")
        else:
            self._private = ed25519.Ed25519PrivateKey.generate()
            fields = (kind.encode(), self._private.public_key().public_bytes_raw(), b"ssh:")
        self.public = OfficerKey.from_blob(b"".join(map(wire_string, fields)))

    def sign(self, message, namespace, *, flags=1, tail=b""):
        signed = signed_bytes(message, namespace)
        state = struct.pack(">BI", flags, 7)
        data = hashlib.sha256(b"ssh:").digest() + state + hashlib.sha256(signed).digest()
        if self.kind.is_p256:
            r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(hashes.SHA256())))
            inner = wire_mpint(r) + wire_mpint(s)
        else:
            inner = self._private.sign(data)
        signature = wire_string(self.kind.encode()) + wire_string(inner) + state + tail
        return signature_blob(self.public, namespace, signature)


@pytest.mark.parametrize("kind", OPENSSH)
def test_signatures_of_openssh_verify(kind):
    text = f"-----BEGIN SSH SIGNATURE-----\n{OPENSSH[kind]}-----END SSH SIGNATURE-----\n".encode()
    blob = dearmour(text)
    assert armour(blob) == text
    key = verify_signature(blob, OPENSSH_MESSAGE, OPENSSH_NAMESPACE)
    assert key.kind is kind
    assert key == key_of_signature(blob)
    assert key.fingerprint == OPENSSH_KEYS.get(kind, key.fingerprint)
    for message, namespace in ((OPENSSH_MESSAGE + b"\n", OPENSSH_NAMESPACE), (OPENSSH_MESSAGE, "file")):
        with pytest.raises(SignatureRefusedError):
            verify_signature(blob, message, namespace)


@pytest.mark.parametrize("kind", SOFT)
def test_what_a_key_signs_verifies_for_that_message_and_purpose_alone(kind):
    key = OfficerPrivateKey.generate(kind)
    blob = key.sign(MESSAGE, NAMESPACE_APPROVAL)
    assert verify_signature(blob, MESSAGE, NAMESPACE_APPROVAL) == key.public
    with pytest.raises(SignatureRefusedError, match="does not verify"):
        verify_signature(blob, MESSAGE + b" ", NAMESPACE_APPROVAL)
    with pytest.raises(SignatureRefusedError, match="another purpose"):
        verify_signature(blob, MESSAGE, "rejection@strongroom")


@pytest.mark.parametrize("kind", SOFT)
def test_every_cut_and_every_changed_byte_is_refused(kind):
    blob = OfficerPrivateKey.generate(kind).sign(MESSAGE, NAMESPACE_APPROVAL)
    for length in range(len(blob)):
        with pytest.raises(SignatureRefusedError):
            verify_signature(blob[:length], MESSAGE, NAMESPACE_APPROVAL)
    for at in range(len(blob)):
        changed = bytearray(blob)
        changed[at] ^= 1
        with pytest.raises(SignatureRefusedError):
            verify_signature(bytes(changed), MESSAGE, NAMESPACE_APPROVAL)
    with pytest.raises(SignatureRefusedError):
        verify_signature(blob + b"\0", MESSAGE, NAMESPACE_APPROVAL)


@pytest.mark.parametrize("kind", [KeyKind.SK_ED25519, KeyKind.SK_P256])
def test_a_security_key_counts_only_when_a_person_touched_it(kind):
    key = SecurityKey(kind)
    for flags in (0x01, 0x05):
        assert verify_signature(key.sign(MESSAGE, "x", flags=flags), MESSAGE, "x") == key.public
    for flags in (0x00, 0x04):
        with pytest.raises(SignatureRefusedError, match="did not see a person"):
            verify_signature(key.sign(MESSAGE, "x", flags=flags), MESSAGE, "x")
    for flags in (0x41, 0x81, 0x03):
        with pytest.raises(SignatureRefusedError, match="flags that are not known"):
            verify_signature(key.sign(MESSAGE, "x", flags=flags), MESSAGE, "x")
    with pytest.raises(SignatureRefusedError, match="left over"):
        verify_signature(key.sign(MESSAGE, "x", tail=b"\0"), MESSAGE, "x")


def test_the_flags_of_a_security_key_are_signed():
    blob = SecurityKey(KeyKind.SK_ED25519).sign(MESSAGE, "x", flags=0)
    assert blob[-5] == 0
    with pytest.raises(SignatureRefusedError, match="does not verify"):
        verify_signature(blob[:-5] + b"\x01" + blob[-4:], MESSAGE, "x")


def test_a_signature_of_another_kind_or_under_another_key_is_refused():
    plain, other = OfficerPrivateKey.generate(), OfficerPrivateKey.generate()
    signature = plain.sign(MESSAGE, "x")
    assert plain.public.blob in signature
    with pytest.raises(SignatureRefusedError):
        verify_signature(signature.replace(plain.public.blob, other.public.blob), MESSAGE, "x")
    p256 = OfficerPrivateKey.generate(KeyKind.P256)
    mixed = signature_blob(p256.public, "x", wire_string(b"ssh-ed25519") + wire_string(bytes(64)))
    with pytest.raises(SignatureRefusedError, match="another algorithm"):
        verify_signature(mixed, MESSAGE, "x")


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (wire_string(b""), wire_mpint(1)),
        (wire_string(b"\0"), wire_mpint(1)),
        (wire_string(b"\0\x01"), wire_mpint(1)),
        (wire_string(b"\x81"), wire_mpint(1)),
        (wire_mpint(2**256), wire_mpint(1)),
        (wire_mpint(1), wire_mpint(2**256 - 1)),
    ],
)
def test_numbers_of_ecdsa_have_one_form(r, s):
    key = OfficerPrivateKey.generate(KeyKind.P256).public
    blob = signature_blob(key, "x", wire_string(b"ecdsa-sha2-nistp256") + wire_string(r + s))
    with pytest.raises(SignatureRefusedError):
        verify_signature(blob, MESSAGE, "x")


def test_what_the_format_leaves_open_is_closed():
    key = OfficerPrivateKey.generate()
    blob = key.sign(MESSAGE, "x")
    tail = blob[blob.index(wire_string(b"sha512")) :]
    head = b"SSHSIG\0\0\0\1" + wire_string(key.public.blob) + wire_string(b"x")
    assert head + wire_string(b"") + tail == blob
    for reserved, rest in ((b"r", tail), (b"", tail.replace(b"sha512", b"sha256"))):
        with pytest.raises(SignatureRefusedError, match="SHA-512, or its reserved"):
            verify_signature(head + wire_string(reserved) + rest, MESSAGE, "x")
    with pytest.raises(SignatureRefusedError, match="version 1"):
        verify_signature(blob.replace(b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\2"), MESSAGE, "x")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\n" + text,
        lambda text: text + b"\n",
        lambda text: text + text,
        lambda text: text.replace(b"BEGIN SSH", b"BEGIN PGP"),
        lambda text: text.replace(b"-----END SSH SIGNATURE-----\n", b""),
        lambda text: text.replace(b"U1NI", b"U1N "),
        lambda text: text[:40] + b"=" + text[40:],
        lambda text: b"x" * 20_000,
    ],
)
def test_an_armour_has_one_form(change):
    text = armour(OfficerPrivateKey.generate().sign(MESSAGE, "x"))
    with pytest.raises(SignatureRefusedError):
        dearmour(change(text))


def test_base64_that_is_not_canonical_is_refused():
    text = armour(bytes(4))
    assert b"AAAAAA==" in text
    assert dearmour(text) == bytes(4)
    with pytest.raises(SignatureRefusedError, match="not canonical"):
        dearmour(text.replace(b"AAAAAA==", b"AAAAAB=="))


@UNHURRIED
@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused(data):
    with pytest.raises(SignatureRefusedError):
        verify_signature(data, MESSAGE, "x")
    with pytest.raises(SignatureRefusedError):
        dearmour(data)
    with pytest.raises(OfficerKeyError):
        OfficerKey.from_blob(data)


@UNHURRIED
@given(st.text(max_size=200))
def test_text_of_any_kind_is_no_key(text):
    with pytest.raises(OfficerKeyError):
        OfficerKey.from_line(text)


def test_a_line_of_a_public_key_says_what_the_key_is():
    key = OfficerPrivateKey.generate().public
    assert OfficerKey.from_line(f"{key.line} anna@example\n") == key
    kind, text = key.line.split()
    for line in (
        f"{kind}",
        f"ecdsa-sha2-nistp256 {text}",
        f"{kind}  {text}",
        f"{kind} {text[:-2]}A=",
        f"{key.line}{' ' * 2000}",
    ):
        with pytest.raises(OfficerKeyError):
            OfficerKey.from_line(line)


def _times_eight_is_neutral(y):
    """Whether the points with this y have an order that divides 8 (twisted Edwards curve of RFC 8032, by its formulas)."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    x2 = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    x = pow(x2, (p + 3) // 8, p)
    if x * x % p != x2:
        x = x * pow(2, (p - 1) // 4, p) % p
    assert x * x % p == x2
    for _ in range(3):
        t = d * x * x * y * y % p
        x, y = 2 * x * y * pow(1 + t, -1, p) % p, (y * y + x * x) * pow(1 - t, -1, p) % p
    return (x, y) == (0, 1)


def test_ed25519_keys_under_which_anything_verifies_are_refused():
    from strongroom.custody._officer_keys import _SMALL_ORDER

    assert all(map(_times_eight_is_neutral, _SMALL_ORDER))
    for y in {*_SMALL_ORDER, 2**255 - 19, 2**255 - 18}:
        for sign in (0, 2**255):
            blob = wire_string(b"ssh-ed25519") + wire_string((y | sign).to_bytes(32, "little"))
            with pytest.raises(OfficerKeyError, match="no sound key"):
                OfficerKey.from_blob(blob)


def test_points_that_are_not_on_the_curve_are_refused():
    good = OfficerPrivateKey.generate(KeyKind.P256).public.point
    for point in (
        good[:-1] + bytes([good[-1] ^ 1]),
        b"\x02" + good[1:33],
        b"\0",
        b"\x04" + bytes(64),
        good[:-1],
    ):
        blob = b"".join(map(wire_string, (b"ecdsa-sha2-nistp256", b"nistp256", point)))
        with pytest.raises(OfficerKeyError):
            OfficerKey.from_blob(blob)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_stock_ssh_keygen_signs_and_we_verify(ssh_keygen, tmp_path, kind):
    path = tmp_path / "key"
    ssh_keygen("-q", "-t", kind, "-N", "a passphrase of a test", "-f", path)
    request = tmp_path / "request.json"
    request.write_bytes(MESSAGE)
    public = OfficerKey.from_line(path.with_suffix(".pub").read_text())
    assert public.fingerprint.encode() in ssh_keygen("-lf", path.with_suffix(".pub")).stdout
    ssh_keygen("-p", "-f", path, "-P", "a passphrase of a test", "-N", "")  # it asks at a terminal only
    ssh_keygen("-Y", "sign", "-q", "-n", NAMESPACE_APPROVAL, "-f", path, request)
    blob = dearmour((tmp_path / "request.json.sig").read_bytes())
    assert verify_signature(blob, MESSAGE, NAMESPACE_APPROVAL) == public


@pytest.mark.parametrize("kind", [*SOFT, KeyKind.SK_ED25519, KeyKind.SK_P256])
def test_we_sign_and_stock_ssh_keygen_verifies(ssh_keygen, tmp_path, kind):
    key = SecurityKey(kind) if kind.is_security_key else OfficerPrivateKey.generate(kind)
    (tmp_path / "allowed").write_text(f"anna {key.public.line}\n")
    (tmp_path / "signature").write_bytes(armour(key.sign(MESSAGE, NAMESPACE_APPROVAL)))
    ask = ("-Y", "verify", "-f", tmp_path / "allowed", "-I", "anna", "-s", tmp_path / "signature")
    assert ssh_keygen(*ask, "-n", NAMESPACE_APPROVAL, data=MESSAGE).returncode == 0
    assert ssh_keygen(*ask, "-n", NAMESPACE_APPROVAL, data=MESSAGE + b" ", check=False).returncode != 0
    assert ssh_keygen(*ask, "-n", "file", data=MESSAGE, check=False).returncode != 0


def test_wire_numbers_are_in_their_shortest_form():
    assert [wire_mpint(n)[4:].hex() for n in (0, 1, 127, 128, 255, 256)] == [
        "",
        "01",
        "7f",
        "0080",
        "00ff",
        "0100",
    ]
    assert base64.b64encode(wire_string(b"ssh-ed25519")).decode() == "AAAAC3NzaC1lZDI1NTE5"
