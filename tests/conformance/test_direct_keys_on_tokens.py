"""Direct keys on five kinds of token: each usage gives right answers, and hostile data cost no member."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from strongroom.core import (
    HsmIntegrityError,
    HsmKey,
    HsmKeyId,
    HsmRequestError,
    KeySpec,
    KeyUsage,
    OaepAlgorithm,
    Secret,
    random_bytes,
)
from strongroom.hsm.public_keys import curve_of, encrypt_oaep, verify_signature
from tokens.capabilities import if_capable

NO_AGREEMENT = {"p11-kit", "opencryptoki"}  # CKM_ECDH1_DERIVE is not passed on there, or not offered
CURVES = [spec for spec in KeySpec if KeyUsage.KEY_AGREEMENT in spec.usages]


@pytest.fixture
def make(subject):
    """Make keys that are destroyed at the end."""
    made = []

    def generate(spec, usage):
        key = HsmKey(HsmKeyId(random_bytes(16)), spec, usage)
        spki = subject.token.direct.generate(key, "on a token", may_leave=False)
        made.append(key)
        return key, spki

    yield generate
    for key in made:
        subject.token.direct.destroy(key)


@pytest.mark.parametrize(
    "spec", [s for s in KeySpec if s.signing_algorithms and s not in {KeySpec.RSA_3072, KeySpec.RSA_4096}]
)
def test_signatures_verify_in_software(subject, make, spec):
    with if_capable(subject.kind, f"direct {spec.value}"):
        key, spki = make(spec, KeyUsage.SIGN_VERIFY)
        assert subject.token.direct.public_key(key) == spki
        for algorithm in spec.signing_algorithms:
            for _ in range(3):
                signed = random_bytes(algorithm.digest_len_bytes or 1000)
                signature = subject.token.direct.sign(key, algorithm, signed)
                verify_signature(spec, spki, algorithm, signed, signature)


@pytest.mark.parametrize("spec", CURVES)
def test_agreements_are_those_of_another_implementation(subject, make, spec):
    if subject.kind in NO_AGREEMENT:
        with pytest.raises(HsmRequestError, match="CKM_E"):
            make(spec, KeyUsage.KEY_AGREEMENT)
        return
    key, spki = make(spec, KeyUsage.KEY_AGREEMENT)
    public = load_der_public_key(spki)
    for _ in range(5):
        peer = ec.generate_private_key(curve_of(spec).implementation)
        peer_spki = peer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        agreed = subject.token.direct.derive(key, peer_spki)
        assert agreed.matches(Secret(peer.exchange(ec.ECDH(), public)))


def test_aes_decrypts_what_it_encrypted_and_nothing_else(subject, make):
    with if_capable(subject.kind, "direct AES_256"):
        key, _ = make(KeySpec.AES_256, KeyUsage.ENCRYPT_DECRYPT)
        plaintext = Secret(random_bytes(4096))
        sealed = subject.token.direct.encrypt(key, plaintext, bytes(8192))
        assert subject.token.direct.decrypt(key, sealed, bytes(8192)).matches(plaintext)
        for changed in (sealed._replace(tag=bytes(16)), sealed._replace(ciphertext=sealed.ciphertext[1:])):
            with pytest.raises(HsmIntegrityError):
                subject.token.direct.decrypt(key, changed, bytes(8192))
        assert subject.token.direct.decrypt(key, sealed, bytes(8192)).matches(plaintext)


@pytest.mark.parametrize("algorithm", OaepAlgorithm)
def test_hostile_rsa_ciphertexts_get_one_answer_and_cost_no_member(subject, make, algorithm):
    key, spki = make(KeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT)
    good = encrypt_oaep(key.spec, spki, algorithm, Secret(b"secret"))
    other = next(a for a in OaepAlgorithm if a is not algorithm)
    for hostile in (
        good[:-1] + bytes([good[-1] ^ 1]),
        bytes(256),
        bytes(255) + b"\x01",
        b"\xff" * 256,
        encrypt_oaep(key.spec, spki, other, Secret(b"secret")),
    ):
        with pytest.raises(HsmIntegrityError) as caught:
            subject.token.direct.decrypt_oaep(key, algorithm, hostile)
        assert caught.value.message == "the ciphertext does not decrypt"
        assert subject.token.direct.decrypt_oaep(key, algorithm, good).matches(Secret(b"secret"))
