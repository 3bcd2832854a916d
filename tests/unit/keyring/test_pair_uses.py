"""Pairs and HMAC keys of a real keyring: what they make verifies elsewhere, and what does not fit is refused."""

import asyncio
import hashlib
import hmac
import subprocess

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from strongroom.core import (
    KeyState,
    KeyUsage,
    MacAlgorithm,
    ManagedKeySpec,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
)
from strongroom.keyring import (
    DATA_KEY_PAIR_SPECS,
    AlgorithmError,
    DryRunError,
    InvalidCiphertextError,
    InvalidMacError,
    InvalidSignatureError,
    KeyById,
    KeyKind,
    KeyStateError,
    KeyUsageError,
    MessageType,
    NoPublicKeyError,
    UnfitRequestError,
    generate_material,
)

MESSAGE = b"a message to be signed"
FAST_PAIRS = [spec for spec in ManagedKeySpec if spec.is_pair and spec is not ManagedKeySpec.RSA_4096]
SLOW = {ManagedKeySpec.RSA_3072, ManagedKeySpec.RSA_4096}
HASHES = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}


async def make(keyring, spec, usage):
    return KeyById((await keyring.create_key("for tests", None, KeyKind(spec, usage))).key_id)


def verify_elsewhere(public_key, algorithm, signature):
    """With pyca/cryptography and the message, not with our own code and a digest."""
    key = load_der_public_key(public_key)
    if isinstance(key, rsa.RSAPublicKey):
        hashing = HASHES[algorithm.digest_len_bytes]
        pss = padding.PSS(padding.MGF1(hashing), hashing.digest_size)
        key.verify(signature, MESSAGE, pss if "PSS" in algorithm else padding.PKCS1v15(), hashing)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, MESSAGE, ec.ECDSA(HASHES[algorithm.digest_len_bytes]))
    else:
        assert isinstance(
            key,
            ed25519.Ed25519PublicKey
            | mldsa.MLDSA44PublicKey
            | mldsa.MLDSA65PublicKey
            | mldsa.MLDSA87PublicKey,
        )
        key.verify(signature, MESSAGE)


@pytest.mark.parametrize("spec", FAST_PAIRS)
async def test_every_algorithm_of_every_pair_signs_what_verifies_here_and_elsewhere(keyring, spec):
    key = await make(keyring, spec, KeyUsage.SIGN_VERIFY)
    half = await keyring.uses.public_key(key)
    assert (half.spec, half.usage) == (spec, KeyUsage.SIGN_VERIFY)
    for algorithm in spec.signing_algorithms:
        made = await keyring.uses.sign(key, algorithm, MESSAGE, MessageType.RAW)
        verify_elsewhere(half.public_key, algorithm, made.signature)
        found = await keyring.uses.verify(key, algorithm, MESSAGE, MessageType.RAW, made.signature)
        assert found == (made.key_id, made.material_id)
        for message, signature in (
            (MESSAGE + b"!", made.signature),
            (MESSAGE, made.signature[:-1]),
            (MESSAGE, b"x"),
        ):
            with pytest.raises(InvalidSignatureError):
                await keyring.uses.verify(key, algorithm, message, MessageType.RAW, signature)


@pytest.mark.parametrize("spec", [spec for spec in FAST_PAIRS if spec not in SLOW])
async def test_a_digest_or_a_representative_signs_as_its_message(keyring, spec):
    key = await make(keyring, spec, KeyUsage.SIGN_VERIFY)
    public_key = load_der_public_key((await keyring.uses.public_key(key)).public_key)
    for algorithm in spec.signing_algorithms:
        length, kind = algorithm.digest_len_bytes, MessageType.DIGEST
        if length is not None:
            prepared = hashlib.new(f"sha{8 * length}", MESSAGE).digest()
        elif spec is ManagedKeySpec.ECC_NIST_EDWARDS25519:
            with pytest.raises(UnfitRequestError):
                await keyring.uses.sign(key, algorithm, bytes(64), MessageType.DIGEST)
            continue
        else:
            hasher, kind = mldsa.MLDSAMuHasher(public_key), MessageType.EXTERNAL_MU
            hasher.update(MESSAGE)
            prepared = hasher.finalize()
        made = await keyring.uses.sign(key, algorithm, prepared, kind)
        await keyring.uses.verify(key, algorithm, MESSAGE, MessageType.RAW, made.signature)
        raw = await keyring.uses.sign(key, algorithm, MESSAGE, MessageType.RAW)
        await keyring.uses.verify(key, algorithm, prepared, kind, raw.signature)
        for wrong in (prepared[:-1], prepared + b"\x00"):
            with pytest.raises(UnfitRequestError, match="invalid length"):
                await keyring.uses.sign(key, algorithm, wrong, kind)


