"""A member that takes no changes is told of by whoever wanted to make one, in the words that it used."""

import pytest

from strongroom.core import (
    Deadline,
    HsmKey,
    HsmKeyId,
    KeySpec,
    KeyUsage,
    MemberFailedError,
    MemberReadOnlyError,
    SystemClock,
    random_bytes,
)
from strongroom.hsm.cluster import RemoteKeys
from strongroom.testing import FakeHsm
from worker_in_process import running_worker


@pytest.fixture
async def door(tmp_path):
    """The key door of a fake HSM, and what was told of it."""
    hsm, told = FakeHsm("alpha"), []
    async with running_worker(hsm, tmp_path) as worker:
        keys = RemoteKeys("alpha", str(worker.admin_path), refused=told.append)
        yield hsm, keys, told
        keys.close()


async def make_key(keys):
    key = HsmKey(HsmKeyId(random_bytes(16)), KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    return await keys.generate_direct(key, "key", may_leave=False, deadline=Deadline.after(SystemClock(), 10))


async def test_a_refused_write_is_told_and_raised(door):
    hsm, keys, told = door
    hsm.faults.fail_next(1, lambda: MemberReadOnlyError("CKR_TOKEN_WRITE_PROTECTED"))
    with pytest.raises(MemberReadOnlyError):
        await make_key(keys)
    assert told == ["CKR_TOKEN_WRITE_PROTECTED"]


async def test_other_failures_and_successes_say_nothing_about_writing(door):
    hsm, keys, told = door
    hsm.faults.fail_next(1, lambda: MemberFailedError("link cut"))
    with pytest.raises(MemberFailedError):
        await make_key(keys)
    assert await make_key(keys)
    assert told == []
