"""What effects remember between processes: whole lines alone count, and a damaged file is refused."""

import pytest

from strongroom.ceremony import CeremonyFolderError
from strongroom.wiring.ceremony_notes import NOTES_NAME, Notes


def test_notes_are_found_again_in_their_order_each_once(tmp_path):
    for name in ("one", "two", "one"):
        Notes(tmp_path).add("make", "set", name)
    Notes(tmp_path).add("other", "set", "three")
    assert Notes(tmp_path).of("make", "set") == ["one", "two"]
    assert Notes(tmp_path).of("make", "bundle") == []


def test_half_a_line_never_counted(tmp_path):
    Notes(tmp_path).add("make", "set", "one")
    whole = (tmp_path / NOTES_NAME).read_bytes()
    for cut in range(len(whole)):
        (tmp_path / NOTES_NAME).write_bytes(whole + whole[:cut])
        assert Notes(tmp_path).of("make", "set") == ["one"]


def test_a_damaged_line_is_refused_and_removed_notes_are_gone(tmp_path):
    (tmp_path / NOTES_NAME).write_bytes(b"{}\n")
    with pytest.raises(CeremonyFolderError, match=NOTES_NAME):
        Notes(tmp_path).of("make", "set")
    Notes(tmp_path).remove()
    Notes(tmp_path).remove()
    assert Notes(tmp_path).of("make", "set") == []
