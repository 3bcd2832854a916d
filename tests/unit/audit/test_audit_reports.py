"""Reports count what a naive count of the same entries counts, and never more than there is room for."""

import json
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.audit import AccessCount, FailureCount, PciCount, UseCount, classes_of, decode_entry
from strongroom.audit._report_failures import SUMMED
from unit.audit.audit_fakes import payload_of

MINUTE = 60_000_000
ON_A_BUSY_MACHINE = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


def entry(at=1, seq=1, kind="outcome", event="kms.Decrypt", **fields):
    return decode_entry(payload_of(seq, at=at, kind=kind, event=event, **fields))


ENTRIES = st.lists(
    st.builds(
        entry,
        at=st.integers(1, 50),
        kind=st.sampled_from(["intent", "outcome", "refusal", "event"]),
        event=st.sampled_from(
            ["kms.Encrypt", "kms.CreateKey", "kms.PutKeyPolicy", "kms.ListKeys", "api.started", "later.Thing"]
        ),
        principal=st.sampled_from(["", "user/a", "user/b"]),
        outcome=st.sampled_from(["", "ok", "AccessDeniedError"]),
        key_id=st.sampled_from(["", "k1", "k2"]),
        detail=st.sampled_from([{}, {"source_key": "k2"}]),
    ),
    max_size=25,
)


@ON_A_BUSY_MACHINE
@given(entries=ENTRIES)
def test_entries_are_counted_under_each_requirement_of_theirs(entries):
    count = PciCount()
    for one in entries:
        count.add(one)
    report = count.report()
    expected = Counter(name for one in entries for name in classes_of(one))
    for requirement in report.requirements:
        assert requirement.tally.entries == expected[requirement.requirement]
        assert sum(event.tally.entries for event in requirement.events) == requirement.tally.entries
        times = [one.at for one in entries if requirement.requirement in classes_of(one)]
        assert (requirement.tally.first_at, requirement.tally.last_at) == (
            (min(times), max(times)) if times else (0, 0)
        )
    assert [event.event for event in report.unknown] in ([], ["later.Thing"])
    classified = sum(bool(classes_of(one)) for one in entries)
    for field in report.fields:
        assert field.filled + field.by_itself + field.missing == classified
        assert bool(field.example) == bool(field.missing)
    others = sum(event.tally.entries for event in (*report.unclassified, *report.unknown))
    assert (classified + others, report.left_out) == (len(entries), 0)


def test_fields_that_are_missing_are_named_by_their_first_entry():
    count = PciCount()
    count.add(entry(principal="user/a", source_address="10.0.0.1", outcome="ok", key_id="k"))
    count.add(entry(seq=7, outcome=""))
    count.add(entry(seq=8, kind="event", event="service.started"))
    fields = {field.field: field for field in count.report().fields}
    user = fields["user identification"]
    assert (user.filled, user.by_itself, user.missing, user.example) == (1, 1, 1, "main/7")
    assert fields["success or failure"].example == "main/7"
    assert fields["type of event"].missing == 0


@ON_A_BUSY_MACHINE
@given(entries=ENTRIES)
def test_a_key_is_told_with_everybody_who_used_it(entries):
    count = AccessCount()
    for one in entries:
        count.add(one)
    done, failed = Counter(), Counter()
    for one in entries:
        if one.kind == "intent":
            continue
        for key_id in {one.key_id, one.detail.get("source_key", "")} - {""}:
            is_done = one.kind != "refusal" and one.outcome in {"", "ok"}
            (done if is_done else failed)[key_id, one.principal or "-", one.event] += 1
    report = count.report()
    told = {(key.key_id, row.principal, row.event): row for key in report.keys for row in key.rows}
    assert {place: row.done.entries for place, row in told.items() if row.done.entries} == done
    assert {place: row.failed.entries for place, row in told.items() if row.failed.entries} == failed
    assert report.left_out == 0


def test_what_there_is_no_room_for_is_counted():
    count = AccessCount(most_rows=3)
    for number in range(5):
        count.add(entry(principal=f"user/{number}", key_id="k", outcome="ok"))
    report = count.report()
    assert (len(report.keys[0].rows), report.keys[0].left_out, report.left_out) == (3, 2, 2)
    uses = UseCount(most_keys=2)
    for number in range(5):
        uses.add(entry(key_id=f"k{number}", outcome="ok"))
    assert (len(uses.lives), uses.left_out) == (2, 3)


def test_the_latest_changes_of_a_key_are_listed_and_all_counted():
    count = AccessCount("k")
    for at in range(1, 31):
        count.add(entry(at=at, event="kms.PutKeyPolicy", principal="user/a", outcome="ok", key_id="k"))
    count.add(entry(event="kms.PutKeyPolicy", outcome="ok", key_id="another"))
    [key] = count.report().keys
    assert (key.n_changes, [change.at for change in key.changes]) == (30, list(range(11, 31)))
    assert key.used.entries == 0


