"""No call that uses a key, makes or destroys one goes past the worker's count."""

import inspect

from strongroom.hsm.cryptoki import Attribute, Module
from strongroom.hsm.token import NotedModule

NOT_COUNTED = {
    *("load", "initialize", "has_function", "library_info", "slots", "mechanisms", "slot_info", "token_info"),
    *("mechanism_info", "init_token", "open_session", "session_info"),
    *("session_cancel", "logout", "init_pin", "set_pin", "generate_random", "find_objects", "get_attributes"),
    *("digest", "path"),
}
"""Calls that use no key and make none; NotedModule forgets its handles when sessions or the library are closed."""


def test_every_call_is_counted_or_uses_no_key():
    everything = {name for name, _ in inspect.getmembers(Module) if not name.startswith("_")}
    noted = {name for name in vars(NotedModule) if not name.startswith("_")} - {"note_to"}

    assert everything == noted | NOT_COUNTED
    assert noted.isdisjoint(NOT_COUNTED)


def test_a_handle_that_is_given_again_after_a_session_closed_is_noted_by_its_new_key(monkeypatch):
    ids, noted = {7: b"a" * 16}, []
    monkeypatch.setattr(Module, "get_attributes", lambda _, __, handle, ___: {Attribute.ID: ids[handle]})
    monkeypatch.setattr(Module, "close_session", lambda *_: None)
    monkeypatch.setattr(Module, "sign", lambda *_: b"signature")

    class Notes:
        def note(self, use, key_id, handle):
            noted.append((use, key_id, handle))

    module = NotedModule.__new__(NotedModule)
    module.note_to(Notes())
    for key_id in (b"a" * 16, b"b" * 16):
        ids[7] = key_id
        module.sign(1, None, 7, b"data")
        module.close_session(1)
    assert noted == [("sign", b"a" * 16, 7), ("sign", b"b" * 16, 7)]
