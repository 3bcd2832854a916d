"""Values that tokens keep for us, on every kind of token whose profile says that it does."""


def test_a_value_is_kept_replaced_and_read_by_its_name_alone(subject):
    if not subject.process.started.profile.data_objects:
        return  # such a member remembers in a file
    data = subject.token.data
    for value in (b"one", b"two" * 100):
        data.put("strongroom", "conformance", value)
        assert data.values("strongroom", "conformance") == [value]
    assert data.values("strongroom", "another") == []
    assert data.values("another", "conformance") == []