def test_only_uses_that_went_well_count_as_uses():
    uses = UseCount()
    uses.add(entry(at=5, event="kms.CreateKey", key_id="k", outcome="ok"))
    uses.add(entry(at=6, key_id="k", outcome="AccessDeniedError"))
    uses.add(entry(at=7, event="kms.DescribeKey", key_id="k", outcome="ok"))
    life = uses.lives["k"]
    assert (life.created_at, life.used_at, life.uses) == (5, 0, 0)
    uses.add(
        entry(
            at=9,
            event="kms.ReEncrypt",
            key_id="other",
            outcome="ok",
            principal="user/a",
            detail={"source_key": "k"},
        )
    )
    assert (life.used_at, life.used_by, life.uses) == (9, "user/a", 1)
    assert uses.begins_at == 5


def failed(at, source="10.0.0.1", claimed="AKIA", **fields):
    fields = {"outcome": "InvalidSignatureException", **fields}
    return entry(at=at, kind="refusal", event="kms.-", source_address=source, access_key_id=claimed, **fields)


def clusters(entries, **options):
    count = FailureCount(**{"window_s": 600, "top": 10, **options})
    for one in entries:
        count.add(one)
    return count.report()


def test_failures_close_to_each_other_are_one_cluster_by_address_and_name():
    report = clusters(
        [
            *(failed(minute * MINUTE) for minute in (0, 5, 15, 26)),
            failed(3 * MINUTE, source="10.0.0.2"),
            failed(4 * MINUTE, claimed="AKIB", outcome="UnrecognizedClientException"),
        ]
    )
    assert Counter((one.source, one.claimed, one.failures) for one in report.clusters) == {
        ("10.0.0.1", "AKIA", 3): 1,
        ("10.0.0.1", "AKIA", 1): 1,
        ("10.0.0.2", "AKIA", 1): 1,
        ("10.0.0.1", "AKIB", 1): 1,
    }
    assert report.clusters[0].failures == 3
    assert report.causes == {"InvalidSignatureException": 5, "UnrecognizedClientException": 1}
    assert (report.failures, report.in_sums, report.n_clusters) == (6, 0, 4)


def test_a_call_that_is_let_in_soon_afterwards_is_told():
    def let_in(at, **fields):
        return entry(at=at, source_address="10.0.0.1", access_key_id="AKIA", principal="user/a", **fields)

    [soon] = clusters([failed(0), let_in(MINUTE), let_in(2 * MINUTE)]).clusters
    assert (soon.succeeded_at, soon.succeeded_as) == (MINUTE, "user/a")
    [late] = clusters([failed(0), let_in(11 * MINUTE)]).clusters
    assert late.succeeded_at == 0


def test_who_was_recognised_did_not_fail_to_authenticate():
    report = clusters([failed(0, principal="user/a", outcome="ValidationException")])
    assert (report.failures, report.clusters) == (0, [])


def summed(at, **detail):
    return entry(
        at=at, kind="refusal", event="refusals.summed", detail={"count": "40", "since": "5", **detail}
    )


def test_sums_are_counted_in_by_address():
    report = clusters(
        [summed(MINUTE, sources=json.dumps({"10.9.9.9": 30, "10.8.8.8": 4}), causes='{"InvalidSignatureException":40}')]
    )  # fmt: skip
    assert (report.failures, report.in_sums) == (40, 40)
    assert [(one.source, one.claimed, one.failures) for one in report.clusters] == [
        ("10.9.9.9", SUMMED, 30),
        ("10.8.8.8", SUMMED, 4),
    ]
    assert report.clusters[0].first_at == 5


@ON_A_BUSY_MACHINE
@given(
    texts=st.fixed_dictionaries(
        {}, optional={name: st.text(max_size=40) for name in ("count", "since", "sources", "causes")}
    )
)
def test_a_sum_of_any_bytes_is_survived(texts):
    report = clusters(
        [summed(9, **texts), summed(10, sources="[" * 900), summed(11, sources='{"a":-5,"b":1e99}')]
    )
    assert report.failures >= 80 if "count" not in texts else report.failures >= 0


def test_many_addresses_take_no_more_room_and_the_largest_cluster_stays():
    loud = [failed(n, source="10.0.0.1") for n in range(50)]
    many = [failed(100 + n, source=f"10.1.{n // 250}.{n % 250}") for n in range(2_000)]
    count = FailureCount(window_s=600, top=3, most_open=100)
    for one in [*loud, *many]:
        count.add(one)
        assert len(count._open) <= 100
        assert len(count._largest) <= 3
    report = count.report()
    assert (report.clusters[0].source, report.clusters[0].failures) == ("10.0.0.1", 50)
    assert (report.n_clusters, report.failures, len(report.clusters)) == (2_001, 2_050, 3)
