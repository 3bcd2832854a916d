"""Pages of a ceremony at a terminal: on each width every name and every value stands whole."""

import re

import pytest

from strongroom.ceremony import Page
from strongroom.cli._ceremony_drawing import Drawing

ROOT = "11e7283c5476c5a373a7288f34bcd0c2"
FACTS = (
    ("profile", "softhsm2"),
    ("members / alpha / serial", "8df7ccd036d4bf18"),
    (f"members / alpha / key-check-values / {ROOT}", "CKA_CHECK_VALUE e11aab"),
    ("members / alpha / direct-keys-with-attributes-read-back", "0"),
    ("members / beta / a-name-that-is-longer-than-what-stands-in-any-column-of-labels", "none"),
    ("sha256", "ab" * 32),
)


@pytest.mark.parametrize("columns", [60, 80, 110, 200])
def test_no_name_and_no_value_of_a_fact_is_cut(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")
    lines = [
        re.sub(r"\x1b\[[0-9;]*m", "", line)
        for line in Drawing(is_rehearsal=False).page(Page("Check", facts=FACTS))
    ]
    assert all(len(line) <= columns for line in lines)
    assert "\u2026" not in "".join(lines)
    text = "".join("".join(lines).split())
    for label, value in FACTS:
        assert "".join(value.split()) in text
        assert label.rpartition(" / ")[0].replace(" ", "") in text
        if len(label.rpartition(" / ")[2]) <= 40:
            assert label.rpartition(" / ")[2] in text
    for word in ("longer-than", "any-column-of"):
        assert word in "".join(line.split()[0] for line in lines if line.split())
    if columns >= 80:
        assert any(line.split() == [ROOT, "CKA_CHECK_VALUE", "e11aab"] for line in lines)
