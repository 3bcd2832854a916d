"""Prints of a ceremony are compared with what would be printed now."""

import json

import pytest
import reportlab

from cli_support import run
from fakes_ceremony import SOFTWARE, rehearsed
from paper_reading import read_pages, squeezed
from strongroom import ceremony


@pytest.fixture
async def folder(tmp_path, monkeypatch):
    """A ceremony that the software of this moment ran and printed."""
    monkeypatch.setattr(ceremony, "installed_software", lambda _version: SOFTWARE)
    setting, _ = await rehearsed(tmp_path)
    assert run("ceremony", "print", setting.folder).exit_code == 0
    return setting.folder


def verified(folder):
    done = run("ceremony", "verify", folder, "--json")
    return done.exit_code, done.stdout + done.stderr


def test_prints_that_are_as_they_were_made_are_checked(folder):
    code, told = verified(folder)
    assert code == 0, told
    assert "4 prints are what the transcript gives" in json.loads(told)["checked"]
    (page,) = read_pages((folder / "printed" / "auditor.pdf").read_bytes())
    text = squeezed(page.text)
    assert "transcript.jsonl.walter.sig" in text
    assert "What nobody can check from these files".replace(" ", "") in text


@pytest.mark.parametrize("name", ["transcript.pdf", "transcript.html", "auditor.pdf", "auditor.html"])
def test_a_print_that_was_changed_fails_by_name(folder, name):
    path = folder / "printed" / name
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    code, told = verified(folder)
    assert code == 1
    assert name in told


def test_a_pdf_of_other_libraries_is_told_as_not_checked(folder):
    path = folder / "printed" / "transcript.pdf"
    path.write_bytes(
        path.read_bytes().replace(f"reportlab {reportlab.__version__}".encode(), b"reportlab 4.0.0")
    )
    code, told = verified(folder)
    assert code == 0, told
    answer = json.loads(told)
    assert "3 prints are what the transcript gives" in answer["checked"]
    assert any(
        "transcript.pdf: it says that it was made with reportlab 4.0.0" in line
        for line in answer["unchecked"]
    )
