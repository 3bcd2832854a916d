"""The script of init: what it holds, and everything that is refused before a token is touched."""

import contextlib
import re
import tomllib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes_custody import key_of, signed_genesis
from init_scripts import script
from strongroom.core import ConfigError
from strongroom.custody import Chain, Genesis, check_genesis_body, read_document
from strongroom.wiring.home_script import MAX_SCRIPT_BYTES
from strongroom.wiring.init_example import EXAMPLE_SCRIPT
from strongroom.wiring.init_script import (
    genesis_body_of,
    parse_init_script,
    read_init_script,
    receivers_of,
    require_same_custody,
)
from strongroom.wiring.init_script_form import InitScript

UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
CLUSTER = "0c" * 16
BEN = 'id = "ben"\nname = "Ben Example"\nroles = ["security-officer"]'
SECRET = "8861940275"


def refusal(*changes):
    with pytest.raises(ConfigError) as caught:
        parse_init_script(script(*changes))
    return caught.value.message


def test_the_example_is_a_script_once_keys_are_put_in():
    parsed = parse_init_script(script())
    assert [member.label for member in parsed.members] == ["strongroom-alpha", "strongroom-beta"]
    assert parsed.rules["AddOfficerKey"].expires_s == 86_400
    assert [key.principal for key in parsed.access_keys] == ["user/cleo", "user/app"]


def test_the_example_as_it_is_printed_says_what_is_missing():
    with pytest.raises(ConfigError, match="officers"):
        parse_init_script(EXAMPLE_SCRIPT.encode())


def test_the_genesis_of_a_script_can_be_signed_and_begins_a_chain():
    body = genesis_body_of(parse_init_script(script()), cluster=CLUSTER, created=1_790_000_000)
    assert check_genesis_body(body)
    chain = Chain.from_documents(signed_genesis(body))
    assert set(chain.state.officers) == {"anna", "ben", "cleo", "dora"}
    assert body.people[0].keys == (key_of("anna").public.line,), "without its comment"


