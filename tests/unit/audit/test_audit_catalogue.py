"""The catalogue of events holds what the source can write: names of events, and names in their details."""

import ast
import functools
import re
from pathlib import Path

import pytest

import strongroom
from strongroom.api._admin_routes import ADMIN_ROUTES
from strongroom.api._kms import NOT_SERVED_YET, OPERATIONS
from strongroom.audit import CATALOGUE, DENIED, Entry, Pci, classes_of, find_event, unknown_details
from strongroom.service._audited import event_of

SOURCE = Path(strongroom.__file__).parent
LINES_ONLY = {
    *("access_key.unreadable", "access_key.use_not_noted", "credentials.not_loaded", "oidc.keys_not_read"),
    *("oidc.keys_read", "keys.not_destroyed", "keys.destroyed", "keys.cryptoperiods_end_soon"),
    *("keys.not_rotated_or_expired", "keys.rotated_or_expired", "domains.not_rotated", "domains.rotated"),
    *(
        f"witness.{what}"
        for what in ("started", "stopping", "stopped", "cosigned", "refused", "fork_refused", "failed")
    ),
    *("root.not_rewrapped", "worker.gave_up", "softhsm.config_written"),
}
"""Written by API processes and workers to standard error alone."""
COMPOSED = {
    "members.*": {"members.test", "members.reconcile", "members.revive"},
    "softhsm.*": set(),  # workers: to standard error alone
    "audit.sink_*": {
        f"audit.sink_{what}" for what in ("failed", "recovered", "behind", "caught_up", "gap", "stuck")
    },
    "access.*": {
        f"access.{verb}AccessKey" for verb in ("Create", "Enable", "Disable", "Delete")
    } | {"access.SetAccessKeyRoles"},
}  # fmt: skip
"""Events whose names are put together where they are written, and what comes of it."""
WRITERS = {
    "emit",
    "_emit",
    "record",
    "append",
    "tell",
    "_tell",
    "_told",
    "_written",
    "_record",
    "do_due_work",
}
EVENT = re.compile(r"[a-z_]+\.[A-Za-z_*]+")


@functools.cache
def sources():
    """What can write entries: of commands only what stands in wiring."""
    return {
        path: text
        for path in SOURCE.rglob("*.py")
        if not path.name.startswith("_catalogue") and "cli" not in path.parts
        for text in [path.read_text()]
    }


@functools.cache
def nodes():
    """All calls and assignments of modules that may write entries, with their files."""
    kept = (ast.Call, ast.Assign, ast.AugAssign, ast.keyword)
    return [
        (path, node)
        for path, text in sources().items()
        if any(f"{name}(" in text for name in WRITERS) or "detail" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kept)
    ]


def calls():
    for path, node in nodes():
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in WRITERS:
                yield path, node


def text_of(node):
    """A name of an event, with a star for what is put in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
    else:
        return None
    return text if EVENT.fullmatch(text) else None


def names_of_events():
    """Every text of the form of an event's name that is given to a writer, or is a constant."""
    found = {}
    for path, call in calls():
        for argument in call.args[:3]:
            parts = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
            for part in parts:
                if (text := text_of(part)) is not None:
                    found.setdefault(text, []).append((path, call))
    return found


def test_every_event_that_the_source_writes_is_in_the_catalogue():
    unknown = {
        text
        for text in names_of_events()
        if text not in CATALOGUE and text not in LINES_ONLY and text not in COMPOSED
    }
    assert unknown == set()
    composed = set().union(*COMPOSED.values())
    assert composed <= CATALOGUE.keys()


def test_every_event_of_the_catalogue_is_named_in_the_source():
    texts = "\n".join(sources().values())
    composed = set().union(*COMPOSED.values())
    unnamed = {
        name
        for name in CATALOGUE.keys() - composed
        if f'"{name}"' not in texts
        and f'"{name.partition(".")[2]}"' not in texts
        and name.partition(".")[2] not in NOT_SERVED_YET
    }
    assert unnamed == set()


def test_every_operation_has_its_type():
    operations = {
        *OPERATIONS,
        *NOT_SERVED_YET,
        *(route.operation for route in ADMIN_ROUTES),
        "-",
        "ReadStatus",
    }
    operations |= {"GetCallerIdentity"}
    assert {event_of(name) for name in operations} <= CATALOGUE.keys()


@pytest.mark.parametrize("argument", ["emit", "_tell"])
def test_what_events_say_is_what_their_types_have(argument):
    """Keyword arguments of ``emit`` become the detail of an entry."""
    wrong = {}
    for text, writers in names_of_events().items():
        known = find_event(text)
        for _, call in writers:
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if known is None or name != argument:
                continue
            given = {keyword.arg for keyword in call.keywords} - {None, "member"}
            if given - known.details:
                wrong[text] = given - known.details
    assert wrong == {}


def details_in_the_source():
    """Names that are put into something called ``detail``, or are given as such."""
    for path, node in nodes():
        if path.parent.name in {"service", "runtime", "wiring", "audit", "api"}:
            match node:
                case ast.Assign(
                    targets=[
                        ast.Subscript(value=ast.Name(id="detail" | "said"), slice=ast.Constant(value=name))
                    ]
                ):
                    yield str(name)
                case ast.keyword(arg="detail", value=ast.Dict(keys=keys)):
                    yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
                case ast.Assign(targets=[ast.Name(id="detail")], value=ast.Dict(keys=keys)):
                    yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
                case ast.AugAssign(target=ast.Name(id="detail"), value=ast.Dict(keys=keys)):
                    yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))


def test_no_name_in_a_detail_is_unknown_to_every_type():
    known = set().union(*(one.details for one in CATALOGUE.values()))
    assert set(details_in_the_source()) - known == set()


def test_outcomes_that_count_as_failed_access_are_errors_of_ours():
    classes = {
        found
        for path in SOURCE.rglob("*errors.py")
        for found in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE)
    }
    assert classes >= DENIED


def test_every_class_of_pci_dss_has_events():
    found = set().union(*(one.classes for one in CATALOGUE.values()))
    assert set(Pci) - found <= {Pci.LOG_ACCESS, Pci.FAILED_ACCESS}


def entry(**fields):
    return Entry(version=1, writer="api-0", seq=1, boot=1, at=1, **{"kind": "outcome", **fields})


def test_a_refusal_and_a_denial_are_failed_access_whatever_their_event():
    assert classes_of(entry(event="kms.Decrypt", outcome="ok")) == {Pci.USE}
    assert classes_of(entry(event="kms.Decrypt", outcome="AccessDeniedError")) == {Pci.USE, Pci.FAILED_ACCESS}
    refusal = entry(event="kms.-", kind="refusal", outcome="InvalidSignatureException")
    assert classes_of(refusal) == {Pci.FAILED_ACCESS}
    assert classes_of(entry(event="later.Thing")) == frozenset()


def test_details_are_told_from_those_of_other_types():
    assert unknown_details(entry(event="kms.Decrypt", detail={"alias": "a", "left_out": "1"})) == frozenset()
    assert unknown_details(entry(event="kms.Decrypt", detail={"days": "7"})) == {"days"}
    assert unknown_details(entry(event="cluster.initialised", detail={"token_of_m1": "x"})) == frozenset()
    assert unknown_details(entry(event="later.Thing", detail={"x": "y"})) == {"x"}
