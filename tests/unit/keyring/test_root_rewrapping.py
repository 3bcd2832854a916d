"""Rewrapping loses nothing, whatever fails in it; a scan opens every domain KEK as it is, or says which it did not."""

import asyncio

import pytest

from fakes_root_rotation import RotatedBench
from strongroom.core import HsmIntegrityError, MemberFailedError, NoMemberError, RootId, Secret
from strongroom.keyring import DomainsChangedError, RootScan
from strongroom.storage import RotationState


@pytest.fixture
async def rotated(bench):
    made = RotatedBench(bench)
    await made.make_keys(5)
    return made


async def rewrap_all(rotated, at_once=2):
    while domains := rotated.rewrapping.next_domains(at_once):
        await rotated.rewrapping.rewrap(domains)


async def test_everything_comes_under_the_new_root_in_batches_and_every_key_works_on(rotated):
    before = rotated.store.get_current_root()
    root = await rotated.rotate()
    assert rotated.rewrapping.count_left() == 5
    await rotated.require_every_key_works()
    first = await rotated.rewrapping.rewrap(rotated.rewrapping.next_domains(2))
    assert (first.n_rewrapped, first.n_changed, dict(first.failures)) == (2, 0, {})
    assert rotated.store.count_domains_by_root() == {root.root_id: 2, before.root_id: 3}
    await rotated.require_every_key_works()
    await rewrap_all(rotated)
    assert rotated.store.count_domains_by_root() == {root.root_id: 5}
    assert rotated.store.get_last_root_rotation().n_rewrapped == 5
    kept = rotated.hsm._roots.pop(before.root_id)  # other tests have the same HSM
    try:
        await rotated.require_every_key_works()
    finally:
        rotated.hsm._roots[before.root_id] = kept


async def test_a_rotation_is_finished_once_and_only_when_nothing_is_left(rotated):
    await rotated.rotate()
    await rotated.rewrapping.rewrap(rotated.rewrapping.next_domains(4))
    assert await rotated.rewrapping.finish() is None
    await rewrap_all(rotated)
    finished = await rotated.rewrapping.finish()
    assert (finished.state, finished.n_rewrapped) == (RotationState.FINISHED, 5)
    assert rotated.store.get_last_root_rotation() == finished
    assert await rotated.rewrapping.finish() is None


async def test_a_domain_made_under_the_old_root_meanwhile_is_rewrapped_too(rotated):
    before = rotated.store.get_current_root()
    late = await rotated.keyring.ciphers.new_domain(RootId(before.root_id), "dedicated")
    root = await rotated.rotate()
    await rewrap_all(rotated)
    await rotated.rewrapping.finish()
    await rotated.store.write(lambda tx: tx.insert_domain(late))
    await rewrap_all(rotated)
    assert rotated.store.get_domain(late.domain_id).root_id == root.root_id


async def test_new_domains_are_under_the_new_root_at_once(rotated):
    root = await rotated.rotate()
    await rotated.make_keys(1)
    assert rotated.store.count_domains_by_root()[root.root_id] == 1


async def test_a_blob_that_somebody_changed_meanwhile_is_left_to_the_next_time(rotated):
    await rotated.rotate()
    domains = rotated.rewrapping.next_domains(5)
    stale = [domains[0]._replace(wrapped=domains[0].wrapped), *domains[1:]]
    await rotated.rewrapping.rewrap([domains[0]])
    done = await rotated.rewrapping.rewrap(stale)
    assert (done.n_rewrapped, done.n_changed) == (4, 1)
    await rotated.require_every_key_works()


async def test_one_that_does_not_open_stays_as_it_is_and_holds_up_no_other(rotated):
    before = rotated.store.get_current_root()
    bad = rotated.store.list_domains(after="", limit=1)[0]
    spoilt = bad.wrapped[:-1] + bytes((bad.wrapped[-1] ^ 1,))

    def spoil(tx):
        assert tx.replace_domain_wrapped(
            bad.domain_id, was=bad.wrapped, root_id=before.root_id, wrapped=spoilt
        )

    await rotated.store.write(spoil)
    await rotated.rotate()
    await rewrap_all(rotated, 5)
    assert rotated.rewrapping.count_left() == 1
    assert rotated.store.get_domain(bad.domain_id).wrapped == spoilt
    rotation = rotated.store.get_last_root_rotation()
    assert bad.domain_id in rotation.trouble
    assert await rotated.rewrapping.finish() is None
    assert rotated.rewrapping.next_domains(5) == [], "it is put off"
    rotated.bench.clock.advance(61.0)
    (again,) = rotated.rewrapping.next_domains(5)
    assert again.domain_id == bad.domain_id


async def test_a_record_that_names_another_root_than_its_blob_is_not_touched(rotated):
    before = rotated.store.get_current_root()
    root = await rotated.rotate()
    (domain, *_) = rotated.rewrapping.next_domains(5)
    done = await rotated.rewrapping.rewrap([domain._replace(root_id=root.root_id)])
    assert done.n_rewrapped == 0
    assert isinstance(done.failures[domain.domain_id], HsmIntegrityError)
    assert rotated.store.get_domain(domain.domain_id).root_id == before.root_id


