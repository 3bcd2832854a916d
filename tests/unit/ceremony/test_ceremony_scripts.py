"""Scripts of ceremonies: what is read, and everything that is refused, with the line or the field."""

import contextlib
import re
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from strongroom.ceremony import (
    ACCEPT_SOFTHSM,
    PARAMETERS,
    Action,
    CeremonyType,
    Script,
    ScriptError,
    example_script,
    read_script,
    require_runnable,
)
from strongroom.ceremony._strict_yaml import MAX_SCRIPT_BYTES, read_strict_yaml
from strongroom.custody import OfficerPrivateKey

BACKUP = example_script(CeremonyType.BACKUP).decode()


@pytest.mark.parametrize("kind", CeremonyType)
def test_the_example_of_each_type_is_a_script_that_can_be_rehearsed_and_not_run(kind: CeremonyType) -> None:
    script = read_script(example_script(kind))
    assert script.type == kind
    with pytest.raises(ScriptError, match=r"can be rehearsed but not run.*the key of walter.*the key of eva"):
        require_runnable(script)


def test_a_script_that_is_filled_in_can_be_run() -> None:
    text = BACKUP
    for _ in range(2):
        text = text.replace('key: ""', f'key: "{OfficerPrivateKey.generate().public.line}"', 1)
    require_runnable(read_script(text.encode()))


def test_the_step_that_the_example_of_a_recovery_has_in_a_comment_is_a_step() -> None:
    text = example_script(CeremonyType.RECOVERY).decode()
    start, end = text.index("  # - id: restore"), text.index("  - id: bags")
    step = re.sub(r"(?m)^  # ?", "  ", text[start:end]).replace(
        'accept-softhsm: ""       #', "accept-softhsm: '' #"
    )
    before = text.index("  - id: test")
    script = read_script((text[:before] + step + text[end:]).encode())
    assert script.step("restore").do == Action.RESTORE
    said = step.replace("''", f'"{ACCEPT_SOFTHSM}"')
    assert (
        read_script((text[:before] + said + text[end:]).encode()).step("restore").parameters
        != script.step("restore").parameters
    )
    with pytest.raises(ScriptError, match="accept-softhsm"):
        read_script((text[:before] + step.replace("''", '"yes"') + text[end:]).encode())


YAML_THAT_IS_REFUSED = {
    "a key that stands twice": ("version: 1\nversion: 1\n", "line 2: the key 'version' stands twice"),
    "an anchor": ("a: &x 1\n", "line 1: anchors and aliases"),
    "an alias": ("a: 1\nb: *x\n", "line 2: anchors and aliases"),
    "a tag": ("a: !!python/name:os.system x\n", "line 1: tags"),
    "a tag of a key": ("!!str a: x\n", "line 1: tags"),
    "a directive": ("%YAML 1.1\n---\na: 1\n", "line 1: directives"),
    "a second document": ("a: 1\n---\nb: 1\n", "line 2"),
    "a merge key": ("a: {b: 1}\n<<: {c: 1}\n", "no text to every reader"),
    "a truth of YAML 1.1": ("a: no\n", "'no' is no text to every reader"),
    "a short truth": ("a: y\n", "'y' is no text"),
    "a number in base sixty": ("a: 1:30\n", "'1:30' is no text"),
    "an octal number of YAML 1.2": ("a: 0o17\n", "'0o17' is no text"),
    "an octal number of YAML 1.1": ("a: 017\n", "'017' is no text"),
    "a float": ("a: 1.5\n", "'1.5' is no text"),
    "an infinity": ("a: .inf\n", "'.inf' is no text"),
    "a date": ("a: 2026-11-22\n", "'2026-11-22' is no text"),
    "a null": ("a: ~\n", "'~' is no text"),
    "a value that is missing": ("a:\n", "a value is missing"),
    "a key that is no text": ("1: a\n", "a key is a text"),
    "a key that is a list": ("? [a]\n: b\n", "a key is a text"),
    "a tab": ("a:\t1\n", "does not show"),
    "a carriage return": ("a: 1\r\n", "does not show"),
    "a turn of direction": ("a: x\u202ey\n", "does not show"),
    "a turn of direction in a comment": ("a: x # \u202e\n", "does not show"),
    "a blank of no width": ("a: x\u200by\n", "does not show"),
    "a filler": ("a: x\u3164y\n", "does not show"),
    "a bell by an escape": ('a: "\\a"\n', "does not show"),
    "a surrogate by an escape": ('a: "\\ud800"\n', "line 1"),
    "a mark of byte order": ("\ufeffa: 1\n", "does not show"),
    "too deep": ("[" * 50 + "\n", "nested more than 10 levels"),
    "no line feed at the end": ("a: 1", "no line feed"),
    "nothing": ("", "empty"),
    "a comment alone": ("# nothing\n", "empty"),
    "too long": ("a: 1\n" + "#" * MAX_SCRIPT_BYTES, "longer than"),
}  # fmt: skip