OPENSSL = [
    (
        ManagedKeySpec.RSA_2048,
        "RSASSA_PSS_SHA_256",
        ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
    ),
    (ManagedKeySpec.RSA_2048, "RSASSA_PKCS1_V1_5_SHA_512", []),
    (ManagedKeySpec.ECC_NIST_P384, "ECDSA_SHA_384", []),
    (ManagedKeySpec.ECC_SECG_P256K1, "ECDSA_SHA_256", []),
]


@pytest.mark.parametrize(("spec", "name", "options"), OPENSSL, ids=[name for _, name, _ in OPENSSL])
async def test_openssl_verifies_our_signatures(keyring, tmp_path, spec, name, options):
    algorithm = SigningAlgorithm(name)
    key = await make(keyring, spec, KeyUsage.SIGN_VERIFY)
    half, made = (
        await keyring.uses.public_key(key),
        await keyring.uses.sign(key, algorithm, MESSAGE, MessageType.RAW),
    )
    pem = load_der_public_key(half.public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files = {"key.pem": pem, "signature": made.signature, "message": MESSAGE}
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    digest = f"-sha{8 * algorithm.digest_len_bytes}"
    asked = ["openssl", "dgst", digest, *options, "-verify", "key.pem", "-signature", "signature", "message"]
    told = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert told.stdout.strip() == "Verified OK", told.stderr


@pytest.mark.parametrize("algorithm", MacAlgorithm)
async def test_macs_are_hmacs_and_verify(keyring, monkeypatch, algorithm):
    spec = ManagedKeySpec(f"HMAC_{algorithm.bits}")
    secrets = []

    def watched(spec):
        made = generate_material(spec)
        secrets.append(made.secret.reveal())
        return made

    monkeypatch.setattr("strongroom.keyring._creation.generate_material", watched)
    key = await make(keyring, spec, KeyUsage.GENERATE_VERIFY_MAC)
    made = await keyring.uses.generate_mac(key, algorithm, MESSAGE)
    [secret] = secrets
    assert len(secret) == algorithm.bits // 8
    assert made.mac == hmac.digest(secret, MESSAGE, f"sha{algorithm.bits}")
    await keyring.uses.verify_mac(key, algorithm, MESSAGE, made.mac)
    for message, mac in ((MESSAGE + b"!", made.mac), (MESSAGE, made.mac[:-1]), (MESSAGE, made.mac + b"\x00")):
        with pytest.raises(InvalidMacError):
            await keyring.uses.verify_mac(key, algorithm, message, mac)
    with pytest.raises(NoPublicKeyError):
        await keyring.uses.public_key(key)
    other = next(one for one in MacAlgorithm if one is not algorithm)
    with pytest.raises(AlgorithmError):
        await keyring.uses.generate_mac(key, other, MESSAGE)


@pytest.mark.parametrize("spec", [spec for spec in ManagedKeySpec if KeyUsage.KEY_AGREEMENT in spec.usages])
async def test_two_sides_agree_on_one_secret(keyring, spec):
    key = await make(keyring, spec, KeyUsage.KEY_AGREEMENT)
    mine = load_der_public_key((await keyring.uses.public_key(key)).public_key)
    other = ec.generate_private_key(mine.curve)
    spki = other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    made = await keyring.uses.derive(key, spki)
    assert made.shared_secret.reveal() == other.exchange(ec.ECDH(), mine)
    for wrong in (
        spki[:-1],
        spki + b"\x00",
        b"",
        generate_material(ManagedKeySpec.ECC_SECG_P256K1).public_key,
    ):
        with pytest.raises(UnfitRequestError, match="SubjectPublicKeyInfo"):
            await keyring.uses.derive(key, wrong)


@pytest.mark.parametrize("algorithm", OaepAlgorithm)
async def test_what_was_encrypted_under_the_public_half_decrypts_and_nothing_else(keyring, algorithm):
    key = await make(keyring, ManagedKeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT)
    limit = {"RSAES_OAEP_SHA_1": 214, "RSAES_OAEP_SHA_256": 190}[algorithm]
    for length in (1, limit):
        made = await keyring.uses.encrypt_oaep(key, Secret(bytes(length)), algorithm)
        opened = await keyring.uses.decrypt_oaep(key, made.ciphertext, algorithm)
        assert opened.plaintext.reveal() == bytes(length)
    for length in (0, limit + 1):
        with pytest.raises(UnfitRequestError, match=f"larger than {limit}"):
            await keyring.uses.encrypt_oaep(key, Secret(bytes(length)), algorithm)
    other = next(one for one in OaepAlgorithm if one is not algorithm)
    public = load_der_public_key((await keyring.uses.public_key(key)).public_key)
    nothing = public.encrypt(b"", padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    said = set()
    damaged = bytes([made.ciphertext[0] ^ 1]) + made.ciphertext[1:]
    for ciphertext, by in ((made.ciphertext, other), (damaged, algorithm), (made.ciphertext[:-1], algorithm),
                           (made.ciphertext + b"\x00", algorithm), (b"\xff" * 256, algorithm), (bytes(256), algorithm),
                           (b"", algorithm), (nothing, OaepAlgorithm.RSAES_OAEP_SHA_256)):  # fmt: skip
        with pytest.raises(InvalidCiphertextError) as refused:
            await keyring.uses.decrypt_oaep(key, ciphertext, by)
        said.add((str(refused.value), refused.value.key_id))
    assert said == {("the ciphertext does not authenticate", key.key_id)}


async def test_a_key_does_only_what_it_is_for(keyring):
    uses = keyring.uses
    signing = await make(keyring, ManagedKeySpec.RSA_2048, KeyUsage.SIGN_VERIFY)
    encrypting = await make(keyring, ManagedKeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT)
    rsa_algorithm = ManagedKeySpec.RSA_2048.signing_algorithms[0]
    ecdsa = ManagedKeySpec.ECC_NIST_P256.signing_algorithms[0]
    oaep = OaepAlgorithm.RSAES_OAEP_SHA_256
    with pytest.raises(KeyUsageError):
        await uses.encrypt_oaep(signing, Secret(b"x"), oaep)
    with pytest.raises(KeyUsageError):
        await uses.decrypt_oaep(signing, bytes(256), oaep)
    with pytest.raises(KeyUsageError):
        await uses.sign(encrypting, rsa_algorithm, MESSAGE, MessageType.RAW)
    with pytest.raises(AlgorithmError):
        await uses.sign(signing, ecdsa, MESSAGE, MessageType.RAW)
    for key, error in ((signing, KeyUsageError), (encrypting, AlgorithmError)):
        with pytest.raises(error):
            await keyring.encrypt(key, Secret(b"x"), {})
        with pytest.raises(error):
            await keyring.generate_data_key(key, 32, {})
        assert keyring.ready.encrypt(key, b"x", {}) is None
        with pytest.raises(error):
            await keyring.decrypt(bytes(256), {}, key=key)
    symmetric = KeyById((await keyring.create_key("symmetric")).key_id)
    with pytest.raises(AlgorithmError):
        await uses.encrypt_oaep(symmetric, Secret(b"x"), oaep)
    with pytest.raises(NoPublicKeyError):
        await uses.public_key(symmetric)


async def test_a_suspended_key_does_nothing_in_no_process(bench, keyring):
    spec = ManagedKeySpec.ECC_NIST_P256
    key = await make(keyring, spec, KeyUsage.SIGN_VERIFY)
    [algorithm] = spec.signing_algorithms
    other = bench.open_keyring()
    made = await other.uses.sign(key, algorithm, MESSAGE, MessageType.RAW)
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    for process in (keyring, other):
        with pytest.raises(KeyStateError):
            await process.uses.sign(key, algorithm, MESSAGE, MessageType.RAW)
        with pytest.raises(KeyStateError):
            await process.uses.verify(key, algorithm, MESSAGE, MessageType.RAW, made.signature)
        with pytest.raises(KeyStateError):
            await process.uses.public_key(key)


async def test_a_key_that_is_suspended_while_it_is_unwrapped_is_not_used(bench, keyring):
    spec = ManagedKeySpec.ECC_NIST_P256
    key = await make(keyring, spec, KeyUsage.SIGN_VERIFY)
    other = bench.open_keyring()
    bench.cluster.hold_unwraps()
    signing = asyncio.ensure_future(
        other.uses.sign(key, spec.signing_algorithms[0], MESSAGE, MessageType.RAW)
    )
    await bench.cluster.arrived.wait()
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    bench.cluster.let_go()
    with pytest.raises(KeyStateError):
        await signing


@pytest.mark.parametrize("spec", [spec for spec in DATA_KEY_PAIR_SPECS if spec not in SLOW])
async def test_a_pair_of_data_keys_belongs_together_and_opens_only_with_its_context(keyring, spec):
    key = KeyById((await keyring.create_key("symmetric")).key_id)
    made = await keyring.data_key_pairs.generate(key, spec, {"tenant": "7"})
    private_key = load_der_private_key(made.private_key.reveal(), None)
    spki = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert spki == made.public_key
    opened = await keyring.decrypt(made.ciphertext, {"tenant": "7"}, key=None)
    assert opened.plaintext.reveal() == made.private_key.reveal()
    with pytest.raises(InvalidCiphertextError):
        await keyring.decrypt(made.ciphertext, {"tenant": "8"}, key=None)
    hidden = await keyring.data_key_pairs.generate_without_plaintext(key, spec, {})
    assert not any(hidden.private_key.reveal())
    opened = await keyring.decrypt(hidden.ciphertext, {}, key=None)
    assert load_der_private_key(opened.plaintext.reveal(), None)


async def test_pairs_of_data_keys_are_those_of_symmetric_keys_and_none_is_made_for_another(
    keyring, monkeypatch
):
    key = await make(keyring, ManagedKeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT)

    def refuse(spec):
        raise AssertionError(f"a pair of {spec} was made in vain")

    monkeypatch.setattr("strongroom.keyring._data_key_pairs.generate_material", refuse)
    with pytest.raises(AlgorithmError):
        await keyring.data_key_pairs.generate(key, ManagedKeySpec.RSA_4096, {})
    symmetric = KeyById((await keyring.create_key("symmetric")).key_id)
    with pytest.raises(DryRunError):
        await keyring.data_key_pairs.generate(symmetric, ManagedKeySpec.RSA_4096, {}, dry_run=True)


async def test_re_encrypting_goes_from_any_algorithm_to_any(keyring):
    pair = await make(keyring, ManagedKeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT)
    symmetric = KeyById((await keyring.create_key("symmetric")).key_id)
    oaep, context = OaepAlgorithm.RSAES_OAEP_SHA_256, {"tenant": "7"}
    first = await keyring.either.encrypt(pair, Secret(MESSAGE), algorithm=oaep, context={})
    there = await keyring.either.re_encrypt(
        first.ciphertext, source_key=pair, source_algorithm=oaep, source_context={},
        key=symmetric, algorithm=None, context=context,
    )  # fmt: skip
    back = await keyring.either.re_encrypt(
        there.ciphertext, source_key=None, source_algorithm=None, source_context=context,
        key=pair, algorithm=oaep, context={},
    )  # fmt: skip
    assert (there.source_key_id, back.source_key_id) == (pair.key_id, symmetric.key_id)
    opened = await keyring.either.decrypt(back.ciphertext, key=pair, algorithm=oaep, context={})
    assert opened.plaintext.reveal() == MESSAGE
    with pytest.raises(UnfitRequestError, match="KeyId is required"):
        await keyring.either.decrypt(back.ciphertext, key=None, algorithm=oaep, context={})
    with pytest.raises(UnfitRequestError, match="context"):
        await keyring.either.decrypt(back.ciphertext, key=pair, algorithm=oaep, context=context)


async def test_a_signature_of_another_key_of_the_same_kind_does_not_verify(keyring):
    spec = ManagedKeySpec.ECC_NIST_P256
    one, other = [await make(keyring, spec, KeyUsage.SIGN_VERIFY) for _ in range(2)]
    [algorithm] = spec.signing_algorithms
    made = await keyring.uses.sign(one, algorithm, MESSAGE, MessageType.RAW)
    with pytest.raises(InvalidSignatureError) as refused:
        await keyring.uses.verify(other, algorithm, MESSAGE, MessageType.RAW, made.signature)
    assert refused.value.key_id == other.key_id
    half = await keyring.uses.public_key(other)
    with pytest.raises(InvalidSignature):
        verify_elsewhere(half.public_key, algorithm, made.signature)
