"""Main and its witnesses: each confirms the newest checkpoint, one that fails or hangs keeps nobody up, one that saw another past is told aloud."""

import asyncio
import shutil

import msgspec
import pytest

from strongroom.api import Response
from strongroom.audit import (
    CheckpointFiles,
    TreeLog,
    WitnessedFiles,
    WitnessSigner,
    encode_cosignatures,
    verify_note,
)
from strongroom.config import AuditWitnessConfig, Home
from strongroom.core import ConfigError, SystemClock
from strongroom.runtime import _audit_witnesses
from strongroom.runtime._audit_witness_caller import WitnessCaller
from strongroom.runtime._audit_witness_post import WitnessFailedError, WitnessPost
from strongroom.runtime._audit_witnesses import AuditWitnesses
from strongroom.shipping import TlsFiles
from strongroom.wiring.audit_witnesses import read_standing
from unit.audit.signed_logs import KEY, ORIGIN, make_signed_log, sign, write_entries
from witness_server import ServedWitness, ToldEvents, silent_port


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(_audit_witnesses, "_POLL_S", 0.01)
    monkeypatch.setattr(_audit_witnesses, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(_audit_witnesses, "_FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(_audit_witnesses, "_LAST_S", 60.0)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An audit directory with checkpoints of 5 and 9 entries."""
    directory = tmp_path_factory.mktemp("log") / "audit"
    make_signed_log(directory, rounds=((2, 3), (4, 0)))
    return directory


@pytest.fixture
def home(tmp_path, template):
    home = Home(tmp_path / "home")
    shutil.copytree(template, home.audit)
    return home


@pytest.fixture
def served(tmp_path):
    with ServedWitness(tmp_path / "w1", [KEY]).served() as served:
        yield served


@pytest.fixture
def told():
    return ToldEvents()


def config_of(served, name="w1", **changes):
    keys = [key.text() for key in served.signer.keys]
    config = AuditWitnessConfig(name=name, url=served.url, keys=keys, timeout_s=20.0, retry_max_s=0.05)
    return msgspec.structs.replace(config, **changes)


def newest(home):
    return CheckpointFiles(home.audit).last()


def grow(home, count=5, **fields):
    """Add entries and a checkpoint over them."""
    write_entries(home.audit, "main", count, **fields)
    log = TreeLog(home.audit, ORIGIN)
    log.gather(is_last=True)
    sign(log)
    log.close()
    return newest(home)


def confirmed(home, name="w1") -> int:
    last = WitnessedFiles(home.audit, name).last()
    return 0 if last is None else last.checkpoint.size


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


class Running:
    """Witnesses at work on a home, given its newest checkpoint."""

    def __init__(self, home, told, *configs):
        self.home = home
        self.witnesses = AuditWitnesses(configs, home, events=told, clock=SystemClock())

    async def __aenter__(self):
        self.witnesses.start()
        self.witnesses.take(newest(self.home))
        return self.witnesses

    async def __aexit__(self, *_):
        await self.witnesses.finish()


async def test_each_newest_checkpoint_is_confirmed_and_kept(home, served, told):
    async with Running(home, told, config_of(served)) as witnesses:
        await until(lambda: confirmed(home) == 9)
        for size in (14, 19):
            witnesses.take(grow(home))
            await until(lambda size=size: confirmed(home) == size)
        await until(lambda: 'audit_witness_behind_entries{witness="w1"} 0\n' in witnesses.metrics())
        assert 'strongroom_audit_witness_failing{witness="w1"} 0' in witnesses.metrics()
    for kept in WitnessedFiles(home.audit, "w1").read():
        assert len(verify_note(kept.note, served.signer.keys)) == 2
    assert (told.events, set(served.statuses)) == ([], {200})
    assert served.store.head(ORIGIN).root == newest(home).checkpoint.root


async def test_a_restart_goes_on_from_what_was_kept_and_without_it_from_what_the_witness_names(
    home, served, told
):
    for removed in (False, True):
        if removed:
            shutil.rmtree(WitnessedFiles(home.audit, "w1").folder)
        async with Running(home, told, config_of(served)):
            await until(lambda: confirmed(home) == newest(home).checkpoint.size)
        grow(home)
    async with Running(home, told, config_of(served)):
        await until(lambda: confirmed(home) == newest(home).checkpoint.size)
    assert served.statuses == [200, 409, 200, 200]
    assert told.events == []


async def test_a_frozen_witness_is_behind_and_keeps_no_other_one_up(home, served, told):
    with silent_port() as port:
        frozen = config_of(served, "frozen", url=f"http://127.0.0.1:{port}", timeout_s=0.2, alarm_s=0.05)
        async with Running(home, told, frozen, config_of(served)) as witnesses:
            await until(lambda: confirmed(home) == 9)
            witnesses.take(grow(home))
            await until(lambda: confirmed(home) == 14)
            await until(lambda: told.named("audit.witness_behind") and told.named("audit.witness_failed"))
            metrics = witnesses.metrics()
            assert 'strongroom_audit_witness_behind_entries{witness="frozen"} 14' in metrics
            assert 'strongroom_audit_witness_failing{witness="frozen"} 1' in metrics
    assert read_standing(home.audit, "frozen").failing_since is not None
    assert len(told.named("audit.witness_behind")) == 1


async def test_a_witness_that_comes_back_is_told(home, served, told):
    served.instead += [Response(503, b"", b"")] * 3
    async with Running(home, told, config_of(served, alarm_s=0.001)):
        await until(lambda: told.named("audit.witness_caught_up"))
    assert [name for name, _ in told.events].count("audit.witness_failed") == 1
    assert read_standing(home.audit, "w1").failing_since is None


async def test_whatever_an_answer_breaks_the_next_checkpoint_is_confirmed_all_the_same(
    home, served, told, monkeypatch
):
    send, broken = WitnessPost.send, [RecursionError("too deep"), KeyError("nobody foresaw it")]

    def sometimes(self, body):
        if broken:
            raise broken.pop()
        return send(self, body)

    monkeypatch.setattr(WitnessPost, "send", sometimes)
    async with Running(home, told, config_of(served)):
        await until(lambda: confirmed(home) == 9)
    assert "nobody foresaw it" in told.named("audit.witness_failed")[0]["cause"]


def rewrite(home, rounds, **fields):
    """What an operator does who has the host and can sign: entries, tree and checkpoints anew, with the real key."""
    shutil.rmtree(home.audit)
    for count in rounds:
        grow(home, count, **fields)


@pytest.mark.parametrize(
    ("rounds", "forgets"),
    [((9,), False), ((9,), True), ((9, 7), False), ((4,), True), ((4, 20), True)],
    ids=[
        "same-size",
        "same-size-no-cosignatures",
        "more",
        "shorter-no-cosignatures",
        "longer-no-cosignatures",
    ],
)
async def test_a_rewritten_past_is_told_aloud(home, served, told, tmp_path, rounds, forgets):
    async with Running(home, told, config_of(served)):
        await until(lambda: confirmed(home) == 9)
    witnessed = shutil.copytree(WitnessedFiles(home.audit, "w1").folder, tmp_path / "kept")
    rewrite(home, rounds, request_id="another past")
    if not forgets:
        shutil.copytree(witnessed, WitnessedFiles(home.audit, "w1").folder)
    async with Running(home, told, config_of(served)) as witnesses:
        await until(lambda: told.named("audit.witness_disagrees"))
        assert 'strongroom_audit_witness_disagrees{witness="w1"} 1' in witnesses.metrics()
    assert "9 entries" in told.named("audit.witness_disagrees")[0]["cause"]
    assert read_standing(home.audit, "w1").disagrees
    assert served.store.head(ORIGIN).size == 9
    if forgets:
        assert confirmed(home) == 0
        assert {status for status in served.statuses if status != 200} <= {409, 422}


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response(404, b"", b""), "does not watch"),
        (Response(403, b"", b""), "another key"),
        (Response(400, b"", b""), "does not understand"),
        (Response(302, b"location: http://127.0.0.1:1/\r\n", b""), "HTTP 302"),
        (Response(200, b"", b""), "no cosignature"),
        (Response(200, b"", b"x" * 70_000), "too long"),
        (Response(409, b"content-type: text/plain\r\n", b"3\n"), "does not name the size"),
        (Response(409, b"content-type: text/x.tlog.size\r\n", b"-3\n"), "decimal"),
        (Response(409, b"content-type: text/x.tlog.size\r\n", b"0\n"), "does not take a proof"),
    ],
)
def test_an_answer_that_is_no_cosignature_is_a_failure_that_says_why(home, served, response, words):
    served.instead.append(response)
    post = WitnessPost(served.url, TlsFiles(None), 60.0, clock=SystemClock())
    caller = WitnessCaller("w1", home.audit, served.signer.keys, post, clock=SystemClock())
    with pytest.raises(WitnessFailedError, match=words):
        caller.confirm(newest(home))
    caller.confirm(newest(home))
    assert confirmed(home) == 9


