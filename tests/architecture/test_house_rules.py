"""Rules about the files themselves: length, purpose, shop windows, names, and what must never be committed."""

import ast
import functools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "strongroom"
ROOMS = sorted(
    path.parent
    for path in PACKAGE.rglob("__init__.py")
    if path.parent != PACKAGE and "migrations" not in path.parts  # Alembic's scripts, not a room
)
SOURCES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400

# Spelt in pieces, so that this file does not match itself.
REGISTRY_HOSTS = [
    "py" + "pi.org", "python" + "hosted.org", "deb." + "debian.org", "registry." + "npmjs", "proxy." + "golang",
    "extra-" + "index-url", "arti" + "factory",
]  # fmt: skip


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _committed_files() -> list[Path]:
    """The files of the project, with new ones; all files when this is an unpacked archive without git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        hidden = {".venv", ".deps", ".strongroom", "__pycache__"}
        paths = [path for path in ROOT.rglob("*") if hidden.isdisjoint(path.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("folder", ["src", "tests"])
def test_no_python_file_has_more_than_400_lines(folder):
    lengths = {_name(path): len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_every_source_file_opens_with_its_purpose():
    silent = [_name(path) for path in SOURCES if ast.get_docstring(_parsed(path)) is None]
    assert silent == []


@pytest.mark.parametrize("room", ROOMS, ids=_name)
def test_a_room_names_what_it_exports(room):
    tree = ast.parse((room / "__init__.py").read_text())
    if all(isinstance(node, ast.Expr) for node in tree.body):
        return  # a folder of rooms, such as hsm: it exports nothing
    exports = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" in ast.unparse(node).partition("=")[0]
    ]
    assert len(exports) == 1, f"{_name(room)}/__init__.py has no __all__"
    names = ast.literal_eval(exports[0])
    defined = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    defined |= {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    defined |= {
        t.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for t in node.targets
        if isinstance(t, ast.Name)
    }
    assert set(names) <= defined


def test_no_file_is_named_after_nothing():
    vague = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
    assert [_name(path) for path in SOURCES if path.stem.strip("_") in vague] == []


def test_rooms_are_entered_by_their_door():
    """Private modules (``_x``) are imported by their own room only."""
    trespasses = []
    for path in SOURCES:
        room = ".".join(path.relative_to(ROOT / "src").parent.parts)
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("strongroom."):
                owner, _, private = node.module.partition("._")
                if private and not (room == owner or room.startswith(owner + ".")):
                    trespasses.append(f"{_name(path)}:{node.lineno} imports {node.module}")
    assert trespasses == []


def test_nothing_stands_on_what_python_3_11_2_does_wrong():
    """Debian 12 has it. A possessive group may keep half of what it tried; what ``except*`` raises comes in a group."""
    wrong = re.compile(r"\)[*+?]\+|^\s*except\*", re.MULTILINE)
    assert [_name(path) for path in SOURCES if wrong.search(path.read_text())] == []


def test_no_pattern_of_a_field_ends_in_a_dollar():
    """It lets a line feed through at the end, \\Z does not."""
    wrong = re.compile(r"""pattern=r?["'][^"']*\$["']""")
    assert [_name(path) for path in SOURCES if wrong.search(path.read_text())] == []


def test_locked_requirements_hold_hashes_and_no_address():
    for name in ("runtime", "dev", "bench"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        assert not re.search(r"[a-z+]+://|^\s*-", re.sub(r"(?m)^\s+--hash=.*$|#.*$", "", text), re.MULTILINE)
        pinned = re.findall(r"(?m)^[a-z0-9][^\s=]*==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text)
        named = re.findall(r"(?m)^[a-z0-9]", text)
        assert len(pinned) == len(named) > 0


def test_the_locks_agree_and_hold_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {}
    for name in ("runtime", "dev", "bench"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        locked[name] = dict(re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==(\S+)", text))
    assert locked["runtime"].items() <= locked["dev"].items()
    in_both = locked["bench"].keys() & locked["dev"].keys()  # they are installed into one environment
    assert {name: locked["bench"][name] for name in in_both} == {
        name: locked["dev"][name] for name in in_both
    }
    wanted = {"runtime": project["dependencies"], "dev": project["optional-dependencies"]["dev"]}
    for name, requirements in wanted.items():
        names = {re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in requirements}
        assert names <= locked[name].keys(), "run ./dev lock"


def test_no_package_registry_is_named_anywhere():
    hits = []
    for path in _committed_files():
        text = path.read_bytes()
        hits += [f"{_name(path)}: {host}" for host in REGISTRY_HOSTS if host.encode() in text]
    assert hits == []


def test_no_large_or_private_file_is_committed():
    assert [_name(path) for path in _committed_files() if path.stat().st_size > 1_000_000] == []
    private = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}")
    outside_vectors = [path for path in _committed_files() if "vectors" not in path.parts]
    assert [_name(path) for path in outside_vectors if private.search(path.read_bytes())] == []
