"""Keys inside the HSMs of a custom key store: made, used, bound, taken out of use, rotated and ended."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fakes_direct_keys import CLUSTER
from strongroom.core import (
    HsmIntegrityError,
    HsmKeyId,
    HsmRequestError,
    KeyOrigin,
    KeyState,
    KeyUsage,
    MacAlgorithm,
    ManagedKeySpec,
    NoMemberError,
    OaepAlgorithm,
    Secret,
    SigningAlgorithm,
    WrapAlgorithm,
)
from strongroom.envelope import Blob
from strongroom.keyring import (
    ClusterNotActiveError,
    ClusterNotFoundError,
    Connection,
    ContextTooLongError,
    InvalidCiphertextError,
    InvalidMacError,
    InvalidSignatureError,
    KeyById,
    KeyDestroyedError,
    KeyKind,
    KeyRefusedByHsmsError,
    KeyStateError,
    KeyStoreHasKeysError,
    KeyStoreNameInUseError,
    KeyStoreNotFoundError,
    KeyStoreStateError,
    KeyUnavailableError,
    KeyUsageError,
    MessageType,
    MissingRecordError,
    RotationUnsupportedError,
)
from strongroom.storage import HsmKeyState

SYMMETRIC, CONTEXT = ManagedKeySpec.SYMMETRIC_DEFAULT, {"tenant": "7"}
DAY_S = 86_400


@pytest.fixture
async def store(keyring):
    info = await keyring.key_stores.create("hsm", CLUSTER)
    await keyring.key_stores.connect(info.store_id)
    return info.store_id


async def make(keyring, store, spec=SYMMETRIC, usage=KeyUsage.ENCRYPT_DECRYPT):
    return await keyring.create_key("k", {}, KeyKind(spec, usage, KeyOrigin.AWS_CLOUDHSM, store))


@pytest.fixture
async def key(keyring, store):
    return KeyById((await make(keyring, store)).key_id)


def hsm_key_of(bench, key, version=1):
    return bench.stores[-1].get_key_version(key.key_id, version).hsm_key_id


async def test_a_key_says_where_it_is(keyring, store):
    made = await make(keyring, store)
    told = keyring.describe(KeyById(made.key_id))
    assert told == made
    assert (told.origin, told.store_id, told.cluster_id) == (KeyOrigin.AWS_CLOUDHSM, store, CLUSTER)
    assert told.is_available


async def test_what_is_encrypted_inside_is_decrypted_inside_and_bound_to_its_context(bench, keyring, key):
    made = await keyring.encrypt(key, Secret(b"x" * 4096), CONTEXT)
    blob = Blob.parse(made.ciphertext)
    assert (blob.algorithm, blob.wrapping_key_version) == (WrapAlgorithm.HSM_AES_GCM, 1)
    opened = await keyring.decrypt(made.ciphertext, CONTEXT, key=None)
    assert (opened.key_id, opened.plaintext.reveal()) == (key.key_id, b"x" * 4096)
    for context in ({}, {"tenant": "8"}, {"tenan": "t7"}):
        with pytest.raises(InvalidCiphertextError):
            await keyring.decrypt(made.ciphertext, context, key=None)
    assert keyring.ready.decrypt(made.ciphertext, CONTEXT, key=None) is None
    assert keyring.ready.encrypt(key, b"x", CONTEXT) is None


async def test_no_byte_of_a_ciphertext_can_be_changed(keyring, key):
    made = (await keyring.encrypt(key, Secret(b"attack at dawn"), CONTEXT)).ciphertext
    for at in range(len(made)):
        with pytest.raises((InvalidCiphertextError, KeyUnavailableError)):
            await keyring.decrypt(made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :], CONTEXT, key=None)


async def test_a_ciphertext_opens_under_no_other_key_not_even_with_the_same_direct_key(
    bench, keyring, store, key
):
    """Whoever can write the database can let two names stand for one Direct key; ciphertexts are bound to the name."""
    other = KeyById((await make(keyring, store)).key_id)
    version = bench.stores[-1].get_key_version(key.key_id, 1)
    made = (await keyring.encrypt(key, Secret(b"x"), {})).ciphertext

    def swap(tx):
        tx.delete_material(other.key_id)
        tx.insert_key_version(version._replace(key_id=other.key_id))

    await bench.stores[-1].write(swap)
    blob = Blob.parse(made)._replace(wrapping_key_id=bytes.fromhex(other.key_id.replace("-", "")))
    with pytest.raises(InvalidCiphertextError):
        await keyring.decrypt(blob.encode(), {}, key=None)


async def test_a_ciphertext_of_software_is_none_of_a_key_inside_and_the_other_way_round(keyring, key):
    outside = KeyById((await keyring.create_key("e")).key_id)
    for one, another in ((outside, key), (key, outside)):
        blob = Blob.parse((await keyring.encrypt(one, Secret(b"x"), {})).ciphertext)
        moved = blob._replace(wrapping_key_id=bytes.fromhex(another.key_id.replace("-", "")))
        with pytest.raises(InvalidCiphertextError):
            await keyring.decrypt(moved.encode(), {}, key=None)


async def test_data_keys_and_re_encryption_go_through_the_hsm(keyring, key):
    outside = KeyById((await keyring.create_key("e")).key_id)
    data_key = await keyring.generate_data_key(key, 32, CONTEXT)
    moved = await keyring.re_encrypt(
        data_key.ciphertext, source_key=None, source_context=CONTEXT, key=outside, context={}
    )
    back = await keyring.re_encrypt(
        moved.ciphertext, source_key=None, source_context={}, key=key, context=CONTEXT
    )
    opened = await keyring.decrypt(back.ciphertext, CONTEXT, key=key)
    assert opened.plaintext.matches(data_key.plaintext)


async def test_a_context_that_is_too_long_for_hsms_is_the_callers_fault(keyring, key):
    await keyring.encrypt(key, Secret(b"x"), {"a": "b" * 8_000})
    with pytest.raises(ContextTooLongError):
        await keyring.encrypt(key, Secret(b"x"), {"a": "b" * 8_200})


async def test_pairs_sign_inside_and_are_verified_by_their_public_half(keyring, store):
    key = KeyById((await make(keyring, store, ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)).key_id)
    algorithm = SigningAlgorithm.ECDSA_SHA_256
    signed = await keyring.uses.sign(key, algorithm, b"message", MessageType.RAW)
    await keyring.uses.verify(key, algorithm, b"message", MessageType.RAW, signed.signature)
    with pytest.raises(InvalidSignatureError):
        await keyring.uses.verify(key, algorithm, b"other", MessageType.RAW, signed.signature)
    half = await keyring.uses.public_key(key)
    assert isinstance(load_der_public_key(half.public_key), ec.EllipticCurvePublicKey)
    with pytest.raises(KeyUsageError):
        await keyring.encrypt(key, Secret(b"x"), {})


async def test_macs_agreement_and_rsa_decryption_happen_inside(keyring, store):
    mac_key = KeyById(
        (await make(keyring, store, ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)).key_id
    )
    made = await keyring.uses.generate_mac(mac_key, MacAlgorithm.HMAC_SHA_256, b"m")
    await keyring.uses.verify_mac(mac_key, MacAlgorithm.HMAC_SHA_256, b"m", made.mac)
    with pytest.raises(InvalidMacError):
        await keyring.uses.verify_mac(mac_key, MacAlgorithm.HMAC_SHA_256, b"n", made.mac)
    one, two = [
        KeyById((await make(keyring, store, ManagedKeySpec.ECC_NIST_P384, KeyUsage.KEY_AGREEMENT)).key_id)
        for _ in range(2)
    ]
    halves = [(await keyring.uses.public_key(key)).public_key for key in (one, two)]
    secrets = [await keyring.uses.derive(one, halves[1]), await keyring.uses.derive(two, halves[0])]
    assert secrets[0].shared_secret.matches(secrets[1].shared_secret)
    rsa = KeyById((await make(keyring, store, ManagedKeySpec.RSA_2048)).key_id)
    sealed = await keyring.uses.encrypt_oaep(rsa, Secret(b"x"), OaepAlgorithm.RSAES_OAEP_SHA_256)
    opened = await keyring.uses.decrypt_oaep(rsa, sealed.ciphertext, OaepAlgorithm.RSAES_OAEP_SHA_256)
    assert opened.plaintext.reveal() == b"x"
    for wrong in (b"x", bytes(256), b"\xff" * 256, sealed.ciphertext + b"x", sealed.ciphertext[:-1]):
        with pytest.raises(InvalidCiphertextError):
            await keyring.uses.decrypt_oaep(rsa, wrong, OaepAlgorithm.RSAES_OAEP_SHA_256)


async def test_a_public_half_that_somebody_put_into_the_database_is_not_believed(bench, keyring, store):
    key, other = [
        KeyById((await make(keyring, store, ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)).key_id)
        for _ in range(2)
    ]
    mine, theirs = [bench.stores[-1].get_key_version(one.key_id, 1) for one in (key, other)]

    def swap(tx):
        tx.delete_material(key.key_id)
        tx.insert_key_version(mine._replace(public_key=theirs.public_key))

    await bench.stores[-1].write(swap)
    with pytest.raises(HsmIntegrityError, match="public half"):
        await keyring.uses.public_key(key)


async def test_what_no_hsm_holds_is_refused_with_the_reason(bench, keyring, store):
    with pytest.raises(KeyRefusedByHsmsError, match="ML_DSA_65"):
        await make(keyring, store, ManagedKeySpec.ML_DSA_65, KeyUsage.SIGN_VERIFY)
    bench.maker.fail_with = HsmRequestError("token alpha has no CKM_ECDSA")
    with pytest.raises(KeyRefusedByHsmsError, match="CKM_ECDSA"):
        await make(keyring, store, ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    bench.maker.fail_with = NoMemberError("all are away")
    with pytest.raises(NoMemberError):
        await make(keyring, store)
    assert keyring.list_keys(limit=10, after=None).keys == ()


async def test_disconnecting_stops_every_use_in_every_process_and_connecting_allows_it_again(
    bench, keyring, store, key
):
    sealed = (await keyring.encrypt(key, Secret(b"x"), {})).ciphertext
    signing = KeyById((await make(keyring, store, ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)).key_id)
    await bench.open_keyring().key_stores.disconnect(store)
    for use in (
        lambda: keyring.encrypt(key, Secret(b"x"), {}),
        lambda: keyring.decrypt(sealed, {}, key=None),
        lambda: keyring.generate_data_key(key, 32, {}),
        lambda: keyring.uses.sign(signing, SigningAlgorithm.ECDSA_SHA_256, b"m", MessageType.RAW),
        lambda: keyring.uses.public_key(signing),
    ):
        with pytest.raises(KeyUnavailableError):
            await use()
    with pytest.raises(KeyStoreStateError):
        await make(keyring, store)
    with pytest.raises(KeyStoreStateError):
        await keyring.generate_random(8, store)
    assert not keyring.describe(key).is_available
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)  # what manages a key still works
    await keyring.set_state(key.key_id, KeyState.ACTIVE)
    await keyring.key_stores.connect(store)
    assert len(await keyring.generate_random(8, store)) == 8
    assert (await keyring.decrypt(sealed, {}, key=None)).plaintext.reveal() == b"x"


async def test_a_suspended_key_is_refused_before_any_hsm_is_asked(bench, keyring, key):
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    bench.cluster.hsm.faults.failing = True
    with pytest.raises(KeyStateError):
        await keyring.encrypt(key, Secret(b"x"), {})


async def test_a_store_that_was_disconnected_while_a_key_was_made_gets_no_key(bench, keyring, store):
    original = bench.maker.make

    async def make_slowly(*args, **more):
        made = await original(*args, **more)
        await keyring.key_stores.disconnect(store)
        return made

    bench.maker.make = make_slowly
    with pytest.raises(KeyStoreStateError):
        await make(keyring, store)
    assert keyring.list_keys(limit=10, after=None).keys == ()
    assert len(bench.stores[-1].list_unclaimed_hsm_keys()) == 1  # which main destroys


async def test_a_direct_key_that_was_destroyed_meanwhile_is_no_key(bench, keyring, store):
    original = bench.maker.make

    async def make_and_lose(*args, **more):
        made = await original(*args, **more)
        record = bench.stores[-1].get_hsm_key(made.hsm_key_id)
        gone = record._replace(state=HsmKeyState.DESTROYED, destroyed_at=1.0)
        await bench.stores[-1].write(lambda tx: tx.move_hsm_key(gone, was=HsmKeyState.ACTIVE))
        return made

    bench.maker.make = make_and_lose
    with pytest.raises(MissingRecordError):
        await make(keyring, store)
    assert keyring.list_keys(limit=10, after=None).keys == ()


async def test_a_rotated_key_encrypts_under_another_direct_key_and_decrypts_with_the_old_one(
    bench, keyring, store, key
):
    old = (await keyring.encrypt(key, Secret(b"old"), {})).ciphertext
    info = await keyring.rotations.rotate_on_demand(key.key_id)
    assert hsm_key_of(bench, key, 1) != hsm_key_of(bench, key, 2)
    new = await keyring.encrypt(key, Secret(b"new"), {})
    assert (Blob.parse(new.ciphertext).wrapping_key_version, new.material_id) == (2, info.material_id)
    assert (await keyring.decrypt(old, {}, key=None)).plaintext.reveal() == b"old"
    assert (await keyring.decrypt(new.ciphertext, {}, key=None)).plaintext.reveal() == b"new"


async def test_a_key_is_rotated_by_schedule_once_and_what_is_old_decrypts(bench, keyring, store, key):
    old = (await keyring.encrypt(key, Secret(b"old"), {})).ciphertext
    await keyring.rotations.enable(key.key_id, days=90)
    bench.clock.advance(90 * DAY_S)
    rings = [keyring, bench.open_keyring()]
    assert [ring.rotations.list_due(limit=10) for ring in rings] == [[key.key_id]] * 2
    rotated = [await ring.rotations.rotate_due(key.key_id) for ring in rings]
    assert [one and one.version for one in rotated] == [2, None]
    assert hsm_key_of(bench, key, 1) != hsm_key_of(bench, key, 2)
    status = keyring.rotations.status(key.key_id)
    assert (status.days, status.next_at) == (90, bench.clock.now() + 90 * DAY_S)
    for ring in rings:
        new = await ring.encrypt(key, Secret(b"new"), {})
        assert (Blob.parse(new.ciphertext).wrapping_key_version, new.material_id) == (
            2,
            rotated[0].material_id,
        )
        assert (await ring.decrypt(old, {}, key=None)).plaintext.reveal() == b"old"


async def test_keys_of_a_store_that_is_not_connected_wait_and_hold_up_no_others(bench, keyring, store, key):
    of_memory = (await keyring.create_key("in memory")).key_id
    for key_id in (key.key_id, of_memory):
        await keyring.rotations.enable(key_id, days=90)
    bench.clock.advance(90 * DAY_S)
    await keyring.key_stores.disconnect(store)
    assert keyring.rotations.list_due(limit=10) == [of_memory]
    with pytest.raises(KeyStoreStateError):
        await keyring.rotations.rotate_due(key.key_id)
    await keyring.key_stores.connect(store)
    assert set(keyring.rotations.list_due(limit=10)) == {key.key_id, of_memory}
    assert (await keyring.rotations.rotate_due(key.key_id)).version == 2


async def test_a_rotation_by_schedule_whose_store_is_disconnected_meanwhile_makes_no_version(
    bench, keyring, store, key
):
    await keyring.rotations.enable(key.key_id, days=90)
    bench.clock.advance(90 * DAY_S)
    make_key = bench.maker.make

    async def make_and_disconnect(*wanted, **more):
        made = await make_key(*wanted, **more)
        await keyring.key_stores.disconnect(store)
        return made

    bench.maker.make = make_and_disconnect
    with pytest.raises(KeyStoreStateError):
        await keyring.rotations.rotate_due(key.key_id)
    assert bench.stores[-1].get_key(key.key_id).current_version == 1


async def test_only_symmetric_keys_are_rotated_by_schedule(keyring, store):
    pair = await make(keyring, store, ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    with pytest.raises(RotationUnsupportedError):
        await keyring.rotations.enable(pair.key_id, days=90)
    with pytest.raises(RotationUnsupportedError):
        keyring.rotations.status(pair.key_id)


async def test_a_key_ends_with_all_its_direct_keys_once_its_date_has_come(bench, keyring, store, key):
    await keyring.rotations.rotate_on_demand(key.key_id)
    hsm_keys = [HsmKeyId(hsm_key_of(bench, key, version)) for version in (1, 2)]
    await keyring.lifecycle.schedule_destruction(key.key_id, days=7)
    assert await keyring.lifecycle.destroy_due(key.key_id) is None
    await keyring.key_stores.disconnect(store)
    with pytest.raises(KeyStoreHasKeysError):
        await keyring.key_stores.delete(store)
    bench.clock.advance(8 * DAY_S)
    gone = await keyring.lifecycle.destroy_due(key.key_id)
    assert (gone.key_id, gone.n_versions) == (key.key_id, 2)
    assert all(bench.stores[-1].get_hsm_key(one).state is HsmKeyState.DESTROYED for one in hsm_keys)
    assert not any(one in bench.cluster.hsm.direct._held for one in hsm_keys)
    with pytest.raises(KeyDestroyedError):
        await keyring.encrypt(key, Secret(b"x"), {})
    await keyring.key_stores.delete(store)


async def test_stores_have_names_of_their_own_and_are_in_a_cluster_that_there_is(bench, keyring, store):
    with pytest.raises(KeyStoreNameInUseError):
        await keyring.key_stores.create("hsm", CLUSTER)
    with pytest.raises(ClusterNotFoundError):
        await keyring.key_stores.create("other", "cluster-other2hsms2")
    other = (await keyring.key_stores.create("other", CLUSTER)).store_id
    with pytest.raises(KeyStoreNameInUseError):
        await keyring.key_stores.update(other, name="hsm", cluster_id=None)
    with pytest.raises(KeyStoreStateError):
        await keyring.key_stores.update(store, name="new", cluster_id=None)
    await keyring.key_stores.update(other, name="new", cluster_id=CLUSTER)
    assert keyring.key_stores.find("new").store_id == other
    with pytest.raises(KeyStoreNotFoundError):
        keyring.key_stores.find("other")


async def test_without_a_member_that_serves_nothing_is_connected(bench, keyring, store):
    await keyring.key_stores.disconnect(store)
    bench.cluster.is_down = True
    with pytest.raises(ClusterNotActiveError):
        await keyring.key_stores.connect(store)
    assert keyring.key_stores.get(store).connection is Connection.DISCONNECTED


async def test_a_store_of_a_cluster_that_is_no_longer_ours_has_failed(bench, keyring, store, key):
    bench.cluster_id = "cluster-next2hsms2next"
    other = bench.open_keyring()
    assert other.key_stores.get(store).connection is Connection.FAILED
    with pytest.raises(KeyUnavailableError):
        await other.encrypt(key, Secret(b"x"), {})
    await other.key_stores.disconnect(store)
    await other.key_stores.update(store, name=None, cluster_id=bench.cluster_id)
    await other.key_stores.connect(store)
    await other.encrypt(key, Secret(b"x"), {})
