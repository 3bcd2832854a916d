"""A module that knows only the keys of its start is started anew after a miss; seldom, and no other module is."""

import pytest

from fixtures_token import AAD, KEY, ROOT, open_token
from strongroom.core import HsmKeyNotFoundError, MemberFailedError, RootId
from strongroom.hsm import cryptoki
from strongroom.testing import FakeClock

NOWHERE = RootId(b"\xff" * 16)


def opened(module, clock=None, **profile):
    token = open_token(module, reads_keys_once=True, **profile)
    if clock is not None:
        token._ladder._clock, token._ladder._look_anew_at = clock, clock.monotonic()
    return token


def made_by_another(module, token):
    token.generate_root(ROOT, "root")
    token._ladder._finder.forget_all()
    module.unseen.update(module.tokens[0].objects)


def test_a_miss_starts_a_module_anew_that_reads_keys_once_and_the_key_is_found(module):
    token = opened(module)
    made_by_another(module, token)
    assert token.unwrap(ROOT, token.wrap(ROOT, KEY, AAD), AAD).matches(KEY)
    assert token.recoveries.reinitialisations == 1
    token.close()


def test_a_key_that_is_nowhere_costs_one_new_start_a_minute(module):
    clock = FakeClock()
    token = opened(module, clock)
    for misses in (1, 2):
        for _ in range(5):
            with pytest.raises(HsmKeyNotFoundError):
                token.wrap(NOWHERE, KEY, AAD)
        assert token.recoveries.reinitialisations == misses
        clock.advance(61)
    token.close()


@pytest.mark.parametrize("profile", [{"reads_keys_once": False}, {"may_reinitialise": False}], ids=str)
def test_no_other_module_is_started_anew_for_a_miss(module, profile):
    token = open_token(module, **{"reads_keys_once": True, **profile})
    with pytest.raises(HsmKeyNotFoundError):
        token.wrap(NOWHERE, KEY, AAD)
    assert module.initialisations == 1
    assert not token.is_broken
    token.close()


def test_destroying_what_is_not_there_starts_nothing_anew(module):
    token = opened(module)
    with pytest.raises(HsmKeyNotFoundError):
        token.destroy_import_pair(b"nowhere")
    assert module.initialisations == 1
    token.close()


@pytest.mark.parametrize("error", [cryptoki.SessionHandleInvalidError, cryptoki.KeyHandleInvalidError])
def test_a_session_that_fails_right_after_a_new_start_costs_one_more_session_and_no_process(module, error):
    token = open_token(module)
    token.generate_root(ROOT, "root")
    module.faults["encrypt"].extend([cryptoki.DeviceError, cryptoki.DeviceError, error])
    token.wrap(ROOT, KEY, AAD)
    assert not token.is_broken
    assert token.recoveries.reinitialisations == 1
    token.close()


def test_sessions_that_go_on_failing_after_a_new_start_end_the_process(module):
    token = open_token(module)
    token.generate_root(ROOT, "root")
    module.faults["encrypt"].extend([cryptoki.DeviceError] * 2 + [cryptoki.SessionHandleInvalidError] * 9)
    with pytest.raises(MemberFailedError):
        token.wrap(ROOT, KEY, AAD)
    assert token.is_broken