def test_a_genesis_of_other_people_rules_or_name_is_not_that_of_the_script():
    parsed = parse_init_script(script())
    body = read_document(signed_genesis(genesis_body_of(parsed, cluster=CLUSTER, created=7)), Genesis).body
    require_same_custody(parsed, body)
    for change, complaint in {
        ('name = "production" ', 'name = "other" '): "is of 'production'",
        (BEN, BEN.replace("Ben", "Benjamin")): "officers of script and genesis are not the same: ben",
        (
            "DestroyHsmKey = { m = 2",
            "DestroyHsmKey = { m = 1",
        ): "rules of script and genesis .* DestroyHsmKey",
        ("RotatePin = { m = 1, role", "ReadPin = { m = 1, role"): "ReadPin, RotatePin",
    }.items():
        with pytest.raises(ConfigError, match=complaint):
            require_same_custody(parse_init_script(script(change)), body)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("version = 1", "version = 2"), "version"),
        (('profile = "softhsm2"   ', f'pin = "{SECRET}"\nprofile = "softhsm2"   '), "unknown field `pin`"),
        (("[pins]", f'[pins]\nalpha = "{SECRET}"'), "unknown field `alpha`"),
        (("[cluster]", f'passphrase = "{SECRET}"\n[cluster]'), "unknown field `passphrase`"),
        (('name = "beta"', 'name = "alpha"'), "member alpha stands twice"),
        (('name = "beta"', 'name = "beta"\ntoken_label = "strongroom-alpha"'), "token label .* twice"),
        (('principal = "user/app"', 'principal = "user/cleo"'), "access key for user/cleo stands twice"),
        (('profile = "softhsm2"   ', 'profile = "no-such"   '), "no HSM profile"),
        (('profile = "softhsm2"   ', 'profile = "aws-cloudhsm"   '), "vendor's tools"),
        (('profile = "softhsm2"   ', 'profile = "opencryptoki"   '), "only be a member alone"),
        (("# module =", f'environment = {{ HSM_PIN = "{SECRET}" }}\n# '), "HSM_PIN looks like a secret"),
        (("# module =", 'environment = { SOFTHSM2_CONF = "/x" }\n# '), "SOFTHSM2_CONF is made by init"),
        ((BEN, BEN.replace("]", ', "crypto-officer"]')), "duties are separate"),
        (("AddOfficer = { m = 2", "AddOfficer = { m = 3"), "needs 3 people"),
        (("AddOfficer = {", "AddOffice = {"), "AddOfficer has no rule"),
        (('id = "ben"', 'id = "anna"'), "an id stands twice"),
        (('# security_officers = ["anna"]', 'security_officers = ["cleo"]'), "cleo is no security officer"),
        (('sealing_key = { file = "pins/sealing-key" }', "sealing_key = {}"), "exactly one of"),
        (("[tls] ", "[quotas] "), "make_for"),
        (('make_for = ["localhost", "127.0.0.1"]', "make_for = []"), "make_for"),
        (('make_for = ["localhost", "127.0.0.1"]', 'make_for = ["a:b"]'), "no host name or address"),
        (('host = "127.0.0.1"', "tls = false"), "service.tls is false"),
        (("audit_required = true", "audit_required = false"), "audit_required"),
        (('roles = ["crypto-user"]', 'roles = ["crypto-user"]\ndeliver_to = ["cleo"]'), "recipient"),
        (("expires_s = 86400", "expires_s = 1"), "expires_s"),
        (("port = 8443", "port = 0"), "port"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_script_is_refused_with_the_name_of_what_is_wrong(change, complaint):
    message = refusal(change)
    assert re.search(complaint, message), message
    assert SECRET not in message


def test_own_certificates_are_named_by_absolute_paths():
    without_tls = ("[tls]                        # without this table", "# [tls]"), ('make_for = ["localhost", "127.0.0.1"]', "")  # fmt: skip
    assert "service.tls_certificate must be the absolute path" in refusal(*without_tls)
    own = ("port = 8443", 'port = 8443\ntls_certificate = "/etc/kms.pem"\ntls_key = "/etc/kms.key"')
    assert parse_init_script(script(*without_tls, own)).tls is None


def test_security_officers_with_recipients_get_the_pin_of_a_token():
    parsed = parse_init_script(script(('# security_officers = ["anna"]', 'security_officers = ["ben"]')))
    assert [[one.id for one in receivers_of(parsed, member)] for member in parsed.members] == [
        ["ben"],
        ["anna", "ben"],
    ]
    recipients = [(f'recipient = "{key_of(name).public.line}"', "") for name in ("anna", "ben")]
    assert "can be delivered to nobody" in refusal(*recipients)


def test_a_script_that_is_too_long_or_no_text_is_refused(tmp_path):
    for data in (b"#" * (MAX_SCRIPT_BYTES + 1), b"\xff", b"a = " + b"[" * 5_000, f'x = "{SECRET}'.encode()):
        (tmp_path / "script").write_bytes(data)
        with pytest.raises(ConfigError) as caught:
            read_init_script(tmp_path / "script")
        assert SECRET not in caught.value.message
    with pytest.raises(ConfigError, match="cannot read"):
        read_init_script(tmp_path / "none")


@UNHURRIED
@given(st.binary(max_size=400))
def test_any_bytes_are_a_script_or_refused(data):
    with pytest.raises(ConfigError):
        parse_init_script(data)


@UNHURRIED
@given(st.data())
def test_a_script_with_a_line_changed_parses_or_is_refused(data):
    lines = script().splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = data.draw(st.sampled_from([b"", lines[at] * 2, lines[at][: len(lines[at]) // 2]]) | st.binary(max_size=40))  # fmt: skip
    with contextlib.suppress(ConfigError):
        parse_init_script(b"\n".join(lines))


def _tables(node, path=()):
    """Every table of the example, by the way to it."""
    if isinstance(node, dict):
        yield path
        for key, value in node.items():
            yield from _tables(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _tables(value, (*path, index))


def test_no_table_takes_a_key_that_it_does_not_know():
    for path in _tables(tomllib.loads(script().decode())):
        raw = tomllib.loads(script().decode())
        table = raw
        for step in path:
            table = table[step]
        if path == ("rules",):
            continue  # its keys are verbs, and each has a table of its own
        table["user_pin"] = SECRET
        with pytest.raises(msgspec.ValidationError, match="user_pin") as caught:
            msgspec.convert(raw, InitScript, strict=True)
        assert SECRET not in str(caught.value)
