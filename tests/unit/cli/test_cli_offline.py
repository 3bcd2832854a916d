"""Commands that need no service: what they say about homes that are absent, half made, foreign, open to others."""

import json
import shlex
import subprocess

import pytest

from cli_support import ACCESS_KEY, PINS, SECRET_KEY, make_home, run
from strongroom.config import Home
from strongroom.wiring.home import locked_home

NEED_A_HOME = [["serve"], ["env"], ["status"], ["keys", "list"], ["demo"]]


def _json_of(result):
    return json.loads(result.stdout)


@pytest.mark.parametrize("command", NEED_A_HOME, ids=" ".join)
def test_without_a_home_a_command_says_how_to_make_one(command, tmp_path):
    result = run(*command)
    assert result.exit_code == 1
    assert f"{tmp_path / 'home'} is not a Strongroom home" in result.stderr
    assert "what to do: run 'strongroom init --development'" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", NEED_A_HOME, ids=" ".join)
def test_a_half_initialised_home_is_named_as_such(command, home):
    home.unfinished_mark.touch()
    result = run(*command)
    assert result.exit_code == 1
    assert "half initialised" in result.stderr
    assert "init --development' again" in result.stderr


@pytest.mark.parametrize("command", NEED_A_HOME, ids=" ".join)
def test_a_home_that_others_may_enter_is_refused(command, home):
    home.root.chmod(0o755)
    result = run(*command)
    assert result.exit_code == 1
    assert f"chmod 0700 {home.root}" in result.stderr


def test_with_json_a_failure_is_a_document_too():
    result = run("env", "--json")
    assert result.exit_code == 1
    error = _json_of(result)["error"]
    assert (error["kind"], error["code"]) == ("HomeError", None)
    assert "is not a Strongroom home" in error["message"]
    assert "init --development" in error["next_step"]
    assert "is not a Strongroom home" in result.stderr


def test_verbose_shows_what_caused_a_failure(home):
    home.config_file.write_text("version = \n")
    assert "caused by" not in run("env").stderr
    assert "caused by TOMLDecodeError" in run("env", "--verbose").stderr


def test_init_without_the_development_flag_says_what_to_use(tmp_path):
    result = run("init")
    assert result.exit_code == 2
    assert "strongroom init --development" in result.stderr
    assert not (tmp_path / "home").exists()


def test_init_refuses_a_folder_that_holds_other_things(tmp_path):
    foreign = tmp_path / "home"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    result = run("init", "--development")
    assert result.exit_code == 1
    assert "holds other things (thesis.txt" in result.stderr
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]


def test_init_refuses_a_home_that_somebody_else_works_on(tmp_path):
    root = tmp_path / "home"
    root.mkdir(mode=0o700)
    with locked_home(Home(root)):
        result = run("init", "--development")
    assert result.exit_code == 1
    assert "another process serves or changes" in result.stderr


def test_init_leaves_a_complete_home_alone_even_while_it_is_served(home):
    before = sorted((path, path.stat().st_mtime_ns) for path in home.root.rglob("*"))
    with locked_home(home):
        result = run("init", "--development", "--json")
    assert result.exit_code == 0
    assert _json_of(result) == {"home": str(home.root), "made": False, "endpoint": "https://localhost:8443"}
    kept = [(path, stamp) for path, stamp in before if path.name not in {"lock", "home"}]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept)


def test_init_names_a_port_that_is_none(tmp_path):
    result = run("init", "--development", STRONGROOM_PORT="eight")
    assert result.exit_code == 1
    assert "STRONGROOM_PORT is 'eight'" in result.stderr
    assert not (tmp_path / "home").exists()


def test_serve_refuses_a_home_that_is_served_already(home):
    with locked_home(home):
        result = run("serve")
    assert result.exit_code == 1
    assert "another process serves" in result.stderr


def test_serve_refuses_a_configuration_that_is_wrong(home):
    home.config_file.write_text(home.config_file.read_text() + "\n[service]\nportt = 1\n")
    result = run("serve")
    assert result.exit_code == 1
    assert "strongroom.toml" in result.stderr


def test_serve_becomes_the_main_process(home, monkeypatch):
    became = []

    def execv(path, arguments):
        became.append((path, arguments))
        raise SystemExit(0)

    monkeypatch.setattr("os.execv", execv)
    result = run("serve")
    [(path, arguments)] = became
    assert arguments == [path, "-m", "strongroom.runtime.main"]
    assert "https://localhost:8443" in result.stderr