@pytest.mark.parametrize("what", YAML_THAT_IS_REFUSED)
def test_yaml_that_somebody_could_read_otherwise_is_refused(what: str) -> None:
    text, message = YAML_THAT_IS_REFUSED[what]
    with pytest.raises(ScriptError, match=re.escape(message)):
        read_strict_yaml(text.encode("utf-8", "surrogatepass"))


def test_bytes_that_are_no_utf_8_are_refused_with_their_line() -> None:
    with pytest.raises(ScriptError, match="line 2: it is not UTF-8"):
        read_strict_yaml(b"a: 1\nb: \xff\n")


_plain = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
_values = st.recursive(
    st.booleans() | st.integers(-(10**14), 10**14) | _plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_plain, inner, max_size=4),
    max_leaves=12,
)


@given(value=_values)
def test_what_other_writers_write_is_read_as_they_meant_it(value: Any) -> None:
    text = yaml.safe_dump({"value": value}, default_style=None, default_flow_style=False)
    try:
        read = read_strict_yaml(text.encode())
    except ScriptError as error:
        assert any(word in str(error) for word in ("nested", "anchors", "no text"))  # noqa: PT017  # the one it may be
    else:
        assert read == {"value": value}


@given(data=st.binary(max_size=200))
@example(data=b"a: *a\n")
@example(data=b"&a [*a]\n")
@example(data=b"- ? x\n")
def test_any_bytes_are_a_value_or_an_error_of_ours(data: bytes) -> None:
    with contextlib.suppress(ScriptError):
        read_strict_yaml(data)


@given(text=st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@,?#\n 1~<"), max_size=60))
def test_what_is_read_is_what_stock_yaml_reads_too(text: str) -> None:
    try:
        value = read_strict_yaml(text.encode())
    except ScriptError:
        return
    assert yaml.safe_load(text) == value


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, len(BACKUP) - 1), char=st.characters(max_codepoint=0x2FF))
def test_a_script_with_one_character_changed_is_another_script_or_an_error_of_ours(
    at: int, char: str
) -> None:
    data = (BACKUP[:at] + char + BACKUP[at + 1 :]).encode("utf-8", "surrogatepass")
    try:
        script = read_script(data)
    except ScriptError:
        return
    assert isinstance(script, Script)
    assert (script.sha256 == read_script(BACKUP.encode()).sha256) == (data == BACKUP.encode())


