"""Domains are made, filled, shown and rotated; keys move between them and open whatever they sealed, in every process."""

import asyncio
import uuid

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from strongroom.core import (
    HsmIntegrityError,
    KeyState,
    NoMemberError,
    Secret,
)
from strongroom.keyring import (
    CREDENTIALS,
    DOMAIN_TAG,
    BroughtMaterial,
    DomainFullError,
    DomainKind,
    DomainNameError,
    DomainNameInUseError,
    DomainNotFoundError,
    DomainStateError,
    DomainTagError,
    ImportTokenError,
    KeyById,
    KeyKind,
    KeyStateError,
    NotInDomainError,
    PendingImportError,
    TagLimitError,
    WrappingAlgorithm,
)
from strongroom.storage import DomainRecord
from unit.keyring.domain_checks import (
    DAY_S,
    IMPORTED,
    MAC,
    OAEP,
    PAIR,
    assert_counts_are_true,
    blobs_under,
    brought,
    in_domain,
)


async def test_a_key_is_made_in_a_named_domain(bench, keyring):
    made = await keyring.domains.create("tenant-7")
    key_id = await in_domain(keyring, "tenant-7")
    assert keyring.domains.of_key(key_id).domain_id == made.domain_id
    assert blobs_under(bench.stores[0]) == {key_id: {made.domain_id}}
    shown = keyring.domains.find("tenant-7")
    assert (shown.kind, shown.name, shown.n_keys, shown.max_keys) == (DomainKind.NAMED, "tenant-7", 1, 1_000)
    assert keyring.domains.find(made.domain_id) == shown


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "a b", "x" * 65, "dedicated", "shard", str(uuid.uuid4())]
)
async def test_names_that_could_be_mistaken_are_refused(keyring, name):
    with pytest.raises(DomainNameError):
        await keyring.domains.create(name)


async def test_a_name_is_given_once(bench, keyring):
    await keyring.domains.create("tenant-7")
    with pytest.raises(DomainNameInUseError):
        await keyring.domains.create("tenant-7")
    both = (keyring.domains.create("both"), bench.open_keyring().domains.create("both"))
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(answer, DomainNameInUseError) for answer in answers) == 1


