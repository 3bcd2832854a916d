"""A suspended key is refused at once, by every process, whatever is cached or under way."""

import asyncio
import sys

import pytest

from strongroom.core import KeyState, Secret
from strongroom.keyring import IncorrectKeyError, KeyByAlias, KeyById, KeyStateError

SUSPEND_IN_ANOTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from strongroom.core import KeyState
from strongroom.storage import Store
with Store.open(Path(sys.argv[1])) as store:
    suspended = store.get_key(sys.argv[2])._replace(state=KeyState.SUSPENDED)
    asyncio.run(store.write(lambda tx: tx.change_key(suspended)))
"""


@pytest.fixture
async def key(keyring):
    made = KeyById((await keyring.create_key("for tests")).key_id)
    await keyring.create_alias("alias/payroll", made.key_id)
    return made


@pytest.fixture
async def ciphertext(keyring, key):
    return (await keyring.encrypt(key, Secret(b"data"), {})).ciphertext


async def refused_everywhere(keyring, key, ciphertext):
    for act in (
        lambda: keyring.encrypt(key, Secret(b"x"), {}),
        lambda: keyring.encrypt(KeyByAlias("alias/payroll"), Secret(b"x"), {}),
        lambda: keyring.generate_data_key(key, 32, {}),
        lambda: keyring.decrypt(ciphertext, {}, key=None),
        lambda: keyring.decrypt(ciphertext, {}, key=key),
        lambda: keyring.decrypt(ciphertext, {}, key=KeyByAlias("alias/payroll")),
    ):
        with pytest.raises(KeyStateError) as refused:
            await act()
        assert (refused.value.key_id, refused.value.state) == (key.key_id, KeyState.SUSPENDED)


async def test_a_suspended_key_does_nothing_and_an_active_one_works_again(keyring, key, ciphertext):
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    assert keyring.describe(key).state is KeyState.SUSPENDED
    await refused_everywhere(keyring, key, ciphertext)
    await keyring.set_state(key.key_id, KeyState.ACTIVE)
    assert keyring.describe(key).state is KeyState.ACTIVE
    assert (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"


@pytest.mark.parametrize("state", [KeyState.ACTIVE, KeyState.SUSPENDED])
async def test_setting_a_state_twice_changes_nothing(keyring, key, state):
    await keyring.set_state(key.key_id, state)
    await keyring.set_state(key.key_id, state)
    assert keyring.describe(key).state is state


async def test_what_one_process_suspends_the_next_call_of_another_refuses(bench, keyring, key, ciphertext):
    other = bench.open_keyring()
    for _ in range(3):
        assert (await other.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"
        await keyring.set_state(key.key_id, KeyState.SUSPENDED)
        await refused_everywhere(other, key, ciphertext)
        await other.set_state(key.key_id, KeyState.ACTIVE)
        assert (await keyring.decrypt(ciphertext, {}, key=None)).plaintext.reveal() == b"data"


async def test_a_real_other_process_suspends_it_too(bench, keyring, key, ciphertext):
    await keyring.decrypt(ciphertext, {}, key=None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUSPEND_IN_ANOTHER_PROCESS, str(bench.path), key.key_id
    )
    try:
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    await refused_everywhere(keyring, key, ciphertext)


async def test_other_keys_go_on(keyring, key, ciphertext):
    other = KeyById((await keyring.create_key("for tests")).key_id)
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    made = await keyring.encrypt(other, Secret(b"more"), {})
    assert (await keyring.decrypt(made.ciphertext, {}, key=None)).plaintext.reveal() == b"more"
    with pytest.raises(IncorrectKeyError):
        await keyring.decrypt(made.ciphertext, {}, key=key)


async def test_suspending_needs_no_hsm(bench, keyring, key, ciphertext):
    bench.cluster.is_down = True
    bench.clock.advance(10_000)
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    await refused_everywhere(keyring, key, ciphertext)


@pytest.mark.parametrize("verb", ["encrypt", "generate_data_key", "decrypt"])
async def test_a_key_suspended_while_the_hsm_works_is_refused(bench, keyring, key, ciphertext, verb):
    cold = bench.open_keyring()
    acts = {
        "encrypt": lambda: cold.encrypt(key, Secret(b"x"), {}),
        "generate_data_key": lambda: cold.generate_data_key(key, 32, {}),
        "decrypt": lambda: cold.decrypt(ciphertext, {}, key=None),
    }
    bench.cluster.hold_unwraps()
    under_way = asyncio.ensure_future(acts[verb]())
    await bench.cluster.arrived.wait()
    await keyring.set_state(key.key_id, KeyState.SUSPENDED)
    bench.cluster.let_go()
    with pytest.raises(KeyStateError):
        await under_way


async def test_a_key_made_by_another_process_is_known_at_once(bench, keyring):
    other = bench.open_keyring()
    made = await keyring.create_key("for tests")
    assert other.describe(KeyById(made.key_id)) == made
    await other.create_alias("alias/new", made.key_id)
    assert keyring.describe(KeyByAlias("alias/new")) == made