EXPECTED = {
    "AWS_ENDPOINT_URL": "https://localhost:8443",
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
}


def test_env_prints_lines_that_a_shell_takes_over_unchanged(home):
    lines = run("env").stdout
    names = [*EXPECTED, "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"]
    program = f"{lines}\n" + "\n".join(f"printf '%s\\0' \"${name}\"" for name in names)
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True, env={})
    assert done.stdout.split("\0")[:-1] == [*EXPECTED.values(), *[str(home.tls / "ca.pem")] * 2]
    assert all(line.startswith("export ") and len(shlex.split(line)) == 2 for line in lines.splitlines())


@pytest.mark.parametrize("arguments", [["--json"], ["--shell", "json"]])
def test_env_as_json(home, arguments):
    ca_file = str(home.tls / "ca.pem")
    expected = {**EXPECTED, "AWS_CA_BUNDLE": ca_file, "NODE_EXTRA_CA_CERTS": ca_file}
    assert _json_of(run("env", *arguments)) == expected


def test_env_for_fish_escapes_what_fish_reads_within_quotes(home):
    lines = run("env", "--shell", "fish").stdout.splitlines()
    assert "set -gx AWS_SECRET_ACCESS_KEY 'a-secret/that+only;env\\'may\"print'" in lines


def test_env_follows_the_port_of_the_environment(home):
    assert "AWS_ENDPOINT_URL=https://localhost:9443" in run("env", STRONGROOM_PORT="9443").stdout


def test_env_unsets_a_session_token_that_clients_would_send(home):
    assert "SESSION_TOKEN" not in run("env").stdout
    assert run("env", AWS_SESSION_TOKEN="x").stdout.splitlines()[-1] == "unset AWS_SESSION_TOKEN"
    fish = run("env", "--shell", "fish", AWS_SESSION_TOKEN="x").stdout
    assert fish.splitlines()[-1] == "set -e AWS_SESSION_TOKEN"


def test_env_without_tls_names_the_address_and_no_ca(tmp_path):
    make_home(tmp_path / "home", tls=False)
    result = run("env")
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:8443" in result.stdout
    assert "_CA_" not in result.stdout


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"access_key_id": 1}', b"\xff\xfe" + SECRET_KEY.encode()]
)
def test_env_says_when_the_access_key_file_holds_none_and_quotes_nothing_of_it(home, content):
    home.development_access_key.chmod(0o600)
    home.development_access_key.write_bytes(content)
    result = run("env", "--verbose")
    assert result.exit_code == 1
    assert "does not hold an access key" in result.stderr
    assert SECRET_KEY not in result.output


def test_env_refuses_an_access_key_that_others_may_read(home):
    home.development_access_key.chmod(0o444)
    result = run("env")
    assert result.exit_code == 1
    assert f"chmod 0400 {home.development_access_key}" in result.stderr


def test_the_demo_refuses_homes_with_real_hsms(tmp_path):
    make_home(tmp_path / "home", profile="vendor-x")
    result = run("demo")
    assert result.exit_code == 1
    assert "not a development home" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["init", "--development"],
        ["serve"],
        ["status"],
        ["keys", "list"],
        ["demo"],
        ["doctor"],
        ["audit", "tail"],
        ["audit", "verify"],
    ],
    ids=" ".join,
)
def test_no_command_but_env_prints_a_secret(home, command, monkeypatch):
    monkeypatch.setattr("os.execv", lambda *_: None)
    for flags in ([], ["--json"], ["--verbose"]):
        output = run(*command, *flags).output
        assert SECRET_KEY not in output
        assert not any(pin.decode() in output for pin in PINS)


def test_a_bug_is_called_one_without_a_traceback(home, monkeypatch):
    def broken(*_arguments):
        raise ZeroDivisionError("divided by zero")

    monkeypatch.setattr("strongroom.cli._env.development_access_key", broken)
    result = run("env")
    assert result.exit_code == 1
    assert "this is a bug in Strongroom: ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.output
    assert "Traceback" in run("env", "--verbose").stderr


def test_ctrl_c_ends_a_command_with_130_and_one_line(home, monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("strongroom.cli._env.development_access_key", interrupted)
    result = run("env")
    assert (result.exit_code, result.stderr) == (130, "strongroom: interrupted\n")
