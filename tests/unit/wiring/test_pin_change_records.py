"""Any bytes are a record of a change or are refused; a record is read back as it was written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.wiring.pin_changes import PinChange, PinRecordError, PinTries, read_change, write_change

tries = st.builds(PinTries, unknown=st.integers(0, 99), is_refused=st.booleans())
changes = st.builds(
    PinChange,
    change_id=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    member=st.just("alpha"),
    phase=st.sampled_from(["pending", "setting", "set", "proved", "done", "failed"]),
    started_at=st.floats(0, 1e12),
    old=tries,
    new=tries,
    refusals=st.integers(0, 99),
    trouble=st.text(st.characters(codec="utf-8"), max_size=100),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("records") / "alpha"


@settings(deadline=None, max_examples=50)
@given(change=changes)
def test_a_record_is_read_back_as_it_was_written(path, change):
    write_change(path, change)
    assert read_change(path) == change


@settings(deadline=None, max_examples=100)
@given(content=st.binary(max_size=200) | st.text('{}[]":,0alphversonmb', max_size=80).map(str.encode))
def test_any_other_bytes_are_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(PinRecordError):
        read_change(path)


def test_a_long_file_and_a_folder_are_refused(tmp_path):
    (tmp_path / "alpha").write_bytes(b" " * 20_000)
    with pytest.raises(PinRecordError):
        read_change(tmp_path / "alpha")
    (tmp_path / "beta").mkdir()
    with pytest.raises(PinRecordError):
        read_change(tmp_path / "beta")
    assert read_change(tmp_path / "none") is None