RULES = {
    "a field that is unknown": ("title: Backup ceremony", "title: x\npin: 1234", "pin"),
    "a PIN of a participant": ("location: Head office\n", "location: x\n    pin: secret\n", "pin"),
    "a PIN in with": ("threshold: 3\n", "threshold: 3\n      so-pin: secret\n", "so-pin"),
    "a share in with": ("threshold: 3\n", "threshold: 3\n      shares: [secret]\n", "shares"),
    "an action that is unknown": ("do: create-backup", "do: erase-everything", "erase-everything"),
    "a type that is unknown": ("type: backup", "type: party", "party"),
    "a number where a text is": ("title: Backup ceremony", "title: 17", "title"),
    "two participants of one id": ("- id: carl", "- id: cora", "the id cora is two participants'"),
    "two participants of one name": ("name: Carl Example", "name: Cora Example", "the name Cora Example is two participants'"),
    "nobody who leads": ("role: ceremony-administrator", "role: crypto-officer", "nobody takes part as ceremony-administrator"),
    "no external witness": ("role: external-witness", "role: internal-witness", "nobody takes part as external-witness"),
    "an external witness of the same house": ("organisation: Example Auditors", "organisation: Example Ltd", "eva is no external witness"),
    "one witness": ("role: internal-witness", "role: crypto-officer", "at least two people take part as witnesses"),
    "a key that is none": ('key: ""', "key: ssh-ed25519 AAAA", "the key of walter"),
    "a custodian without a delivery": ("delivery: paper\n", "key: ''\n", "kai: a custodian has a delivery"),
    "a recipient for paper": ("delivery: paper\n", "delivery: paper\n    recipient: age1x\n", "kai: a recipient belongs"),
    "a recipient that is none": ("delivery: paper\n", "delivery: age\n    recipient: age1x\n", "the recipient of kai"),
    "a card with its PIN": ("delivery: paper\n", 'delivery: card\n    recipient: "pkcs11:token=x?pin-value=1"\n', "a PIN has no place"),
    "a name on two lines": ("name: Ada Example", 'name: "Ada\\nExample"', "one line"),
    "a step of nobody": ("by: carl", "by: nobody", "nobody takes part as nobody"),
    "a step that its actor confirms": ("by: carl\n    witness: [walter, eva]", "by: carl\n    witness: [carl, eva]", "carl acts or confirms twice"),
    "a step that no witness confirms": ("by: carl\n    witness: [walter, eva]", "by: carl\n    witness: [ada]", "is confirmed by a witness"),
    "a step that a witness does": ("by: carl\n    witness: [walter, eva]", "by: eva\n    witness: [walter]", "a witness watches it"),
    "two steps of one id": ("- id: create\n", "- id: make-set\n", "the id make-set is two steps'"),
    "a step before attendance": ("do: attend", "do: read-aloud", "attend is the first step"),
    "a step behind the end": ("with:\n      at-least: 2\n", "\n  - id: more\n    do: read-aloud\n    by: ada\n    say: more\n", "witness-signatures is the last step"),
    "nothing to read aloud": ("say: >-\n      We follow", "say: ''\n    expect: >-\n      We follow", None),
    "more witnesses than there are": ("at-least: 2", "at-least: 3", "3 witnesses are to sign"),
    "fewer than two witnesses": ("at-least: 2", "at-least: 1", "at-least"),
    "two backup sets": ("  - id: create\n    do: create-backup\n    by: carl\n    witness: [walter, eva]\n", "  - id: again\n    do: make-backup-set\n    by: carl\n    witness: [walter, eva]\n    say: again\n    with:\n      threshold: 3\n      custodians: [kai, kim, kurt]\n\n  - id: create\n    do: create-backup\n    by: carl\n    witness: [walter, eva]\n", "make-backup-set is one step of a ceremony"),
    "a step of another type": ("do: create-backup\n    by: carl\n    witness: [walter, eva]", "do: retire-set\n    by: carl\n    witness: [walter, eva]", None),
    "more needed than there are": ("threshold: 3", "threshold: 6", "6 custodians are needed, and 5 are named"),
    "one custodian is enough": ("threshold: 3", "threshold: 1", "threshold"),
    "a custodian twice": ("custodians: [kai, kim, kurt, kate, knut]", "custodians: [kai, kai, kurt, kate, knut]", "kai stands twice"),
    "a custodian who is none": ("custodians: [kai, kim, kurt, kate, knut]", "custodians: [carl, kim, kurt, kate, knut]", "carl takes part as no custodian"),
    "shares for another bundle": ("bundle: backup.bundle\n\n  - id: bags", "bundle: other.bundle\n\n  - id: bags", "another bundle"),
    "a bundle without shares": ("do: collect-shares", "do: bag-in", None),
    "a path with a control character": ("bundle: backup.bundle", 'bundle: "a/../b"', "bundle"),
}  # fmt: skip


@pytest.mark.parametrize("what", RULES)
def test_a_script_that_breaks_a_rule_is_refused(what: str) -> None:
    before, after, message = RULES[what]
    assert before in BACKUP
    with pytest.raises(ScriptError, match=None if message is None else re.escape(message)):
        read_script(BACKUP.replace(before, after, 1).encode())


def test_each_action_has_parameters_of_its_own_and_none_has_room_for_a_secret() -> None:
    assert set(PARAMETERS) == set(Action)
    for kind in PARAMETERS.values():
        for field in msgspec.structs.fields(kind):
            assert not re.search(r"pin\b|secret|passphrase|password|words|share\b", field.encode_name)


def test_two_people_have_keys_and_recipients_of_their_own() -> None:
    line = OfficerPrivateKey.generate().public.line
    with pytest.raises(ScriptError, match="is two participants'"):
        read_script(BACKUP.replace('key: ""', f"key: {line}").encode())
    with pytest.raises(ScriptError, match="without a comment"):
        read_script(BACKUP.replace('key: ""', f"key: {line} eva@home", 1).encode())