async def test_cosignatures_of_other_keys_are_not_kept(home, served, told):
    stranger = WitnessSigner(served.signer.name, b"\x09" * 64)
    checkpoint = newest(home).checkpoint
    forged = [one._replace(data=bytes(len(one.data))) for one in served.signer.cosign(checkpoint, 1)]
    for signatures in (stranger.cosign(checkpoint, 1), tuple(forged)):
        served.instead.append(Response(200, b"", encode_cosignatures(signatures)))
    async with Running(home, told, config_of(served)):
        await until(lambda: confirmed(home) == 9)
    assert len(list(WitnessedFiles(home.audit, "w1").read())) == 1
    assert len(told.named("audit.witness_failed")) == 1


async def test_a_witness_that_is_larger_than_the_log_saw_another_one(home, served, told):
    served.instead.append(Response(409, b"content-type: text/x.tlog.size\r\n", b"100\n"))
    async with Running(home, told, config_of(served)):
        await until(lambda: told.named("audit.witness_disagrees"))
        await until(lambda: confirmed(home) == 9)
    assert "100 entries" in told.named("audit.witness_disagrees")[0]["cause"]


async def test_a_witness_that_forgot_what_it_confirmed_is_told(home, told, tmp_path):
    folder, old = tmp_path / "w1", tmp_path / "old"
    with ServedWitness(folder, [KEY]).served() as served:
        async with Running(home, told, config_of(served)):
            await until(lambda: confirmed(home) == 9)
    shutil.copytree(folder, old)
    for place, size in ((folder, 14), (old, 19)):
        grow(home)
        with ServedWitness(place, [KEY]).served() as served:
            async with Running(home, told, config_of(served)):
                await until(lambda size=size: confirmed(home) == size)
    assert told.events == [("audit.witness_went_back", {"witness": "w1", "entries": 14})]


async def test_no_witness_is_nothing_to_do(home, told):
    async with Running(home, told) as witnesses:
        assert witnesses.metrics() == ""


@pytest.mark.parametrize("key", ["nonsense", KEY.text()])
def test_keys_that_are_of_no_witness_are_refused_at_the_start(home, told, key):
    config = AuditWitnessConfig(name="w", url="http://127.0.0.1:1", keys=[key])
    with pytest.raises(ConfigError):
        AuditWitnesses([config], home, events=told, clock=SystemClock())
