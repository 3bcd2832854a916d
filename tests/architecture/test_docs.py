"""The documentation holds together: links lead somewhere, snippets parse, examples in docstrings run."""

import ast
import doctest
import importlib
import json
import re
import subprocess
import textwrap
import tomllib
from pathlib import Path

import msgspec
import pytest

from strongroom.config import CONFIG_FILE, Config, OidcConfig, load_config
from strongroom.wiring.quotas import check_quotas

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
ROOMS = sorted((ROOT / "src" / "strongroom").rglob("__init__.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def _anchors(page: Path) -> set[str]:
    """Heading anchors as the common forges make them."""
    headings = re.findall(r"(?m)^#{1,6} +(.+?)\s*$", re.sub(r"(?ms)^```.*?^```", "", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_of_a_page_lead_somewhere(page):
    broken = []
    for target in LINK.findall(_without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue  # addresses outside the project are not fetched
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in _anchors(linked)):
            broken.append(target)
    assert broken == []


def _snippets(page: Path, *languages: str) -> list[str]:
    return [
        textwrap.dedent(body) for language, body in FENCE.findall(page.read_text()) if language in languages
    ]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_snippets_of_a_page_parse(page):
    for snippet in _snippets(page, "python"):
        ast.parse(snippet)
    for snippet in _snippets(page, "json"):
        json.loads(snippet)
    for snippet in _snippets(page, "sh", "shell", "bash"):
        done = subprocess.run(["sh", "-n"], input=snippet, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{snippet}\n{done.stderr}"


def test_every_page_under_docs_can_be_reached_from_the_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = LINK.findall(_without_code(page.read_text()))
        todo += [
            (page.parent / link.partition("#")[0]).resolve()
            for link in links
            if not re.match(r"[a-z]+:|#", link)
        ]
    assert [_name(page) for page in PAGES if page not in seen and page.is_relative_to(ROOT / "docs")] == []


@pytest.mark.parametrize("door", ROOMS, ids=_name)
def test_examples_in_the_docstring_of_a_room_run(door):
    name = ".".join(door.relative_to(ROOT / "src").parent.parts)
    module = importlib.import_module(name)
    tests = [test for test in doctest.DocTestFinder(recurse=False).find(module, name) if test.examples]
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_the_configuration_in_the_docs_is_accepted_and_names_every_setting_with_its_default(tmp_path):
    (text,) = _snippets(ROOT / "docs" / "operations.md", "toml")
    (tmp_path / CONFIG_FILE).write_text(text)
    shown = load_config(tmp_path)
    bare = f"version = 1\n[[cluster.members]]{text.partition('[[cluster.members]]')[2]}"
    (tmp_path / CONFIG_FILE).write_text(bare)
    assert shown == load_config(tmp_path), "a default in the docs is not the default in the code"
    raw = tomllib.loads(text)
    for section in msgspec.structs.fields(Config):
        if section.name not in {
            "version",
            "cluster",
            "oidc",
            "quotas",
            "custody",
            "pins",
            "custodians",
            "audit",
        }:  # the last six have pages of their own
            names = {field.name for field in msgspec.structs.fields(section.type)}
            assert names == raw[section.name].keys()


def test_the_configuration_of_the_admin_api_is_accepted_and_names_every_setting_with_its_default(tmp_path):
    bare = _snippets(ROOT / "docs" / "operations.md", "toml")[0].partition("[[cluster.members]]")[2]
    (text,) = _snippets(ROOT / "docs" / "admin-api.md", "toml")
    (tmp_path / CONFIG_FILE).write_text(f"version = 1\n[[cluster.members]]{bare}\n{text}")
    shown = load_config(tmp_path).oidc
    assert shown is not None
    fields = {field.name: field for field in msgspec.structs.fields(OidcConfig)}
    assert fields.keys() - {"jwks_file"} == tomllib.loads(text)["oidc"].keys()
    for name, field in fields.items():
        if not field.required and name != "jwks_url":
            assert getattr(shown, name) == field.default


def test_the_quotas_in_the_docs_are_accepted_and_are_of_every_kind(tmp_path):
    bare = _snippets(ROOT / "docs" / "operations.md", "toml")[0].partition("[[cluster.members]]")[2]
    (text,) = _snippets(ROOT / "docs" / "quotas.md", "toml")
    (tmp_path / CONFIG_FILE).write_text(f"version = 1\n[[cluster.members]]{bare}\n{text}")
    shown = check_quotas(load_config(tmp_path)).quotas
    assert all(getattr(shown, field.name) for field in msgspec.structs.fields(type(shown)))


def test_every_command_of_dev_is_explained_in_its_help():
    script = (ROOT / "dev").read_text()
    shown = subprocess.run(["sh", "dev", "help"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    dispatch = script[script.rindex("case $command in") :]
    commands = set(re.findall(r"[a-z]+", " ".join(re.findall(r"(?m)^    ([a-z |-]+)\) ", dispatch)))) - {"h"}
    assert {command for command in commands if not re.search(rf"(?m)^  {command}\b", shown)} == set()
