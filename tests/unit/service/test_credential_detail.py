"""What the audit log says of a credential besides its name: in every entry of the call, refused or not."""

import pytest

from strongroom.core import StrongroomError
from strongroom.keyring import KeyByAlias, KeyById
from strongroom.service import AccessDeniedError

DETAIL = {"token_subject": "alice", "token": "token-1"}


async def test_intent_and_outcome_say_which_token_was_shown(bench, service, key_id):
    caller = bench.caller()._replace(credential_detail=DETAIL)
    await service.disable_key(caller, key_id)
    entries = [entry for entry in bench.entries() if entry.request_id == caller.request_id]
    assert [entry.kind for entry in entries] == ["intent", "outcome"]
    assert all(DETAIL.items() <= entry.detail.items() for entry in entries)


async def test_a_refusal_says_so_too(bench, service, key_id):
    caller = bench.caller("user/stranger")._replace(credential_detail=DETAIL)
    with pytest.raises(AccessDeniedError):
        await service.describe_key(caller, KeyById(key_id))
    entry = bench.entries()[-1]
    assert (entry.outcome, entry.detail) == ("AccessDeniedError", DETAIL)


async def test_of_other_callers_nothing_is_added(bench, service, key_id):
    await service.describe_key(bench.caller(), KeyById(key_id))
    assert bench.entries()[-1].detail == {"allowed_by": "role:crypto-officer"}


async def test_what_else_there_is_to_say_does_not_push_it_out(bench, service):
    long = {"token_subject": "s" * 255, "token": "t" * 255}
    caller = bench.caller()._replace(credential_detail=long)
    context = {f"{at}-{'n' * 40}": "x" for at in range(100)}
    key, other = (KeyByAlias(f"alias/{name * 240}") for name in "ab")
    with pytest.raises(StrongroomError):
        await service.re_encrypt(
            caller, bytes(64), source_key=other, source_context=context, key=key, context=context
        )
    detail = bench.entries()[-1].detail
    assert long.items() <= detail.items()
    assert "left_out" in detail
