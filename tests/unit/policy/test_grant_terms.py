"""What grants allow, and that the index finds exactly what a look at each grant would find."""

from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.policy import GrantIndex, GrantTerms, grantable_actions

contexts = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
actions = st.sampled_from(["Encrypt", "Decrypt", "DescribeKey", "CreateGrant"])
terms = st.builds(GrantTerms, st.frozensets(actions, min_size=1), st.none() | contexts, st.none() | contexts)


def test_a_grant_allows_its_actions_and_no_other():
    free = GrantTerms(frozenset({"Encrypt", "DescribeKey"}))
    assert free.allow("Encrypt", {"a": "1"})
    assert free.allow("DescribeKey")
    assert not free.allow("Decrypt")


def test_constraints_are_for_what_takes_an_encryption_context():
    exact = GrantTerms(frozenset({"Encrypt", "DescribeKey"}), equals={"a": "1"})
    assert exact.allow("Encrypt", {"a": "1"})
    assert not exact.allow("Encrypt", {"a": "1", "b": "2"})
    assert not exact.allow("Encrypt")
    assert exact.allow("DescribeKey")
    part = GrantTerms(frozenset({"Encrypt"}), subset={"a": "1"})
    assert part.allow("Encrypt", {"a": "1", "b": "2"})
    assert not part.allow("Encrypt", {"a": "2", "b": "1"})


@given(terms, terms, actions, contexts)
@settings(max_examples=300)
def test_what_is_passed_on_is_never_more_than_what_one_has(held, passed_on, action, context):
    if held.include(passed_on) and passed_on.allow(action, context):
        assert held.allow(action, context)


@given(terms)
def test_one_may_pass_on_all_that_one_has(held):
    assert held.include(held)


@given(st.lists(terms, max_size=6), actions, contexts)
@settings(max_examples=300)
def test_the_index_finds_a_grant_where_there_is_one(known, action, context):
    index = GrantIndex((str(number), one) for number, one in enumerate(known))
    found = index.find(action, context)
    allowing = {str(number) for number, one in enumerate(known) if one.allow(action, context)}
    assert (found in allowing) if allowing else found is None


def test_a_grant_can_only_be_for_what_its_key_does():
    symmetric = grantable_actions("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    assert {"Encrypt", "GenerateDataKeyPair", "CreateGrant"} <= symmetric
    assert "GetPublicKey" not in symmetric
    assert grantable_actions("HMAC_256", "GENERATE_VERIFY_MAC") == {
        *("GenerateMac", "VerifyMac", "DescribeKey", "CreateGrant", "RetireGrant")
    }
    assert {"GetPublicKey", "Sign"} <= grantable_actions("RSA_2048", "SIGN_VERIFY")
    assert "GenerateDataKey" not in grantable_actions("RSA_2048", "ENCRYPT_DECRYPT")
