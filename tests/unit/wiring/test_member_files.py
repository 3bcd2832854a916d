"""The description of a member that joins later: whatever bytes stand in the file, they are one or are refused in words."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.core import ConfigError
from strongroom.wiring.new_member import read_member_file

SOUND = b'[member]\nname = "gamma"\nprofile = "softhsm2"\n'


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.tuples(st.integers(0, len(SOUND)), st.binary(max_size=20)))
def test_any_bytes_describe_a_member_or_are_refused(tmp_path, changed):
    if isinstance(changed, tuple):
        place, more = changed
        changed = SOUND[:place] + more + SOUND[place + len(more) :]
    path = tmp_path / "member.toml"
    path.write_bytes(changed)
    with contextlib.suppress(ConfigError):
        assert read_member_file(path).profile


@pytest.mark.parametrize(
    "content",
    [
        b"[member]\nname = " + b"[" * 40_000,
        b"a = 1\n" * 20_000,
        SOUND + b'pin = "1234"\n',
        SOUND + b'environment = { USER_PIN = "1234" }\n',
    ],
)
def test_what_no_description_may_be_is_refused_and_not_repeated(tmp_path, content):
    path = tmp_path / "member.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_member_file(path)
    assert "1234" not in str(refused.value)
