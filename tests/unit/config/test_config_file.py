"""The configuration file: strict, complete in its errors, and the same after writing and reading."""

import uuid

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.config import (
    CONFIG_FILE,
    CacheConfig,
    ClusterConfig,
    Config,
    DeadlineConfig,
    MemberConfig,
    PinSource,
    ServiceConfig,
    load_config,
    render_config,
)
from strongroom.core import ConfigError
from strongroom.hsm.wire import ObjectEntry, Reply, frame

GOOD = """\
version = 1

[service]
port = 9443

[[cluster.members]]
name = "hsm-a"
profile = "softhsm2"
token_label = "strongroom-a"
pin = { file = "pins/a" }

[[cluster.members]]
name = "hsm-b"
profile = "softhsm2"
token_serial = "0123456789abcdef"
pin = { credential = "hsm-b-pin" }
environment = { SOFTHSM2_CONF = "{home}/tokens/b/softhsm2.conf" }
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text):
        (tmp_path / CONFIG_FILE).write_text(text)
        return load_config(tmp_path)

    return load_text


def test_a_name_does_not_end_in_a_line_feed(load):
    assert "name" in refused(load, GOOD.replace('"hsm-a"', '"hsm-a\\n"'))


def refused(load, text):
    with pytest.raises(ConfigError) as error:
        load(text)
    assert CONFIG_FILE in str(error.value)
    return str(error.value)


def test_a_good_file_is_read_with_safe_defaults(load):
    config = load(GOOD)
    assert config.service == ServiceConfig(port=9443)
    assert (config.service.host, config.service.tls) == ("127.0.0.1", True)
    assert config.cache == CacheConfig(ttl_s=300, max_keks=10_000, max_domains=1_000, outage_grace_s=0)
    assert config.deadlines == DeadlineConfig(attempt_s=1, request_s=10)
    first, second = config.cluster.members
    assert first.pin == PinSource(file="pins/a")
    assert second.environment == {"SOFTHSM2_CONF": "{home}/tokens/b/softhsm2.conf"}


def test_the_object_cannot_be_changed(load):
    with pytest.raises(AttributeError):
        load(GOOD).service.port = 1


@pytest.mark.parametrize(
    ("found", "misspelt", "named"),
    [
        ("version = 1", "version = 1\nverson = 1", "verson"),
        ("port = 9443", "prot = 9443", "prot"),
        ("port = 9443", "port = 9443\n[cache]\nttl = 3", "ttl"),
        ("port = 9443", "port = 9443\n[deadlines]\nattempt_ms = 3", "attempt_ms"),
        ("port = 9443", "port = 9443\n[cluster]\nmember = 3", "member"),
        ('file = "pins/a"', 'path = "pins/a"', "path"),
        ('token_label = "strongroom-a"', 'token_label = "x"\nslot = 3', "slot"),
        ('token_label = "strongroom-a"', 'token_label = "x"\npin_value = "1234"', "pin_value"),
    ],
)
def test_an_unknown_setting_is_refused_by_name(load, found, misspelt, named):
    assert f"`{named}`" in refused(load, GOOD.replace(found, misspelt))


@pytest.mark.parametrize(
    ("found", "bad", "named"),
    [
        ("version = 1", "version = 2", "version"),
        ("version = 1", "", "version"),
        ("port = 9443", "port = 0", "service.port"),
        ("port = 9443", "port = 65536", "service.port"),
        ("port = 9443", 'port = "9443"', "service.port"),
        ("port = 9443", 'account_id = "12345678901"', "service.account_id"),
        ("port = 9443", 'tls = "no"', "service.tls"),
        ("port = 9443", "[cache]\nttl_s = -1", "cache.ttl_s"),
        ("port = 9443", "[cache]\nttl_s = nan", "cache.ttl_s"),
        ("port = 9443", "[cache]\nttl_s = inf", "cache.ttl_s"),
        ("port = 9443", "[cache]\nttl_s = true", "cache.ttl_s"),
        ("port = 9443", "[cache]\nmax_keks = 0", "cache.max_keks"),
        ("port = 9443", "[deadlines]\nattempt_s = 0", "deadlines.attempt_s"),
        ("port = 9443", "[deadlines]\nrequest_s = 301", "deadlines.request_s"),
        ("port = 9443", "[deadlines]\nrequest_s = 1.9", "no time for a second member"),
        ("port = 9443", "[deadlines]\nattempt_s = 5.1", "at most half of request_s"),
        ('name = "hsm-a"', 'name = "HSM"', "cluster.members[0].name"),
        ('name = "hsm-a"', 'name = "../../etc"', "cluster.members[0].name"),
        ('name = "hsm-a"', "", "name"),
        ('profile = "softhsm2"', 'profile = "../x"', "cluster.members[0].profile"),
    ],
)
def test_an_impossible_value_is_refused_by_name(load, found, bad, named):
    assert named in refused(load, GOOD.replace(found, bad, 1))


def test_a_cluster_without_members_is_refused(load):
    nobody = "cluster = { members = [] }\n" + GOOD[: GOOD.index("[[cluster.members]]")]
    assert "this one has none" in refused(load, nobody)


def test_how_many_copies_a_key_has_survives_being_written(load):
    assert load(GOOD).cluster.min_copies == 2
    config = load(GOOD.replace("[[cluster.members]]", "[cluster]\nmin_copies = 1\n\n[[cluster.members]]", 1))
    assert config.cluster.min_copies == 1
    assert load(render_config(config)) == config
    named = GOOD.replace(
        "[[cluster.members]]",
        '[cluster]\nid = "cluster-bank2hsmsouth"\nmax_direct_keys = 5\n\n[[cluster.members]]',
        1,
    )
    assert (load(named).cluster.id, load(named).cluster.max_direct_keys) == ("cluster-bank2hsmsouth", 5)
    for wrong in ("cluster-x", "bank2hsmsouth", "cluster-0123456789a", "cluster-" + "a" * 17):
        assert "cluster.id" in refused(load, named.replace("cluster-bank2hsmsouth", wrong))
    too_few = GOOD.replace("[[cluster.members]]", "[cluster]\nmin_copies = 0\n\n[[cluster.members]]", 1)
    assert "min_copies" in refused(load, too_few)


def test_a_member_that_has_all_direct_keys_there_may_be_can_list_them(load):
    most = GOOD.replace("[[cluster.members]]", "[cluster]\nmax_direct_keys = 5000\n\n[[cluster.members]]", 1)
    n_keys = load(most).cluster.max_direct_keys
    label = f"direct-kms {uuid.uuid4()}/1000"
    pair = [ObjectEntry(f"{half}_key", bytes(16), label, is_ghost=False) for half in ("private", "public")]
    frame(msgspec.msgpack.encode([Reply(2**40, msgspec.Raw(msgspec.msgpack.encode(pair * n_keys)))]))
    assert "max_direct_keys" in refused(load, most.replace("5000", "5001"))


def test_two_members_of_one_name_are_refused(load):
    assert "two members have the same name" in refused(load, GOOD.replace("hsm-b", "hsm-a", 1))


@pytest.mark.parametrize(
    ("found", "bad"),
    [
        ('token_label = "strongroom-a"', ""),
        ('token_label = "strongroom-a"', 'token_label = "x"\ntoken_serial = "y"'),
    ],
)
def test_a_token_is_selected_by_serial_or_label_and_never_both(load, found, bad):
    assert "member hsm-a needs exactly one of token_serial and token_label" in refused(
        load, GOOD.replace(found, bad)
    )


@pytest.mark.parametrize("bad", ["pin = {}", 'pin = { file = "a", credential = "b" }'])
def test_a_pin_comes_from_a_file_or_a_credential_and_never_both(load, bad):
    text = GOOD.replace('pin = { file = "pins/a" }', bad)
    assert "pin of member hsm-a needs exactly one of file, credential and sealed" in refused(load, text)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "127.0.0.1.example.org"],  # noqa: S104  # refused here
)
def test_without_tls_only_loopback_may_be_listened_on(load, host):
    text = GOOD.replace("port = 9443", f'host = "{host}"\ntls = false')
    assert "tls = false" in refused(load, text)
    load(text.replace("tls = false", "tls = true"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_on_loopback_tls_may_be_off(load, host):
    assert not load(GOOD.replace("port = 9443", f'host = "{host}"\ntls = false')).service.tls


@pytest.mark.parametrize("raw", [b"version = ", b"\xff\xfe", b"version = 1\nversion = 1", b"[[[", b"\0"])
def test_what_is_no_toml_is_refused(tmp_path, raw):
    (tmp_path / CONFIG_FILE).write_bytes(raw)
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="strongroom init --development"):
        load_config(tmp_path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / CONFIG_FILE).mkdir()
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path)


names = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
pins = texts.map(lambda text: PinSource(file=text)) | texts.map(lambda text: PinSource(credential=text))
seconds = st.floats(0, 86_400)


@st.composite
def members(draw, name):
    selector = draw(st.sampled_from(["token_serial", "token_label"]))
    return MemberConfig(
        name=name,
        profile=draw(names),
        pin=draw(pins),
        module=draw(st.none() | texts),
        environment=draw(st.dictionaries(texts, texts, max_size=3)),
        **{selector: draw(texts)},
    )


@st.composite
def configs(draw):
    tls = draw(st.booleans())
    service = ServiceConfig(
        host=draw(texts if tls else st.sampled_from(["127.0.0.1", "::1", "localhost"])),
        port=draw(st.integers(1, 65_535)),
        account_id=draw(st.from_regex(r"[0-9]{12}", fullmatch=True).filter(str.isascii)),
        tls=tls,
        tls_certificate=draw(texts),
        tls_key=draw(texts),
    )
    attempt_s = draw(st.floats(0.01, 60))
    request_s = draw(st.floats(max(0.1, 2 * attempt_s), 300))
    member_names = draw(st.lists(names, min_size=2, max_size=4, unique=True))
    return Config(
        version=1,
        cluster=ClusterConfig(members=[draw(members(name)) for name in member_names]),
        service=draw(st.just(ServiceConfig()) | st.just(service)),
        cache=CacheConfig(
            ttl_s=draw(seconds),
            max_keks=draw(st.integers(1, 1_000_000)),
            max_domains=draw(st.integers(1, 100_000)),
            outage_grace_s=draw(seconds),
        ),
        deadlines=DeadlineConfig(attempt_s=attempt_s, request_s=request_s),
    )


@settings(max_examples=60, deadline=None)
@given(config=configs())
def test_what_is_written_is_read_back_the_same(tmp_path_factory, config):
    home = tmp_path_factory.getbasetemp() / "round-trip"
    home.mkdir(exist_ok=True)
    (home / CONFIG_FILE).write_text(render_config(config), encoding="utf-8", newline="")
    assert load_config(home) == config


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from('[]={}"\n.#version1clusterm_ \\u'), max_size=60) | st.binary(max_size=60))
def test_any_bytes_are_a_configuration_or_a_config_error(tmp_path_factory, text):
    home = tmp_path_factory.getbasetemp() / "any-bytes"
    home.mkdir(exist_ok=True)
    (home / CONFIG_FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError):  # nothing so short names two members
        load_config(home)


def test_a_configuration_has_no_place_for_a_pin():
    fields = {field.name for field in msgspec.structs.fields(PinSource)}
    assert fields == {"file", "credential", "sealed"}