async def test_an_hsm_that_wraps_under_another_key_is_found_out_before_anything_is_stored(rotated):
    before = rotated.store.get_current_root()
    await rotated.rotate()
    domains = rotated.rewrapping.next_domains(5)
    real = rotated.hsm.wrap

    def wrong(root_id, key_bytes, aad):
        made = real(root_id, key_bytes, aad)
        return made._replace(ciphertext=bytes(len(made.ciphertext)))

    rotated.hsm.wrap = wrong
    done = await rotated.rewrapping.rewrap(domains)
    rotated.hsm.wrap = real
    assert (done.n_rewrapped, len(done.failures)) == (0, 5)
    assert rotated.store.count_domains_by_root() == {before.root_id: 5}
    await rotated.require_every_key_works()


async def test_an_hsm_that_wraps_something_else_is_found_out_before_anything_is_stored(rotated, monkeypatch):
    before = rotated.store.get_current_root()
    await rotated.rotate()
    domains = rotated.rewrapping.next_domains(5)
    real = rotated.hsm.wrap
    with monkeypatch.context() as patched:
        patched.setattr(rotated.hsm, "wrap", lambda root_id, _key, aad: real(root_id, Secret(bytes(32)), aad))
        done = await rotated.rewrapping.rewrap(domains)
    assert (done.n_rewrapped, len(done.failures)) == (0, 5)
    assert all("another key" in error.message for error in done.failures.values())
    assert rotated.store.count_domains_by_root() == {before.root_id: 5}
    await rotated.require_every_key_works()


@pytest.mark.parametrize("n_calls", [1, 5, 7, 10, 12])
async def test_failing_calls_lose_nothing_and_are_made_good(rotated, n_calls):
    await rotated.rotate()
    rotated.hsm.faults.fail_next(n_calls, lambda: MemberFailedError("busy"))
    await rewrap_all(rotated, 5)
    rotated.hsm.faults.clear()
    await rotated.require_every_key_works()
    rotated.bench.clock.advance(61.0)
    await rewrap_all(rotated, 5)
    assert rotated.rewrapping.count_left() == 0
    await rotated.require_every_key_works()


@pytest.mark.parametrize("n_turns", range(0, 40, 3))
async def test_whoever_is_killed_at_any_point_loses_nothing_and_the_next_one_goes_on(rotated, n_turns):
    await rotated.rotate()
    work = asyncio.ensure_future(rewrap_all(rotated, 2))
    for _ in range(n_turns):
        await asyncio.sleep(0.0005)
    work.cancel()
    await asyncio.wait({work})
    await rotated.require_every_key_works()
    await rewrap_all(rotated, 2)
    assert rotated.rewrapping.count_left() == 0
    assert rotated.store.get_last_root_rotation().n_rewrapped == 5
    await rotated.require_every_key_works()


async def test_an_outage_is_told_and_puts_nothing_off(rotated):
    await rotated.rotate()
    rotated.hsm.faults.fail_next(5, lambda: NoMemberError("nobody"))
    done = await rotated.rewrapping.rewrap(rotated.rewrapping.next_domains(5))
    assert done.is_outage
    assert len(rotated.rewrapping.next_domains(5)) == 5


async def test_two_rotations_after_another_end_under_the_last_root(rotated):
    await rotated.rotate()
    await rotated.rewrapping.rewrap(rotated.rewrapping.next_domains(2))
    rotated.bench.clock.advance(1.0)
    last = await rotated.rotate()
    await rewrap_all(rotated)
    assert rotated.store.count_domains_by_root() == {last.root_id: 5}
    await rotated.require_every_key_works()


async def test_what_was_wrapped_under_a_root_that_was_replaced_meanwhile_is_not_stored(rotated):
    await rotated.rotate()
    domains = rotated.rewrapping.next_domains(3)
    real = rotated.member.batch
    calls = []

    async def rotating(items, *, deadline):
        calls.append(items)
        if len(calls) == 3:  # opened, wrapped, and now opened anew
            rotated.bench.clock.advance(1.0)
            await rotated.rotate()
        return await real(items, deadline=deadline)

    rotated.member.batch = rotating
    done = await rotated.rewrapping.rewrap(domains)
    rotated.member.batch = real
    assert (done.n_rewrapped, done.n_changed) == (0, 3)
    await rewrap_all(rotated)
    await rotated.require_every_key_works()


def scan_of(rotated):
    root = rotated.store.get_current_root()
    return RootScan(rotated.store, rotated.member, root, clock=rotated.bench.clock, request_s=10.0)


async def no_pause(_n):
    return None


async def test_a_scan_refuses_while_anything_is_under_another_root(rotated):
    await rotated.rotate()
    await rotated.rewrapping.rewrap(rotated.rewrapping.next_domains(4))
    with pytest.raises(HsmIntegrityError, match="does not open under root"):
        await scan_of(rotated).run(2, no_pause)


async def test_a_scan_opens_everything_once_and_notices_what_comes_after(rotated):
    await rotated.rotate()
    await rewrap_all(rotated)
    scan, opened = scan_of(rotated), []

    async def count(n):
        opened.append(n)

    await scan.run(2, count)
    assert opened == [2, 2, 1]
    assert scan.n_opened == 5
    await rotated.store.write(scan.require_all_opened)
    await rotated.make_keys(1)
    with pytest.raises(DomainsChangedError):
        await rotated.store.write(scan.require_all_opened)
    await scan.run(2, count)
    assert opened == [2, 2, 1, 1], "only what is new is opened"
    await rotated.store.write(scan.require_all_opened)


async def test_a_scan_that_gets_no_answer_says_that_and_nothing_of_the_domains(rotated):
    await rotated.rotate()
    await rewrap_all(rotated)
    rotated.hsm.faults.fail_next(1, lambda: NoMemberError("nobody"))
    with pytest.raises(NoMemberError, match="nobody"):
        await scan_of(rotated).run(2, no_pause)
