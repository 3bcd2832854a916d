"""Files through the whole service: our client and boto3, the command line, kill -9, and constant memory."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from running_service import RunningService, copy_home
from strongroom import DataKeyCache, Envelope
from strongroom.audit import read_entries
from strongroom.client import KmsClient, RequestRefusedError, Service
from strongroom.client import home_service as service_of_home

MIB = 1024 * 1024
LIMIT_S = 120


@pytest.fixture(scope="module")
def service(initialised_home: Path, tmp_path_factory: pytest.TempPathFactory):
    home = copy_home(initialised_home, tmp_path_factory.mktemp("files") / "home")
    with RunningService(home) as running:
        running.start()
        running.client().create_alias(
            AliasName="alias/files", TargetKeyId=running.client().create_key()["KeyMetadata"]["KeyId"]
        )
        yield running


@pytest.fixture
def here(service: RunningService) -> Service:
    """The service as our client sees it."""
    found = service_of_home(service.home)
    return found._replace(endpoint=found.endpoint._replace(port=service.port))


def _environment(service: RunningService) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "STRONGROOM_HOME": str(service.home.root),
        "STRONGROOM_PORT": str(service.port),
    }


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "strongroom", *map(str, arguments)]


def _strongroom(
    service: RunningService, *arguments: object, **settings: object
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        _command(*arguments), env=_environment(service), capture_output=True, timeout=LIMIT_S, check=False, **settings
    )  # fmt: skip


def test_what_our_client_encrypts_boto3_decrypts_and_back(service: RunningService, here: Service) -> None:
    with KmsClient(here) as client:
        ours = Envelope("alias/files", source=client)
        theirs = Envelope("alias/files", source=service.client())
        for one, other in ((ours, theirs), (theirs, ours)):
            encrypted = one.encrypt(b"data" * 10_000, context={"tenant": "7"})
            assert other.decrypt(encrypted, context={"tenant": "7"}) == b"data" * 10_000
            assert Envelope(source=service.client()).decrypt(encrypted) == b"data" * 10_000


def test_a_disabled_key_opens_no_file(service: RunningService) -> None:
    kms = service.client()
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    envelope = Envelope(key_id, source=kms)
    encrypted = envelope.encrypt(b"x")
    kms.disable_key(KeyId=key_id)
    with pytest.raises(kms.exceptions.DisabledException):
        envelope.decrypt(encrypted)


def test_only_the_key_that_is_named_opens_a_file(service: RunningService, here: Service) -> None:
    foreign = service.client().create_key()["KeyMetadata"]["KeyId"]
    with KmsClient(here) as client:
        planted = Envelope(foreign, source=client).encrypt(b"planted")
        with pytest.raises(RequestRefusedError, match="IncorrectKeyException"):
            Envelope("alias/files", source=client).decrypt(planted)


def test_a_cache_makes_one_call_for_many_messages(service: RunningService, here: Service) -> None:
    cache = DataKeyCache(max_messages=50, max_bytes=10**9, max_age_s=60)
    with KmsClient(here) as client:
        envelope = Envelope("alias/files", source=client, cache=cache)
        before = _calls(service)
        encrypted = [envelope.encrypt(bytes([number])) for number in range(50)]
        assert [envelope.decrypt(one) for one in encrypted] == [bytes([number]) for number in range(50)]
    assert _calls(service) - before == 2


def _calls(service: RunningService) -> int:
    return sum(entry.kind == "outcome" for entry in read_entries(service.home.audit))


def test_the_command_line_encrypts_and_decrypts_files_and_pipes(
    service: RunningService, tmp_path: Path
) -> None:
    data = os.urandom(3 * MIB + 17)
    (tmp_path / "plain").write_bytes(data)
    done = _strongroom(
        service, "encrypt", "plain", "-k", "alias/files", "-c", "tenant=7", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["encrypted_bytes"] == (tmp_path / "plain.strongroom").stat().st_size
    (tmp_path / "plain").unlink()
    assert _strongroom(service, "decrypt", "plain.strongroom", cwd=tmp_path).returncode == 0
    assert (tmp_path / "plain").read_bytes() == data
    piped = _strongroom(service, "encrypt", "-", "-k", "alias/files", input=data)
    assert piped.returncode == 0
    assert _strongroom(service, "decrypt", "-", input=piped.stdout).stdout == data
    part = _strongroom(service, "decrypt", "plain.strongroom", "--range", "2000000:100000", cwd=tmp_path)
    assert part.stdout == data[2_000_000:2_100_000]


def test_a_pipe_that_is_cut_off_fails_and_says_so(service: RunningService) -> None:
    piped = _strongroom(service, "encrypt", "-", "-k", "alias/files", input=bytes(100_000))
    cut = _strongroom(service, "decrypt", "-", input=piped.stdout[:-100])
    assert cut.returncode == 1
    assert cut.stdout == bytes(len(cut.stdout))
    assert b"do not use what came out" in cut.stderr


def test_a_reader_that_goes_away_ends_the_command_without_a_word_about_bugs(service: RunningService) -> None:
    piped = _strongroom(service, "encrypt", "-", "-k", "alias/files", input=bytes(3 * MIB))
    with subprocess.Popen(
        _command("decrypt", "-"), env=_environment(service),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(piped.stdout, timeout=LIMIT_S)
    assert process.returncode == 1
    assert b"bug" not in errors


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_killed_leaves_nothing(
    service: RunningService, tmp_path: Path, number: signal.Signals
) -> None:
    piped = _strongroom(service, "encrypt", "-", "-k", "alias/files", input=bytes(2 * MIB))
    for arguments, data in (
        (["encrypt", "-", "-k", "alias/files", "-o", "out"], bytes(2 * MIB)),
        (["decrypt", "-", "-o", "out"], piped.stdout[: MIB + 7]),
    ):
        with subprocess.Popen(
            _command(*arguments), env=_environment(service), cwd=tmp_path,
            stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            process.stdin.write(data)  # more than the pipe holds, so the command is at work when this returns
            process.stdin.flush()
            process.send_signal(number)
            process.wait(LIMIT_S)
        assert os.listdir(tmp_path) == []


_LAUNCHER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
json.dump([done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss], sys.stdout)
"""
"""Linux counts what a process was before exec into its peak, so a small process must start it, not this one."""


