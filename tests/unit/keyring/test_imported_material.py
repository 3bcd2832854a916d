"""Key material that its owner brings: only the same comes back, what it encrypted opens, and it goes when told."""

import asyncio
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from strongroom.core import (
    KeyOrigin,
    KeyState,
    KeyUsage,
    MacAlgorithm,
    ManagedKeySpec,
    Secret,
    SigningAlgorithm,
    random_bytes,
)
from strongroom.keyring import (
    BroughtMaterial,
    DestructionScheduledError,
    ImportStateError,
    ImportTokenError,
    ImportTokenExpiredError,
    ImportType,
    ImportUnsupportedError,
    IncorrectKeyMaterialError,
    InvalidCiphertextError,
    KeyById,
    KeyKind,
    MessageType,
    PendingImportError,
    UnknownMaterialError,
    WrappingAlgorithm,
    WrappingUnsupportedError,
    generate_material,
)

DAY_S = 86_400.0
EXTERNAL = KeyKind(origin=KeyOrigin.EXTERNAL)
OLD, NEW = bytes(range(32)), bytes(range(100, 132))


def wrapped_for(parameters, algorithm, material):
    """Wrap as the owner of a key does, by ``cryptography`` alone."""
    digest = SHA1 if algorithm.endswith("SHA_1") else SHA256
    public_key = load_der_public_key(parameters.public_key)
    oaep = padding.OAEP(padding.MGF1(digest()), digest(), None)
    if not algorithm.is_hybrid:
        return public_key.encrypt(material, oaep)
    between = random_bytes(32)
    return public_key.encrypt(between, oaep) + aes_key_wrap_with_padding(between, material)


async def bring(
    keyring, key_id, material, *, algorithm=WrappingAlgorithm.RSAES_OAEP_SHA_256, expires_at=None, **said
):
    parameters = await keyring.imports.parameters(key_id, algorithm, 2048)
    brought = BroughtMaterial(
        parameters.token, wrapped_for(parameters, algorithm, material), expires_at, **said
    )
    return await keyring.imports.bring(key_id, brought)


@pytest.fixture
async def key_id(keyring):
    return (await keyring.create_key("imported", kind=EXTERNAL)).key_id


async def sealed(keyring, key_id, plaintext=b"data"):
    return (await keyring.encrypt(KeyById(key_id), Secret(plaintext), {})).ciphertext


