"""``./dev bench keys``: every key as often as any other, figures beside those with the fewest keys, and the page."""

from collections import Counter

import msgspec
import pytest

from bench.many_keys import KeysSubject
from bench.many_keys_home import FilledKey
from bench.many_keys_page import KeysCell, KeysResults, Warming, render_keys_page, rows_of
from strongroom.bench import HttpRequest, Machine, Run, summarise

MACHINE = Machine("a processor", 2, 4096, "Linux 6", "3.11.2", 0.1)
KEYS = [FilledKey(f"key-{at}", b"sealed under %d" % at) for at in range(60)]


class _Caller:
    def request(self, operation, members):
        return HttpRequest("POST", "/", {}, repr((operation, dict(members))).encode())


class _Service:
    name, endpoint, pids, caller = "Strongroom", None, (), _Caller()


def _cell(operation, n_keys, rates, server_us=50.0):
    runs = [Run(1000, 2.0, rate, 1.0, 3.0, 9.0) for rate in rates]
    return KeysCell(n_keys, server_us, summarise(operation, 64, runs))


def _results(*cells):
    return KeysResults(
        taken_at="2026-01-01 00:00 UTC",
        commit="abcdef0",
        machine=MACHINE,
        seconds=2.0,
        rounds=1,
        connections=64,
        ttl_s=3_600.0,
        max_keks=300_000,
        max_domains=1_000,
        warming=Warming(900.0, 800.0, 0.97, 7, 0.004),
        api_memory_mib=[120, 130],
        cells=list(cells),
    )


@pytest.mark.parametrize("operation", ["Encrypt", "Decrypt"])
@pytest.mark.parametrize("n_keys", [1, 6, 60])
def test_requests_name_so_many_keys_each_as_often(operation, n_keys):
    subject = KeysSubject(_Service(), KEYS)
    subject.use(n_keys)
    named = Counter()
    for request in subject.requests(operation):
        made, members = eval(request.body)  # noqa: S307  # our own text of a moment ago
        assert made == operation
        named[members["KeyId"] if operation == "Encrypt" else members["CiphertextBlob"]] += 1
    of = {key.key_id if operation == "Encrypt" else key.ciphertext for key in KEYS[:n_keys]}
    assert named == dict.fromkeys(of, 60 // n_keys)


@pytest.mark.parametrize(("slowest", "passed"), [(84.0, True), (83.0, False)])
def test_rates_may_be_a_fifth_apart_whichever_is_the_slowest(slowest, passed):
    (verdict,) = _results(
        _cell("Encrypt", 10, [100.0]),
        _cell("Encrypt", 1_000, [slowest]),
        _cell("Encrypt", 100_000, [99.0]),
    ).verdicts
    assert verdict.passed is passed
    assert "10 to 100,000 keys" in verdict.target


def test_rates_are_compared_within_a_round():
    """The machine was half as fast in the second round."""
    cells = (_cell("Encrypt", 10, [100.0, 50.0, 100.0]), _cell("Encrypt", 1_000, [100.0, 50.0, 90.0]))
    (verdict,) = _results(*cells).verdicts
    assert verdict.seen.startswith("1.00")


def test_the_page_shows_every_row_and_what_was_configured():
    results = _results(
        _cell("Decrypt", 1_000, [90.0]),
        _cell("Decrypt", 10, [100.0]),
        _cell("Encrypt", 10, [100.0]),
    )
    page = render_keys_page(results)
    assert [row[:2] for row in rows_of(results)[1:]] == [
        ["Decrypt", "10"],
        ["Decrypt", "1,000"],
        ["Encrypt", "10"],
    ]
    for row in rows_of(results):
        assert f"| {' | '.join(row)} |" in page
    for told in ("`cache.max_keks` 300,000", "`cache.ttl_s` 3600", "120, 130 MiB", "97%"):
        assert told in page
    assert msgspec.json.decode(msgspec.json.encode(results), type=KeysResults) == results