def _peak_mib(service: RunningService, arguments: list[object], *, size: int, folder: Path) -> float:
    """Run a command on ``size`` bytes from a pipe that nobody stores; returns its peak memory."""
    feeder = f"import sys\nfor _ in range({size // MIB}): sys.stdout.buffer.write(bytes({MIB}))"
    with subprocess.Popen([sys.executable, "-c", feeder], stdout=subprocess.PIPE) as source:
        done = subprocess.run(
            [sys.executable, "-c", _LAUNCHER, *_command(*arguments)], env=_environment(service), cwd=folder,
            stdin=source.stdout, capture_output=True, timeout=600, check=True,
        )  # fmt: skip
    status, peak_kib = json.loads(done.stdout)
    assert status == 0, done.stderr
    return peak_kib / 1024


def test_memory_does_not_grow_with_the_data(service: RunningService, tmp_path: Path) -> None:
    _there_and_back_in_constant_memory(service, tmp_path, small=32 * MIB, large=256 * MIB)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_2_gib(service: RunningService, tmp_path: Path) -> None:
    _there_and_back_in_constant_memory(service, tmp_path, small=64 * MIB, large=2048 * MIB)


def _there_and_back_in_constant_memory(
    service: RunningService, folder: Path, *, small: int, large: int
) -> None:
    peaks = {}
    for size in (small, large):
        name = f"{size}.strongroom"
        encrypting = _peak_mib(
            service, ["encrypt", "-", "-k", "alias/files", "-o", name], size=size, folder=folder
        )
        decrypting = _peak_mib(service, ["decrypt", name, "-o", "-"], size=0, folder=folder)
        assert (folder / name).stat().st_size > size
        peaks[size] = (encrypting, decrypting)
        (folder / name).unlink()
    assert all(abs(one - other) < 4 for one, other in zip(peaks[small], peaks[large], strict=True)), peaks
    assert max(peaks[large]) < 100, peaks
