"""What the audit log says of a changed configuration: names of settings, never their values."""

import hashlib

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from strongroom.config import Home
from strongroom.wiring.config_changes import _changed, changed_settings, config_sha256


def test_the_hash_is_that_of_the_file(tmp_path):
    assert config_sha256(Home(tmp_path)) == ""
    Home(tmp_path).config_file.write_bytes(b"[service]\n")
    assert config_sha256(Home(tmp_path)) == hashlib.sha256(b"[service]\n").hexdigest()


def test_only_names_of_what_differs_are_told():
    before = {"service": {"port": 1, "host": "a"}, "audit": {"sinks": [{"token": "secret"}]}, "x": 1}
    after = {"service": {"port": 2, "host": "a"}, "audit": {"sinks": []}, "x": 1, "y": {"z": {"a": 1}}}
    assert list(_changed("", before, after)) == ["audit.sinks", "service.port", "y.z.a"]


class Many(msgspec.Struct):
    settings: dict[str, int]


@given(count=st.integers(0, 100))
def test_many_changes_are_counted(count):
    names = {f"s{number:03}": number for number in range(count)}
    told = changed_settings(Many({}), Many(names))
    assert told.count("settings.") == min(count, 20)
    assert told.endswith(f"{count - 20} more") == (count > 20)
