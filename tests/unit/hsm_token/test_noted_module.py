"""No call that uses a key, makes or destroys one goes past the worker's count."""

import inspect

from strongroom.hsm.cryptoki import Module
from strongroom.hsm.token import NotedModule

NOT_COUNTED = {
    *("load", "initialize", "has_function", "library_info", "slots", "mechanisms", "slot_info", "token_info"),
    *("mechanism_info", "init_token", "open_session", "close_session", "close_all_sessions", "session_info"),
    *("session_cancel", "logout", "init_pin", "set_pin", "generate_random", "find_objects", "get_attributes"),
    *("digest", "path"),
}
"""Calls that use no key and make none; NotedModule clears its handles in ``finalize``."""


def test_every_call_is_counted_or_uses_no_key():
    everything = {name for name, _ in inspect.getmembers(Module) if not name.startswith("_")}
    noted = {name for name in vars(NotedModule) if not name.startswith("_")} - {"note_to"}

    assert everything == noted | NOT_COUNTED
    assert noted.isdisjoint(NOT_COUNTED)