async def opened(keyring, ciphertext):
    return (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal()


def state_of(keyring, key_id):
    return keyring.describe(KeyById(key_id)).state


@pytest.mark.parametrize("algorithm", WrappingAlgorithm)
async def test_a_key_works_once_its_material_was_brought(bench, keyring, key_id, algorithm):
    assert state_of(keyring, key_id) is KeyState.PENDING_IMPORT
    with pytest.raises(PendingImportError):
        await sealed(keyring, key_id)
    made = await bring(keyring, key_id, OLD, algorithm=algorithm)
    info = keyring.describe(KeyById(key_id))
    assert (info.state, info.material_id, info.expires_at) == (KeyState.ACTIVE, made.material_id, None)
    other = bench.open_keyring()
    assert await opened(other, await sealed(keyring, key_id)) == b"data"


async def test_what_was_encrypted_opens_after_the_same_material_came_back(bench, keyring, key_id):
    first = await bring(keyring, key_id, OLD)
    ciphertext = await sealed(keyring, key_id)
    assert await keyring.imports.delete(key_id) == first
    other = bench.open_keyring()
    for ring in (keyring, other):
        with pytest.raises(PendingImportError):
            await opened(ring, ciphertext)
        with pytest.raises(PendingImportError):
            await sealed(ring, key_id)
    with pytest.raises(IncorrectKeyMaterialError, match="imported before"):
        await bring(keyring, key_id, NEW)
    assert await keyring.imports.delete(key_id) == first
    assert await bring(other, key_id, OLD) == first
    for ring in (keyring, other):
        assert await opened(ring, ciphertext) == b"data"


@pytest.mark.parametrize("spec", [ManagedKeySpec.SYMMETRIC_DEFAULT, ManagedKeySpec.HMAC_256])
async def test_material_that_goes_while_an_hsm_is_asked_for_it_is_told_as_such(bench, keyring, spec):
    usage = KeyUsage.ENCRYPT_DECRYPT if spec.is_symmetric else KeyUsage.GENERATE_VERIFY_MAC
    key_id = (await keyring.create_key("imported", kind=KeyKind(spec, usage, KeyOrigin.EXTERNAL))).key_id
    await bring(keyring, key_id, OLD)
    cold = bench.open_keyring()
    use = (
        sealed(cold, key_id)
        if spec.is_symmetric
        else cold.uses.generate_mac(KeyById(key_id), MacAlgorithm.HMAC_SHA_256, b"message")
    )
    bench.cluster.hold_unwraps()
    under_way = asyncio.ensure_future(use)
    await bench.cluster.arrived.wait()
    await keyring.imports.delete(key_id)
    bench.cluster.let_go()
    with pytest.raises(PendingImportError):
        await under_way


async def test_deleted_material_is_nowhere_in_the_database(bench, keyring, key_id):
    await bring(keyring, key_id, OLD)
    stored = bench.stores[0].get_key_version(key_id, 1).wrapped
    await keyring.imports.delete(key_id)
    assert bench.stores[0].get_key_version(key_id, 1).wrapped == b""
    for store in bench.stores:
        store.close()
    assert stored not in bench.path.read_bytes()


async def test_material_is_recognised_by_no_plain_hash(bench, keyring):
    ids = set()
    for _ in range(2):
        key_id = (await keyring.create_key("x", kind=EXTERNAL)).key_id
        ids.add((await bring(keyring, key_id, OLD)).material_id)
    assert len(ids) == 2


async def test_a_key_of_another_origin_takes_no_material(keyring):
    made = await keyring.create_key("ours")
    with pytest.raises(ImportUnsupportedError):
        await keyring.imports.parameters(made.key_id, WrappingAlgorithm.RSAES_OAEP_SHA_256, 2048)
    with pytest.raises(ImportUnsupportedError):
        await keyring.imports.bring(made.key_id, BroughtMaterial(b"x", b"x", None))
    with pytest.raises(ImportUnsupportedError):
        await keyring.imports.delete(made.key_id)


async def test_a_token_is_for_one_key_and_one_day_and_survives_a_restart(bench, keyring, key_id):
    algorithm = WrappingAlgorithm.RSAES_OAEP_SHA_256
    parameters = await keyring.imports.parameters(key_id, algorithm, 2048)
    brought = BroughtMaterial(parameters.token, wrapped_for(parameters, algorithm, OLD), None)
    other_id = (await keyring.create_key("x", kind=EXTERNAL)).key_id
    restarted = bench.open_keyring()
    with pytest.raises(ImportTokenError):
        await restarted.imports.bring(other_id, brought)
    other_tag = parameters.token[:-1] + bytes([parameters.token[-1] ^ 1])
    for token in (b"", b"x", parameters.token[:-1], bytes(200), other_tag):
        with pytest.raises(ImportTokenError):
            await restarted.imports.bring(key_id, brought._replace(token=token))
    await restarted.imports.bring(key_id, brought)
    bench.clock.advance(DAY_S)
    with pytest.raises(ImportTokenExpiredError):
        await restarted.imports.bring(key_id, brought)


@pytest.mark.parametrize(
    "algorithm", [WrappingAlgorithm.RSAES_OAEP_SHA_256, WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_256]
)
async def test_what_does_not_unwrap_is_refused_in_one_way(keyring, key_id, algorithm):
    parameters = await keyring.imports.parameters(key_id, algorithm, 2048)
    good = wrapped_for(parameters, algorithm, OLD)
    public_key = load_der_public_key(parameters.public_key)
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    bad = [b"", b"x", good[:-1], good + b"x", b"x" + good[1:], good[:-1] + bytes([good[-1] ^ 1]), bytes(256)]
    bad.append(public_key.encrypt(b"15 bytes, no key", oaep)[:256] + bytes(40))
    for wrapped in bad:
        with pytest.raises(InvalidCiphertextError) as caught:
            await keyring.imports.bring(key_id, BroughtMaterial(parameters.token, wrapped, None))
        assert str(caught.value) == str(InvalidCiphertextError())
    assert state_of(keyring, key_id) is KeyState.PENDING_IMPORT


@pytest.mark.parametrize("size", [1, 16, 31, 33, 64])
async def test_material_of_another_length_is_incorrect(keyring, key_id, size):
    with pytest.raises(IncorrectKeyMaterialError):
        await bring(keyring, key_id, bytes(size))
    assert state_of(keyring, key_id) is KeyState.PENDING_IMPORT


async def test_expired_material_serves_nobody_from_its_date_on_and_is_deleted_later(bench, keyring, key_id):
    at = bench.clock.now() + 10 * DAY_S
    await bring(keyring, key_id, OLD, expires_at=at)
    ciphertext = await sealed(keyring, key_id)
    other = bench.open_keyring(ttl_s=1e9)
    assert await opened(other, ciphertext) == b"data"
    assert keyring.describe(KeyById(key_id)).expires_at == at
    bench.clock.advance(10 * DAY_S - 1)
    assert await opened(other, ciphertext) == b"data"
    assert keyring.imports.list_expired(limit=10) == []
    bench.clock.advance(1)
    await asyncio.sleep(0)  # what one turn of the loop handles sees one moment
    for ring in (keyring, other):
        with pytest.raises(PendingImportError):
            await opened(ring, ciphertext)
        assert state_of(ring, key_id) is KeyState.PENDING_IMPORT
    assert keyring.imports.list_expired(limit=10) == [key_id]
    assert len(await keyring.imports.expire_due(key_id)) == 1
    assert (await keyring.imports.expire_due(key_id), keyring.imports.list_expired(limit=10)) == ((), [])
    assert bench.stores[0].get_key_version(key_id, 1).wrapped == b""
    await bring(keyring, key_id, OLD)
    assert await opened(other, ciphertext) == b"data"
    assert keyring.describe(KeyById(key_id)).expires_at is None


async def test_new_material_waits_for_a_rotation_and_the_old_one_opens_what_it_encrypted(
    bench, keyring, key_id
):
    first = await bring(keyring, key_id, OLD, description="first")
    old = await sealed(keyring, key_id)
    with pytest.raises(ImportStateError, match="pending rotation"):
        await keyring.rotations.rotate_on_demand(key_id)
    second = await bring(keyring, key_id, NEW, kind=ImportType.NEW)
    assert keyring.describe(KeyById(key_id)).material_id == first.material_id
    with pytest.raises(ImportStateError, match="pending rotation already"):
        await bring(keyring, key_id, bytes(32), kind=ImportType.NEW)
    page = keyring.rotations.versions(key_id, limit=10, after=None, with_first=True)
    assert [(version.is_current, version.is_waiting) for version in page.versions] == [
        (True, False),
        (False, True),
    ]
    assert [version.description for version in page.versions] == ["first", ""]
    assert keyring.rotations.versions(key_id, limit=10, after=None, with_first=False).versions == ()
    await keyring.rotations.rotate_on_demand(key_id)
    new = await sealed(keyring, key_id)
    assert keyring.describe(KeyById(key_id)).material_id == second.material_id
    await keyring.imports.delete(key_id, first.material_id)
    with pytest.raises(PendingImportError):
        await opened(keyring, new)
    await bring(keyring, key_id, OLD)
    for ring in (keyring, bench.open_keyring()):
        assert [await opened(ring, ciphertext) for ciphertext in (old, new)] == [b"data", b"data"]
    assert (
        keyring.rotations.versions(key_id, limit=10, after=None, with_first=True).versions[0].description
        == "first"
    )


async def test_material_that_expired_while_it_waited_does_not_become_the_current_one(bench, keyring, key_id):
    first = await bring(keyring, key_id, OLD)
    await bring(keyring, key_id, NEW, kind=ImportType.NEW, expires_at=bench.clock.now() + DAY_S)
    bench.clock.advance(DAY_S)
    with pytest.raises(ImportStateError, match="pending rotation"):
        await keyring.rotations.rotate_on_demand(key_id)
    assert keyring.describe(KeyById(key_id)).material_id == first.material_id


async def test_material_that_waited_and_was_deleted_leaves_its_number_to_another(bench, keyring, key_id):
    """A ciphertext made up to name a waiting version must not bring its key into memory."""
    await bring(keyring, key_id, OLD)
    blob = bytearray(await sealed(keyring, key_id))
    blob[22] = 2  # the number of the version
    waiting = await bring(keyring, key_id, NEW, kind=ImportType.NEW)
    with pytest.raises(InvalidCiphertextError):
        await opened(keyring, bytes(blob))
    await keyring.imports.delete(key_id, waiting.material_id)
    assert state_of(keyring, key_id) is KeyState.ACTIVE
    await bring(keyring, key_id, bytes(32), kind=ImportType.NEW)
    await keyring.rotations.rotate_on_demand(key_id)
    made = await sealed(keyring, key_id)
    assert await opened(bench.open_keyring(), made) == b"data"


async def test_material_is_what_its_owner_takes_it_for(keyring, key_id):
    first = await bring(keyring, key_id, OLD)
    with pytest.raises(IncorrectKeyMaterialError, match="already"):
        await bring(keyring, key_id, OLD, kind=ImportType.NEW)
    with pytest.raises(IncorrectKeyMaterialError, match="named"):
        await bring(keyring, key_id, OLD, material_id="a" * 64)
    assert await bring(keyring, key_id, OLD, material_id=first.material_id) == first
    with pytest.raises(UnknownMaterialError):
        await keyring.imports.delete(key_id, "a" * 64)


async def test_a_date_of_destruction_stands_above_all(bench, keyring, key_id):
    await bring(keyring, key_id, OLD)
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    with pytest.raises(DestructionScheduledError):
        await bring(keyring, key_id, OLD)
    await keyring.imports.delete(key_id)
    assert keyring.describe(KeyById(key_id)).destroy_at is not None
    await keyring.lifecycle.cancel_destruction(key_id)
    assert state_of(keyring, key_id) is KeyState.PENDING_IMPORT
    for state in (KeyState.ACTIVE, KeyState.SUSPENDED):
        with pytest.raises(PendingImportError):
            await keyring.set_state(key_id, state)
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.clock.advance(7 * DAY_S)
    assert await keyring.lifecycle.destroy_due(key_id) is not None
    assert bench.stores[0].get_import_digest_key(key_id) is None


async def test_a_waiting_key_is_neither_rotated_nor_scheduled_for_it(keyring, key_id):
    with pytest.raises(PendingImportError):
        await keyring.rotations.rotate_on_demand(key_id)
    with pytest.raises(PendingImportError):
        keyring.rotations.status(key_id)
    assert keyring.rotations.versions(key_id, limit=10, after=None, with_first=True).versions == ()


@pytest.mark.parametrize("goes_by", ["deletion", "date", "date, before anybody looked"])
async def test_a_compromised_key_opens_nothing_without_its_material(bench, keyring, key_id, goes_by):
    await bring(keyring, key_id, OLD, expires_at=bench.clock.now() + DAY_S)
    ciphertext = await sealed(keyring, key_id)
    await keyring.lifecycle.mark_compromised(key_id)
    assert await opened(keyring, ciphertext) == b"data"
    if goes_by == "deletion":
        await keyring.imports.delete(key_id)
    else:
        bench.clock.advance(DAY_S)
    if goes_by == "date":
        assert await keyring.imports.expire_due(key_id)
    await asyncio.sleep(0)
    for ring in (keyring, bench.open_keyring()):
        with pytest.raises(PendingImportError):
            await opened(ring, ciphertext)
    with pytest.raises(ImportStateError, match="compromised"):
        await bring(keyring, key_id, OLD)
    assert state_of(keyring, key_id) is KeyState.COMPROMISED


async def test_a_key_that_is_marked_as_compromised_after_its_material_went_opens_nothing(keyring, key_id):
    await bring(keyring, key_id, OLD)
    ciphertext = await sealed(keyring, key_id)
    await keyring.imports.delete(key_id)
    await keyring.lifecycle.mark_compromised(key_id)
    with pytest.raises(PendingImportError):  # although its KEK is in memory
        await opened(keyring, ciphertext)


PAIRS = [
    (ManagedKeySpec.RSA_2048, SigningAlgorithm.RSASSA_PSS_SHA_256),
    (ManagedKeySpec.ECC_NIST_P256, SigningAlgorithm.ECDSA_SHA_256),
]


@pytest.mark.parametrize(("spec", "algorithm"), PAIRS)
async def test_a_private_key_signs_once_it_was_brought_and_only_the_same_comes_back(
    bench, keyring, spec, algorithm
):
    made = [generate_material(spec) for _ in range(2)]
    theirs, another = (material.secret.reveal() for material in made)
    kind = KeyKind(spec, KeyUsage.SIGN_VERIFY, KeyOrigin.EXTERNAL)
    key = KeyById((await keyring.create_key("pair", kind=kind)).key_id)
    with pytest.raises(PendingImportError):
        await keyring.uses.sign(key, algorithm, b"m", MessageType.RAW)
    hybrid = {"algorithm": WrappingAlgorithm.RSA_AES_KEY_WRAP_SHA_256}
    first = await bring(keyring, key.key_id, theirs, **hybrid)
    signed = await keyring.uses.sign(key, algorithm, b"m", MessageType.RAW)
    assert (await keyring.uses.public_key(key)).public_key == made[0].public_key
    await keyring.imports.delete(key.key_id)
    for kind_said in (None, ImportType.NEW):
        with pytest.raises(IncorrectKeyMaterialError):
            await bring(keyring, key.key_id, another, kind=kind_said, **hybrid)
    assert await bring(keyring, key.key_id, theirs, **hybrid) == first
    await bench.open_keyring().uses.verify(key, algorithm, b"m", MessageType.RAW, signed.signature)


async def test_material_of_rsa_does_not_go_under_oaep_alone(keyring):
    kind = KeyKind(ManagedKeySpec.RSA_2048, KeyUsage.SIGN_VERIFY, KeyOrigin.EXTERNAL)
    made = await keyring.create_key("pair", kind=kind)
    with pytest.raises(WrappingUnsupportedError):
        await keyring.imports.parameters(made.key_id, WrappingAlgorithm.RSAES_OAEP_SHA_256, 4096)


async def test_an_hmac_key_is_brought(bench, keyring):
    kind = KeyKind(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC, KeyOrigin.EXTERNAL)
    key = KeyById((await keyring.create_key("mac", kind=kind)).key_id)
    await bring(keyring, key.key_id, OLD)
    made = await keyring.uses.generate_mac(key, MacAlgorithm.HMAC_SHA_256, b"m")
    assert made.mac == hmac.digest(OLD, b"m", "sha256")
