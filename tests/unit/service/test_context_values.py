"""Values of encryption contexts in the audit log: left out, hashed under a key of the home, or in clear."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.config import AuditConfig, Home
from strongroom.core import ConfigError, Secret
from strongroom.keyring import KeyById
from strongroom.service import CONTEXT_KEY_BYTES, ContextValues
from strongroom.service._context_values import hash_of_value
from strongroom.wiring.context_values import CONTEXT_KEY_FILE, make_context_key, open_context_values

KEY = Secret(bytes(range(CONTEXT_KEY_BYTES)))
OTHER = Secret(bytes(CONTEXT_KEY_BYTES))
CONTEXTS = st.dictionaries(st.text(max_size=200), st.text(max_size=300), max_size=12)


def last(bench, caller):
    return [entry for entry in bench.entries() if entry.request_id == caller.request_id][-1]


async def test_values_are_left_out_unless_somebody_wants_them(bench, service, key_id):
    caller = bench.caller()
    await service.encrypt(caller, KeyById(key_id), Secret(b"x"), context={"tenant": "acme"})
    assert last(bench, caller).detail == {"context": '["tenant"]', "allowed_by": "role:crypto-user"}


async def test_values_are_hashed_in_both_lanes_alike(bench, service, key_id):
    service.context_values = ContextValues(KEY, clear=["tenant"])
    context = {"tenant": "acme", "patient": "4711"}
    caller = bench.caller()
    await service.encrypt(caller, KeyById(key_id), Secret(b"x"), context=context)
    told = last(bench, caller).detail
    assert json.loads(told["context_values"]) == {
        "tenant": "acme",
        "patient": hash_of_value(KEY, "patient", "4711"),
    }
    at_once = service.encrypt_now(bench.caller(), KeyById(key_id), b"x", context=context)
    assert at_once is not None
    assert at_once.entry.detail == told


async def test_a_re_encrypt_tells_of_both_contexts(bench, service, key_id):
    service.context_values = ContextValues(None, is_all_clear=True)
    made = await service.encrypt(bench.caller(), KeyById(key_id), Secret(b"x"), context={"a": "1"})
    caller = bench.caller()
    await service.re_encrypt(
        caller, made.ciphertext, key=KeyById(key_id), context={"b": "2"}, source_key=None, source_context={"a": "1"}
    )  # fmt: skip
    detail = last(bench, caller).detail
    assert (detail["context_values"], detail["source_context_values"]) == ('{"b":"2"}', '{"a":"1"}')


@given(context=CONTEXTS, is_clear=st.booleans())
def test_whatever_the_context_what_is_told_is_whole_short_and_says_what_is_left_out(context, is_clear):
    told = ContextValues(KEY, is_all_clear=is_clear).detail(context)
    values = json.loads(told.get("context_values", "{}"))
    assert len(values) + int(told.get("context_values_left", "0")) == len(context)
    assert values.keys() <= context.keys()
    assert all(text.isascii() and text.isprintable() and len(text) <= 500 for text in told.values())


@given(name=st.text(), value=st.text(), other_name=st.text(), other_value=st.text())
def test_hashes_are_equal_for_the_same_name_value_and_key_alone(name, value, other_name, other_value):
    ours = hash_of_value(KEY, name, value)
    assert len(ours) == 27
    same = (name, value) == (other_name, other_value)
    assert (ours == hash_of_value(KEY, other_name, other_value)) == same
    assert ours != hash_of_value(OTHER, name, value)


@given(context=CONTEXTS)
def test_nothing_is_told_of_values_in_clear_where_they_are_hashed(context):
    told = ContextValues(KEY).detail(context)
    assert all(value.startswith("hmac:") for value in json.loads(told.get("context_values", "{}")).values())


def test_the_key_is_made_once_and_only_where_it_is_needed(tmp_path):
    home, path = Home(tmp_path), tmp_path / CONTEXT_KEY_FILE
    make_context_key(AuditConfig(), home)
    assert not path.exists()
    assert open_context_values(AuditConfig(), home) is None
    hashed = AuditConfig(context_values="hashed")
    make_context_key(hashed, home)
    made = path.read_bytes()
    assert (len(made), path.stat().st_mode & 0o777) == (CONTEXT_KEY_BYTES, 0o400)
    make_context_key(hashed, home)
    assert path.read_bytes() == made
    told = open_context_values(hashed, home).detail({"a": "b"})
    assert json.loads(told["context_values"]) == {"a": hash_of_value(Secret(made), "a", "b")}


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33, None])
def test_a_key_that_is_not_there_or_no_key_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / CONTEXT_KEY_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=CONTEXT_KEY_FILE):
        open_context_values(AuditConfig(context_values="hashed"), Home(tmp_path))


def test_some_values_in_clear_and_no_others(tmp_path):
    values = open_context_values(AuditConfig(context_clear=["tenant"]), Home(tmp_path))
    assert values.detail({"tenant": "acme", "patient": "4711"}) == {"context_values": '{"tenant":"acme"}'}
    assert values.detail({"patient": "4711"}) == {}