async def test_a_full_domain_refuses_keys_and_makes_none(bench, keyring, monkeypatch):
    monkeypatch.setattr("strongroom.keyring._creation.MAX_KEYS_IN_DOMAIN", 3)
    await keyring.domains.create("small")
    made = await asyncio.gather(*(in_domain(keyring, "small") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(answer, DomainFullError) for answer in made) == 3
    elsewhere = (await keyring.create_key("in a shard")).key_id
    with pytest.raises(DomainFullError):
        await keyring.domains.move(elsewhere, "small")
    assert_counts_are_true(bench.stores[0])


async def test_a_destroyed_key_makes_room(bench, keyring, monkeypatch):
    monkeypatch.setattr("strongroom.keyring._creation.MAX_KEYS_IN_DOMAIN", 1)
    await keyring.domains.create("small")
    key_id = await in_domain(keyring, "small")
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    bench.clock.advance(8 * DAY_S)
    assert await keyring.lifecycle.destroy_due(key_id)
    assert await in_domain(keyring, "small")
    assert_counts_are_true(bench.stores[0])


async def test_a_key_of_its_own_domain_is_alone_there(bench, keyring):
    key_id = await in_domain(keyring, "dedicated")
    domain = keyring.domains.of_key(key_id)
    assert (domain.kind, domain.n_keys, domain.max_keys) == (DomainKind.DEDICATED, 1, 1)
    other = (await keyring.create_key("in a shard")).key_id
    with pytest.raises(DomainFullError):
        await keyring.domains.move(other, domain.domain_id)


async def test_nothing_is_left_of_a_dedicated_domain_whose_key_could_not_be_made(bench, keyring):
    with pytest.raises(TagLimitError):
        await keyring.create_key("x", {str(n): "" for n in range(51)}, KeyKind(domain="dedicated"))
    assert bench.stores[0].list_domains(after="", limit=10) == []


async def test_what_a_crash_left_of_a_dedicated_domain_is_removed(bench, keyring):
    draft = await keyring.ciphers.new_domain(bench.root_id, "dedicated")
    await bench.stores[0].write(lambda tx: tx.insert_domain(draft))
    named = await keyring.domains.create("tenant-7")
    kept = await in_domain(keyring, "dedicated")
    bench.clock.advance(4_000.0)
    young = await keyring.ciphers.new_domain(bench.root_id, "dedicated")  # its key may be under way
    await bench.stores[0].write(lambda tx: tx.insert_domain(young))
    assert await keyring.domain_rotations.remove_unused() == 1
    left = {domain.domain_id for domain in bench.stores[0].list_domains(after="", limit=10)}
    assert left == {named.domain_id, keyring.domains.of_key(kept).domain_id, young.domain_id}


async def test_the_new_domain_of_a_dedicated_key_that_is_still_to_come_is_not_unused(bench, keyring):
    key_id = await in_domain(keyring, "dedicated")
    heir = await keyring.domains.rotate(keyring.domains.of_key(key_id).domain_id)
    bench.clock.advance(4_000.0)  # so long nobody could move it
    assert await keyring.domain_rotations.remove_unused() == 0
    assert keyring.domains.of_key(key_id).domain_id == heir.domain_id


async def test_a_domain_that_is_not_there_is_told_and_no_key_is_made(bench, keyring):
    with pytest.raises(DomainNotFoundError):
        await in_domain(keyring, "nobody")
    assert keyring.list_keys(limit=10, after=None).keys == ()


async def test_a_key_inside_hsms_is_in_no_domain_that_could_be_chosen(keyring):
    with pytest.raises(NotInDomainError):
        await keyring.create_key("x", {}, KeyKind(domain="dedicated", store_id="cks-1"))


@pytest.mark.parametrize(
    "kind", [KeyKind(), PAIR, MAC, IMPORTED], ids=["symmetric", "pair", "mac", "imported"]
)
async def test_a_key_of_any_kind_moves_whole_and_works_everywhere(bench, keyring, kind):
    other = bench.open_keyring()
    target = await keyring.domains.create("tenant-7")
    key_id = (await keyring.create_key("for tests", {}, kind)).key_id
    if kind is IMPORTED:
        await brought(keyring, key_id)
    if kind.spec.is_symmetric:
        sealed = [(await keyring.encrypt(KeyById(key_id), Secret(b"before"), {})).ciphertext]
        if kind is not IMPORTED:
            await keyring.rotations.rotate_on_demand(key_id)
            sealed.append((await other.encrypt(KeyById(key_id), Secret(b"before"), {})).ciphertext)
    assert (await other.domains.move(key_id, "tenant-7")).domain_id == target.domain_id
    assert blobs_under(bench.stores[0]) == {key_id: {target.domain_id}}
    assert_counts_are_true(bench.stores[0])
    for ring in (keyring, other, bench.open_keyring()):
        if kind.spec.is_symmetric:
            for ciphertext in sealed:
                opened = await ring.decrypt(ciphertext, {}, key=None)
                assert opened.plaintext.reveal() == b"before"
        await asyncio.sleep(0)
        assert (
            await ring.envelope.open(bench.stores[0].get_key(key_id)) if not kind.spec.is_symmetric else True
        )


async def test_imported_material_is_recognised_after_its_key_moved(bench, keyring):
    await keyring.domains.create("tenant-7")
    key_id = (await keyring.create_key("theirs", {}, IMPORTED)).key_id
    await brought(keyring, key_id)
    await keyring.imports.delete(key_id)
    await keyring.domains.move(key_id, "tenant-7")
    await brought(bench.open_keyring(), key_id)  # the same material is taken for the same
    assert keyring.describe(KeyById(key_id)).state is KeyState.ACTIVE


async def test_a_token_of_before_the_move_is_refused(keyring):
    await keyring.domains.create("tenant-7")
    key_id = (await keyring.create_key("theirs", {}, IMPORTED)).key_id
    parameters = await keyring.imports.parameters(key_id, WrappingAlgorithm.RSAES_OAEP_SHA_256, 2048)
    await keyring.domains.move(key_id, "tenant-7")
    wrapped = load_der_public_key(parameters.public_key).encrypt(bytes(32), OAEP)
    with pytest.raises(ImportTokenError):
        await keyring.imports.bring(key_id, BroughtMaterial(parameters.token, wrapped, None))


async def test_a_move_to_where_the_key_is_changes_nothing(bench, keyring):
    await keyring.domains.create("tenant-7")
    named, own = await in_domain(keyring, "tenant-7"), await in_domain(keyring, "dedicated")
    before = bench.stores[0].list_domains(after="", limit=10), blobs_under(bench.stores[0])
    await keyring.domains.move(named, "tenant-7")
    await keyring.domains.move(own, "dedicated")
    await keyring.domains.move(own, keyring.domains.of_key(own).domain_id)
    assert (bench.stores[0].list_domains(after="", limit=10), blobs_under(bench.stores[0])) == before


async def test_a_dedicated_domain_goes_with_its_key(bench, keyring):
    key_id = await in_domain(keyring, "dedicated")
    was = keyring.domains.of_key(key_id).domain_id
    await keyring.domains.create("tenant-7")
    await keyring.domains.move(key_id, "tenant-7")
    assert bench.stores[0].get_domain(was) is None
    await keyring.domains.move(key_id, "dedicated")
    assert keyring.domains.of_key(key_id).kind is DomainKind.DEDICATED
    assert_counts_are_true(bench.stores[0])


async def test_nobody_chooses_a_shard_or_the_domain_of_access_keys(bench, keyring):
    shard = keyring.domains.of_key((await keyring.create_key("in a shard")).key_id)
    key_id = await in_domain(keyring, "dedicated")
    secrets = await keyring.ciphers.new_domain(bench.root_id, CREDENTIALS)
    await bench.stores[0].write(lambda tx: tx.insert_domain(secrets))
    for domain_id in (shard.domain_id, secrets.domain_id):
        with pytest.raises(DomainStateError):
            await keyring.domains.move(key_id, domain_id)


async def test_a_key_with_a_date_of_destruction_moves_too(bench, keyring):
    await keyring.domains.create("tenant-7")
    key_id = (await keyring.create_key("x")).key_id
    await keyring.lifecycle.schedule_destruction(key_id, days=7)
    await keyring.domains.move(key_id, "tenant-7")
    await keyring.lifecycle.cancel_destruction(key_id)
    await keyring.set_state(key_id, KeyState.ACTIVE)
    await bench.open_keyring().encrypt(KeyById(key_id), Secret(b"data"), {})


async def test_a_move_needs_an_hsm_and_changes_nothing_without(bench, keyring):
    await keyring.domains.create("tenant-7")
    key_id = (await keyring.create_key("x")).key_id
    before = blobs_under(bench.stores[0])
    bench.cluster.is_down = True
    for domain in ("tenant-7", "dedicated"):
        with pytest.raises(NoMemberError):
            await bench.open_keyring().domains.move(key_id, domain)
    assert blobs_under(bench.stores[0]) == before


async def test_the_tag_says_the_domain_and_nothing_else(keyring):
    await keyring.domains.create("tenant-7")
    tagged = (await keyring.create_key("x", {DOMAIN_TAG: "dedicated"}, KeyKind(domain="dedicated"))).key_id
    plain = (await keyring.create_key("x")).key_id
    await keyring.tags.put(tagged, {DOMAIN_TAG: "dedicated", "other": "1"})
    for refused in (
        keyring.tags.put(tagged, {DOMAIN_TAG: "tenant-7"}),
        keyring.tags.remove(tagged, [DOMAIN_TAG]),
        keyring.tags.put(plain, {DOMAIN_TAG: "tenant-7"}),
    ):
        with pytest.raises(DomainTagError):
            await refused
    for key_id in (tagged, plain):
        await keyring.domains.move(key_id, "tenant-7")
    tags = {tag.name: tag.value for tag in keyring.tags.page(tagged, limit=10, after=None).tags}
    assert tags == {DOMAIN_TAG: "tenant-7", "other": "1"}
    assert keyring.tags.page(plain, limit=10, after=None).tags == ()


async def test_a_kek_is_fetched_though_its_key_moves_and_the_old_domain_goes_meanwhile(bench, keyring):
    """The record was read, an HSM is asked, and when it answers the key lies elsewhere and its domain is gone."""
    key_id = await in_domain(keyring, "dedicated")
    sealed = (await keyring.encrypt(KeyById(key_id), Secret(b"before"), {})).ciphertext
    slow = bench.open_keyring()
    bench.cluster.hold_unwraps()
    opening = asyncio.ensure_future(slow.decrypt(sealed, {}, key=None))
    await bench.cluster.arrived.wait()
    moving = asyncio.ensure_future(keyring.domains.move(key_id, "dedicated"))  # to where it is: nothing
    await moving
    await keyring.domains.create("tenant-7")
    moved = asyncio.ensure_future(keyring.domains.move(key_id, "tenant-7"))
    await asyncio.sleep(0)
    bench.cluster.let_go()
    await moved
    assert (await opening).plaintext.reveal() == b"before"


async def test_a_version_sealed_before_a_move_is_not_stored_after_it(bench, keyring, monkeypatch):
    other = bench.open_keyring()
    await keyring.domains.create("tenant-7")
    key_id = await in_domain(keyring, "dedicated")
    sealing = keyring.ciphers.new_kek

    async def slow_sealing(domain_id, key, version):
        sealed = await sealing(domain_id, key, version)
        if other.domains.of_key(key_id).name is None:
            await other.domains.move(key_id, "tenant-7")
        return sealed

    monkeypatch.setattr(keyring.ciphers, "new_kek", slow_sealing)
    await keyring.rotations.rotate_on_demand(key_id)
    target = keyring.domains.find("tenant-7").domain_id
    assert blobs_under(bench.stores[0]) == {key_id: {target}}
    await other.encrypt(KeyById(key_id), Secret(b"data"), {})


async def test_a_domain_s_page_leaves_out_what_is_being_replaced(bench, keyring):
    for number in range(5):
        await keyring.domains.create(f"tenant-{number}")
    await keyring.domains.rotate("tenant-3")
    names, after = [], None
    while True:
        page = keyring.domains.page(limit=2, after=after)
        names += [domain.name for domain in page.domains]
        after = page.next_after
        if after is None:
            break
    assert sorted(names) == [f"tenant-{number}" for number in range(5)]


def test_a_record_of_a_domain_says_nothing_of_its_kek():
    record = DomainRecord("d", b"r", "shard", b"wrapped", 0, 1.0)
    assert record.replaced_by is None


async def test_a_domain_kek_put_in_another_s_place_opens_nothing(bench, keyring):
    first, second = await keyring.domains.create("one"), await keyring.domains.create("two")
    key_id = await in_domain(keyring, "one")
    store = bench.stores[0]
    one, two = store.get_domain(first.domain_id), store.get_domain(second.domain_id)
    root = one.root_id
    await store.write(
        lambda tx: tx.replace_domain_wrapped(
            one.domain_id, was=one.wrapped, root_id=root, wrapped=two.wrapped
        )
    )
    with pytest.raises(HsmIntegrityError):
        await bench.open_keyring().encrypt(KeyById(key_id), Secret(b"data"), {})


async def test_a_suspended_key_stays_so_when_it_moves(keyring):
    await keyring.domains.create("tenant-7")
    key_id = (await keyring.create_key("x")).key_id
    await keyring.set_state(key_id, KeyState.SUSPENDED)
    await keyring.domains.move(key_id, "tenant-7")
    with pytest.raises(KeyStateError):
        await keyring.encrypt(KeyById(key_id), Secret(b"data"), {})


def before_the_first(monkeypatch, where, name, other_work):
    """Do other work between what a function read and sealed, and what its caller stores."""
    real, is_done = getattr(where, name), []

    async def slowly(*arguments):
        made = await real(*arguments)
        if not is_done:
            is_done.append(True)
            await other_work()
        return made

    monkeypatch.setattr(where, name, slowly)


async def test_a_version_made_while_its_key_moves_moves_with_it(bench, keyring, monkeypatch):
    other = bench.open_keyring()
    target = await keyring.domains.create("tenant-7")
    key_id = (await keyring.create_key("x")).key_id
    resealing = keyring.domains._resealing
    before_the_first(monkeypatch, resealing, "reseal", lambda: other.rotations.rotate_on_demand(key_id))
    await keyring.domains.move(key_id, "tenant-7")
    assert len(bench.stores[0].list_key_versions(key_id, after=0, limit=10)) == 2
    assert blobs_under(bench.stores[0]) == {key_id: {target.domain_id}}


async def test_material_brought_while_its_key_moves_comes_where_the_key_is(bench, keyring, monkeypatch):
    other = bench.open_keyring()
    target = await keyring.domains.create("tenant-7")
    key_id = (await keyring.create_key("theirs", {}, IMPORTED)).key_id
    before_the_first(monkeypatch, keyring.ciphers, "seal_kek", lambda: other.domains.move(key_id, "tenant-7"))
    await brought(keyring, key_id)
    assert blobs_under(bench.stores[0]) == {key_id: {target.domain_id}}
    await bench.open_keyring().encrypt(KeyById(key_id), Secret(b"data"), {})


async def test_of_two_moves_at_once_one_comes_after_the_other(bench, keyring):
    other = bench.open_keyring()
    for name in ("one", "two"):
        await keyring.domains.create(name)
    key_id = (await keyring.create_key("x")).key_id
    await asyncio.gather(keyring.domains.move(key_id, "one"), other.domains.move(key_id, "two"))
    assert blobs_under(bench.stores[0]) == {key_id: {keyring.domains.of_key(key_id).domain_id}}
    assert_counts_are_true(bench.stores[0])


async def test_a_kek_whose_material_goes_while_an_hsm_is_asked_is_not_kept(bench, keyring):
    key_id = (await keyring.create_key("theirs", {}, IMPORTED)).key_id
    await brought(keyring, key_id)
    slow = bench.open_keyring()
    record = bench.stores[0].get_key(key_id)
    bench.cluster.hold_unwraps()
    fetching = asyncio.ensure_future(slow.ciphers.kek(record, 1))
    await bench.cluster.arrived.wait()
    await keyring.imports.delete(key_id)
    bench.cluster.let_go()
    with pytest.raises(PendingImportError):
        await fetching
