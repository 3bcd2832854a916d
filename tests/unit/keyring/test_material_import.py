"""What a key's owner brings is taken when it is a sound key of the spec, and refused without a word of what was in it."""

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.core import ManagedKeySpec, Secret
from strongroom.keyring import UnfitMaterialError, generate_material, material_of_import
from strongroom.keyring._material import MAX_MATERIAL_BYTES, open_pair, public_half
from strongroom.keyring._rsa_numbers import is_sound_rsa

PKCS8 = [spec for spec in ManagedKeySpec if spec.is_pair and spec.direct is not None and not spec.is_rsa]
BARE = [spec for spec in ManagedKeySpec if spec.is_symmetric or spec.mac_algorithm is not None]
OTHERS_RSA = rsa.generate_private_key(65_537, 2_048)
WEAK_RSA = rsa.generate_private_key(3, 2_048)
SMALL_RSA = rsa.generate_private_key(65_537, 1_024)  # noqa: S505  # to be refused


def pkcs8(key):
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("spec", [*PKCS8, ManagedKeySpec.RSA_2048])
def test_what_we_make_can_be_taken_over_again(spec):
    made = generate_material(spec)
    taken = material_of_import(spec, made.secret)
    assert taken.public_key == made.public_key
    assert taken.secret.matches(made.secret)
    assert public_half(open_pair(spec, taken.secret.reveal())) == made.public_key


@pytest.mark.parametrize("spec", [spec for spec in ManagedKeySpec if spec.direct is None])
def test_ml_dsa_is_taken_over_as_pkcs8_and_kept_as_its_seed(spec):
    made = generate_material(spec)
    key = open_pair(spec, made.secret.reveal())
    taken = material_of_import(spec, Secret(pkcs8(key)))
    assert (taken.public_key, len(taken.secret)) == (made.public_key, 32)
    assert taken.secret.matches(made.secret)


GENPKEY = {
    ManagedKeySpec.RSA_2048: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ManagedKeySpec.ECC_NIST_P256: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ManagedKeySpec.ECC_NIST_P521: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ManagedKeySpec.ECC_SECG_P256K1: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    ManagedKeySpec.ECC_NIST_EDWARDS25519: ["-algorithm", "ED25519"],
}


@pytest.mark.parametrize("spec", GENPKEY)
def test_keys_made_by_openssl_are_taken(spec):
    asked = ["openssl", "genpkey", *GENPKEY[spec], "-outform", "DER"]
    made = subprocess.run(asked, capture_output=True, check=True, timeout=60).stdout
    taken = material_of_import(spec, Secret(made))
    told = subprocess.run(
        ["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"],
        input=made, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert taken.public_key == told.stdout


@pytest.mark.parametrize("spec", [spec for spec in ManagedKeySpec if spec.is_pair])
def test_keys_of_another_kind_or_size_are_refused(spec):
    others = {
        ManagedKeySpec.RSA_2048: OTHERS_RSA,
        ManagedKeySpec.ECC_NIST_P256: ec.generate_private_key(ec.SECP256R1()),
        ManagedKeySpec.ECC_SECG_P256K1: ec.generate_private_key(ec.SECP256K1()),
        ManagedKeySpec.ECC_NIST_EDWARDS25519: ed25519.Ed25519PrivateKey.generate(),
        "brainpool": ec.generate_private_key(ec.BrainpoolP256R1()),
        "an exponent of 3": WEAK_RSA,
        "1,024 bits": SMALL_RSA,
    }
    for of, key in others.items():
        if of is spec:
            continue
        with pytest.raises(UnfitMaterialError):
            material_of_import(spec, Secret(pkcs8(key)))


@pytest.mark.parametrize("spec", BARE)
def test_bare_keys_are_taken_by_their_length(spec):
    taken = [length for length in range(200) if is_taken(spec, bytes(length))]
    bits = 256 if spec.is_symmetric else spec.mac_algorithm.bits
    longest = {"SYMMETRIC_DEFAULT": 32, "HMAC_224": 64, "HMAC_256": 64, "HMAC_384": 128, "HMAC_512": 128}[
        spec
    ]
    assert taken == list(range(bits // 8, longest + 1))


def is_taken(spec, key_bytes):
    try:
        material_of_import(spec, Secret(key_bytes))
    except UnfitMaterialError:
        return False
    return True


@pytest.mark.parametrize("spec", [*PKCS8, ManagedKeySpec.RSA_2048, ManagedKeySpec.ML_DSA_44])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_bytes_that_are_no_such_key_raise_one_error_that_says_nothing_of_them(spec, data):
    sound = pkcs8(OTHERS_RSA) if spec.is_rsa else generate_material(spec).secret.reveal()
    at = data.draw(st.integers(0, len(sound) - 1))
    outside = data.draw(
        st.sampled_from((sound[:at], sound + b"\x00", bytes(MAX_MATERIAL_BYTES + 1), b""))
        | st.binary(max_size=300)
    )
    if spec is ManagedKeySpec.ML_DSA_44 and outside == sound:
        return
    with pytest.raises(UnfitMaterialError) as refused:
        material_of_import(spec, Secret(outside))
    assert refused.value.__context__ is None or refused.value.__suppress_context__
    assert str(refused.value).startswith(f"the key material for {spec} ")
    for piece in (outside.hex(), repr(outside)):
        assert len(outside) < 8 or piece not in str(refused.value)


@pytest.mark.parametrize("spec", [ManagedKeySpec.RSA_2048, *PKCS8])
@settings(max_examples=40, deadline=None)
@given(at=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_changes_nothing(spec, at, bit):
    sound = pkcs8(OTHERS_RSA) if spec.is_rsa else generate_material(spec).secret.reveal()
    damaged = bytearray(sound)
    damaged[at % len(sound)] ^= 1 << bit
    try:
        taken = material_of_import(spec, Secret(damaged))
    except UnfitMaterialError:
        return
    # Ed25519 has no second half to compare with: any 32 bytes are a key. Else it was an encoding of the same key.
    is_same = taken.public_key == material_of_import(spec, Secret(sound)).public_key
    assert is_same or spec is ManagedKeySpec.ECC_NIST_EDWARDS25519


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["p", "q", "d", "dmp1", "dmq1", "iqmp"]), st.integers(1, 2**64))
def test_an_rsa_key_with_one_number_changed_is_unsound(name, change):
    numbers = OTHERS_RSA.private_numbers()
    assert is_sound_rsa(numbers)
    named = {one: getattr(numbers, one) for one in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    named[name] += change
    changed = rsa.RSAPrivateNumbers(**named, public_numbers=numbers.public_numbers)
    assert not is_sound_rsa(changed)


def test_an_rsa_key_of_composites_is_unsound():
    p, q, r, s = (rsa.generate_private_key(65_537, 1_024).private_numbers().p for _ in range(4))  # noqa: S505  # 512-bit primes
    left, right = p * q, r * s
    totient = (p - 1) * (q - 1) * (r - 1) * (s - 1)
    d = pow(65_537, -1, totient)
    numbers = rsa.RSAPrivateNumbers(
        left, right, d, d % (left - 1), d % (right - 1), pow(right, -1, left),
        rsa.RSAPublicNumbers(65_537, left * right),
    )  # fmt: skip
    assert not is_sound_rsa(numbers)
