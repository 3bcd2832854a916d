"""What is known of each HSM's own log: for every profile, strictly read, and the same in the documentation."""

from pathlib import Path

import pytest

from hsm_logs_page import BEGIN, END, profile_sections
from strongroom.core import ConfigError
from strongroom.hsm.token import known_audit_logging, known_profiles, load_audit_logging
from strongroom.hsm.token._audit_logging import parse_audit_logging
from strongroom.vendorlogs import FORMATS

DOCS = Path(__file__).parents[3] / "docs" / "hsm-logs.md"


def test_every_profile_says_what_its_hsm_logs():
    assert set(known_audit_logging()) == set(known_profiles())
    for name in known_profiles():
        logging = load_audit_logging(name)
        assert logging.sources or logging.not_verified or logging.records == "nothing"
        assert (logging.records == "nothing") == (logging.state == "off")
        assert logging.format in {"", *FORMATS}


def test_the_documentation_shows_what_the_profiles_say():
    text = DOCS.read_text()

    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == profile_sections() + "\n"


@pytest.mark.parametrize(
    "entry", [{}, {"same_as": "nobody"}, {"records": "all", "state": "maybe"}, {"records": "all", "more": 1}]
)
def test_what_is_not_of_that_form_is_refused(entry):
    with pytest.raises(ConfigError):
        parse_audit_logging({"x": entry}, "x")
