"""Small values that a token keeps: private, replaced without a moment in which there is none."""

import pytest

from fixtures_two_tokens import new_token, opened
from strongroom.core import HsmError, HsmRequestError
from strongroom.hsm.cryptoki import Attribute, ObjectClass
from strongroom.hsm.token import Role

NAME = ("strongroom", "test-value")


def test_a_value_is_kept_and_replaced_and_names_are_kept_apart(token):
    assert token.data.values(*NAME) == []
    for value in (b"one", b"two", b"two", b"x" * 1024):
        token.data.put(*NAME, value)
        assert token.data.values(*NAME) == [value]
    token.data.put("strongroom", "another", b"other")
    token.data.put("elsewhere", "test-value", b"foreign")
    assert token.data.values(*NAME) == [b"x" * 1024]
    found = [(one.object_class, one.cka_id, one.label, one.is_ghost) for one in token.list_objects()]
    assert found.count(("data", b"", "test-value", False)) == 2


def test_it_outlives_the_login_and_the_security_officer_sees_nothing_of_it(module):
    made = new_token(module)
    with_user = opened(module, made)
    with_user.data.put(*NAME, b"kept")
    with_user.close()
    officer = opened(module, made, role=Role.SECURITY_OFFICER)
    try:
        with pytest.raises(HsmRequestError, match="only the token's user"):
            officer.data.values(*NAME)
        assert officer.list_objects() == []
    finally:
        officer.close()
    again = opened(module, made)
    try:
        assert again.data.values(*NAME) == [b"kept"]
    finally:
        again.close()


def test_one_that_was_cut_in_the_middle_of_being_replaced_shows_both(token):
    token.data.put(*NAME, b"old")
    session = token._admin._workshop
    template = {
        Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: True, Attribute.PRIVATE: True, Attribute.APPLICATION: NAME[0],
        Attribute.LABEL: NAME[1],
    }  # fmt: skip
    module = token._admin._module
    for value in ({Attribute.VALUE: b"new"}, {}):
        session.change(
            "a power cut", lambda handle, value=value: module.create_object(handle, {**template, **value})
        )
    assert sorted(token.data.values(*NAME)) == [b"", b"new", b"old"]
    token.data.put(*NAME, b"newest")
    assert token.data.values(*NAME) == [b"newest"]


@pytest.mark.parametrize("value", [b"", b"x" * 1025])
def test_a_value_has_one_to_1024_bytes(token, value):
    with pytest.raises(HsmError, match="1 to 1024 bytes"):
        token.data.put(*NAME, value)


def test_a_token_says_whether_any_object_has_an_id(token):
    assert not token.holds_object(bytes(16))
    assert not token.holds_object(b"")
