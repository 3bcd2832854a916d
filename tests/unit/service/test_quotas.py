"""Quotas: what a token bucket lets pass passes, in all processes together, and nobody else is refused."""

import mmap
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_support import FixedClock
from fakes_service import EVERYTHING
from strongroom.core import Secret
from strongroom.keyring import KeyById, PlainItem
from strongroom.service import Quota, QuotaExceededError, QuotaRules, Quotas, QuotaTable, Service
from strongroom.service._quota_table import SLOT_BYTES, SLOTS, Bucket


def lonely_table():
    """Return a table that no other process sees."""
    return QuotaTable(mmap.mmap(-1, SLOTS * SLOT_BYTES))


class TokenBucket:
    """The textbook: tokens come at a rate up to the burst; a request goes when there is one, and takes its weight."""

    def __init__(self, quota):
        self.quota, self.tokens, self.at = quota, float(quota.burst), 0.0

    def take(self, weight, now):
        self.tokens = min(self.quota.burst, self.tokens + (now - self.at) * self.quota.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= weight
        return True


@settings(max_examples=200, deadline=None)
@given(
    rate=st.sampled_from([0.5, 1.0, 4.0, 256.0]),
    burst=st.integers(1, 20),
    calls=st.lists(st.tuples(st.integers(0, 64), st.sampled_from([1, 1, 1, 3, 50])), max_size=60),
)
def test_what_passes_is_what_a_token_bucket_lets_pass(rate, burst, calls):
    # Eighths of a second and powers of two: nothing is rounded, so both agree to the last request.
    quota, table, now = Quota(rate, burst), lonely_table(), 0.0
    bucket = TokenBucket(quota)
    for eighths, weight in calls:
        now += eighths / 8
        assert (table.take((quota.bucket("x"),), weight, 1000 + now) == 0) == bucket.take(weight, now)


def test_the_wait_that_is_told_is_long_enough_and_not_longer():
    table, bucket = lonely_table(), Quota(2, 3).bucket("x")
    assert [table.take((bucket,), 1, 100.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert table.take((bucket,), 1, 100.49) > 0
    assert table.take((bucket,), 1, 100.5) == 0


def test_a_request_that_one_bucket_refuses_takes_from_none():
    table = lonely_table()
    wide, narrow = Quota(1, 10).bucket("wide"), Quota(1, 1).bucket("narrow")
    assert table.take((wide, narrow), 1, 50.0) == 0
    for _ in range(20):
        assert table.take((wide, narrow), 1, 50.0) > 0
    assert [table.take((wide,), 1, 50.0) for _ in range(10)] == [0] * 9 + [1.0]


def test_two_tables_over_one_file_count_together(tmp_path):
    ours, bucket = QuotaTable.open(tmp_path / "quotas"), Quota(1, 5).bucket("x")
    assert [ours.take((bucket,), 1, 10.0) for _ in range(3)] == [0, 0, 0]
    program = (
        "import sys; from pathlib import Path; from strongroom.service import Quota, QuotaTable;"
        "table = QuotaTable.open(Path(sys.argv[1])); bucket = Quota(1, 5).bucket('x');"
        "print([table.take((bucket,), 1, 10.0) for _ in range(3)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "quotas")],
        stdout=subprocess.PIPE, text=True, check=True, timeout=60, env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.stdout.strip() == "[0.0, 0.0, 1.0]"
    assert ours.take((bucket,), 1, 10.0) == 1.0
    assert (tmp_path / "quotas").stat().st_mode & 0o777 == 0o600


def test_a_full_table_refuses_nobody_and_says_so():
    table = lonely_table()
    for number in range(SLOTS + 20_000):
        table.take((Bucket(str(number), 60.0, 0.0),), 1, 1.0)
    assert table.n_unlimited > 0
    before = table.n_unlimited
    assert table.take((Bucket("0", 60.0, 0.0),), 1, 1.0) == 60.0  # those that have a place keep it
    assert sum(table.take((Bucket(f"new {n}", 60.0, 0.0),), 1, 1.0) for n in range(50)) == 0
    assert table.n_unlimited >= before
    # When those that were there are full again, their places are free.
    for number in range(1_000):
        assert table.take((Bucket(f"later {number}", 60.0, 0.0),), 1, 100.0) == 0
        assert table.take((Bucket(f"later {number}", 60.0, 0.0),), 1, 100.0) == 60.0


def _limited(bench, **rules):
    """Put quotas before a bench's service, by a clock that stands still."""
    quotas = Quotas(QuotaRules(**rules), lonely_table(), clock=FixedClock())
    bench.service = Service(bench.keyring, bench.audit, policy=bench.authority, quotas=quotas)
    return bench.service


async def test_a_principal_over_its_quota_is_refused_and_that_is_audited(bench):
    service = _limited(bench, principal=Quota(1, 3))
    made = await service.create_key(bench.caller(), description="")
    for _ in range(2):
        await service.describe_key(bench.caller(), KeyById(made.key_id))
    with pytest.raises(QuotaExceededError) as caught:
        await service.create_key(bench.caller(), description="")
    assert 0.9 < caught.value.wait_s <= 1.0
    entry = bench.entries()[-1]
    assert (entry.kind, entry.event, entry.outcome) == ("outcome", "kms.CreateKey", "QuotaExceededError")
    assert not [e for e in bench.entries() if e.kind == "intent" and e.request_id == entry.request_id]


async def test_a_quota_of_an_operation_leaves_the_others_alone(bench):
    service = _limited(bench, operations={"Encrypt": Quota(1, 1)})
    key = KeyById((await service.create_key(bench.caller(), description="")).key_id)
    await bench.keyring.generate_data_key(key, 16, {})
    made = await service.generate_data_key(bench.caller(), key, n_bytes=16, context={})
    assert service.encrypt_now(bench.caller(), key, b"x", context={}) is not None
    assert service.encrypt_now(bench.caller(), key, b"x", context={}) is None
    with pytest.raises(QuotaExceededError):
        await service.encrypt(bench.caller(), key, made.plaintext, context={})
    assert service.generate_data_key_now(bench.caller(), key, n_bytes=16, context={}) is not None


async def test_what_a_quota_refuses_was_not_made_either(bench):
    # Else it would count as a use of the key, and as a ciphertext that somebody has.
    service = _limited(bench, operations={"Encrypt": Quota(1, 1), "GenerateDataKey": Quota(1, 1)})
    caller, key = bench.caller(), KeyById((await service.create_key(bench.caller(), description="")).key_id)
    await service.set_cryptoperiod(caller, key.key_id, days=0, max_uses=1_000)
    await service.encrypt(caller, key, Secret(b"x"), context={})
    await service.generate_data_key(caller, key, n_bytes=16, context={})
    lease = bench.keyring.cryptoperiods.lease(bench.stores[0].get_key(key.key_id))
    left = lease.left
    assert left > 20
    for _ in range(10):
        assert service.encrypt_now(caller, key, b"x", context={}) is None
        assert service.generate_data_key_now(caller, key, n_bytes=16, context={}) is None
    assert lease.left == left
    await service.flush_key_uses()
    (version,) = (await service.list_key_uses(caller, key.key_id)).versions
    assert version.outstanding.n_known == 2


async def test_a_quota_of_a_key_counts_it_by_every_name(bench):
    service = _limited(bench, key=Quota(1, 2))
    one = KeyById((await service.create_key(bench.caller(), description="")).key_id)
    other = KeyById((await service.create_key(bench.caller(), description="")).key_id)
    await bench.keyring.generate_data_key(other, 16, {})
    sealed = (await bench.keyring.generate_data_key(one, 16, {})).ciphertext
    await service.decrypt(bench.caller(), sealed, key=None, context={})
    assert service.decrypt_now(bench.caller(), sealed, key=one, context={}) is not None
    with pytest.raises(QuotaExceededError):
        await service.decrypt(bench.caller(), sealed, key=None, context={})
    with pytest.raises(QuotaExceededError):
        await service.re_encrypt(
            bench.caller(), sealed, source_key=None, source_context={}, key=other, context={}
        )
    assert service.encrypt_now(bench.caller(), other, b"x", context={}) is not None


async def test_a_batch_counts_by_its_items_and_goes_when_one_item_would(bench):
    service = _limited(bench, principal=Quota(10, 20))
    key = KeyById((await service.create_key(bench.caller(), description="")).key_id)
    made = await service.encrypt_batch(bench.caller(), key, [PlainItem(b"x", {})] * 100)
    assert len(made.results) == 100
    with pytest.raises(QuotaExceededError) as caught:
        await service.describe_key(bench.caller(), key)
    assert 8.0 < caught.value.wait_s < 8.3  # 101 requests, 20 of them at once, 10 a second


async def test_who_is_not_allowed_is_not_counted(bench):
    service = _limited(bench, principal=Quota(1, 1))
    for _ in range(3):
        with pytest.raises(Exception, match="not allowed"):
            await service.create_key(bench.caller("user/stranger"), description="")
    await service.create_key(bench.caller(EVERYTHING), description="")
