"""How keys are kept follows from the members and their profiles; clusters that cannot keep keys are refused."""

import pytest

from strongroom.config import ClusterConfig, MemberConfig, PinSource
from strongroom.core import ConfigError
from strongroom.hsm.cluster import Rules
from strongroom.wiring.replication_rules import replication_rules


def member(name, profile="softhsm2", **more):
    return MemberConfig(
        name=name, profile=profile, pin=PinSource(file=f"pins/{name}"), token_label=name, **more
    )


def test_members_that_copy_by_trusted_wrapping_keep_as_many_copies_as_configured():
    cluster = ClusterConfig(members=[member("a"), member("b"), member("c")], min_copies=3)
    rules = replication_rules(cluster)
    assert rules == Rules(3, 0.0, is_native=False)
    assert rules.copies_of(may_leave=True) == 3
    assert rules.copies_of(may_leave=False) == 1


def test_a_vendors_cluster_may_be_alone_and_is_waited_for():
    rules = replication_rules(ClusterConfig(members=[member("a", "aws-cloudhsm")]))
    assert rules.is_native
    assert rules.usable_within_s > 0
    assert rules.copies_of(may_leave=True) == 1


def test_an_hsm_alone_is_refused():
    with pytest.raises(ConfigError, match="at least two members"):
        replication_rules(ClusterConfig(members=[member("a")]))


def test_a_vendors_cluster_beside_others_is_refused():
    with pytest.raises(ConfigError, match="whole cluster of its vendor"):
        replication_rules(ClusterConfig(members=[member("a"), member("b", "aws-cloudhsm")]))


def test_two_hsms_of_a_vendor_that_copy_by_trusted_wrapping_are_taken():
    changed = {"replication": "trusted-wrapping"}
    members = [member(name, "luna", profile_changes=changed) for name in ("a", "b")]
    assert not replication_rules(ClusterConfig(members=members)).is_native


def test_more_copies_than_members_are_refused():
    with pytest.raises(ConfigError, match="min_copies = 3"):
        replication_rules(ClusterConfig(members=[member("a"), member("b")], min_copies=3))
