"""Every operation and member of the service model of AWS KMS: served and checked, or refused as docs/api-compatibility.md says."""

import json
import re
from pathlib import Path

import botocore.parsers
import pytest

import kms_model
from api_support import Api
from kms_model import MODEL, fits, input_shape, modelled_errors, output_paths, right_value, wrong_values
from strongroom.api._errors import ERROR_RULES
from strongroom.api._kms import NOT_SERVED_YET, OPERATIONS
from unit.api.served_answers import served_answers

API = Path(__file__).parents[3] / "src" / "strongroom" / "api"
PAGE = (Path(__file__).parents[3] / "docs" / "api-compatibility.md").read_text()
WHEN_PRESENT = "`UnsupportedOperationException` when present"
REFUSAL = "UnsupportedOperationException"
"""How a member that is not served is answered, by operations too that have no such error in the model."""
TRANSPORT_ERRORS = {
    "IncompleteSignatureException", "InvalidBearerTokenException", "RequestEntityTooLargeException",
    "RequestHeaderFieldsTooLargeException", "RequestTimeoutException",
}  # fmt: skip
"""What is answered before there is an operation; none of them is in the model."""


class RecordingApi(Api):
    """Keeps the members of the first request of each operation that succeeds."""

    def __init__(self):
        super().__init__()
        self.succeeded = {}

    async def raw(self, operation, body, **options):
        answer = await super().raw(operation, body, **options)
        if answer.status == 200:
            self.succeeded.setdefault(operation, json.loads(body))
        return answer


@pytest.fixture
async def recorded():
    """An application with the requests that succeeded in it, and what was answered."""
    api = RecordingApi()
    answers = [item async for item in served_answers(api)]
    yield api, answers
    api.service.works.slow.close()


def _refused_when_present():
    """Return (operation, member) of the table of refused members."""
    section = PAGE.split("\n## Members refused\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if WHEN_PRESENT in line]
    return {
        (operation.strip(), member)
        for names, operations, *_ in rows
        for member in re.findall(r"`(\w+)`", names)
        for operation in operations.split(",")
        if operation.strip() in MODEL.operation_names and member in input_shape(operation.strip()).members
    }


REFUSED = _refused_when_present()
INVALID_MARKER = {"pattern": "InvalidMarkerException"}
OTHER_CODES = {
    "Marker": INVALID_MARKER,
    "Constraints.SourceArn": dict.fromkeys(("short", "long", "pattern"), REFUSAL),
    "DryRunModifiers[]": {"enum": REFUSAL, "type": REFUSAL},
}
"""Path of a member within its operation → how a wrong value is answered, where it is not by the codes of ``_expected``."""


def _expected(operation, wrong):
    path = wrong.path.removeprefix(f"{operation}.")
    if (other := OTHER_CODES.get(path, {}).get(wrong.kind)) in {REFUSAL, *modelled_errors(operation)}:
        return {other}
    if (operation, re.split(r"[.\[]", path)[0]) in REFUSED:
        return {REFUSAL, "ValidationException", "SerializationException"}
    return {"SerializationException" if wrong.kind == "type" else "ValidationException"}


async def test_every_operation_of_the_model_is_served_or_refused_as_a_whole(recorded):
    api, answers = recorded
    assert set(OPERATIONS) | NOT_SERVED_YET == set(kms_model.OPERATIONS)
    assert {operation for operation, _ in answers} == set(OPERATIONS) == set(api.succeeded)
    for operation in NOT_SERVED_YET:
        for members in ({}, right_value(input_shape(operation))):
            answer = await api.call(operation, members)
            assert (answer.status, answer.code) == (400, REFUSAL), operation


async def test_no_member_of_a_request_takes_what_the_model_forbids(recorded):
    api, _ = recorded
    found = []
    for operation in sorted(OPERATIONS):
        right, shape = api.succeeded[operation], input_shape(operation)
        outcomes = len(api.service.outcomes)
        for name, member in shape.members.items():
            for wrong in wrong_values(member, f"{operation}.{name}"):
                answer = await api.call(operation, {**right, name: wrong.value})
                if answer.code not in _expected(operation, wrong) or answer.status != 400:
                    found.append((wrong.path, wrong.kind, wrong.value, answer.code))
        for name in shape.required_members:
            answer = await api.call(operation, {key: right[key] for key in right if key != name})
            if answer.code != "ValidationException":
                found.append((f"{operation}.{name}", "required", None, answer.code))
        assert len(api.service.outcomes) == outcomes, operation
    assert found == [], "\n".join(map(str, found))


@pytest.mark.parametrize(("operation", "name"), sorted(REFUSED))
async def test_what_the_page_says_is_refused_when_present_is_refused_by_name(recorded, operation, name):
    api, _ = recorded
    value = right_value(input_shape(operation).members[name])
    answer = await api.call(operation, {**api.succeeded[operation], name: value})
    assert (answer.code, answer.message.split()[0]) == (REFUSAL, name)


async def test_every_word_of_the_model_is_known(recorded):
    api, _ = recorded
    for operation in sorted(OPERATIONS):
        for name, shape in input_shape(operation).members.items():
            leaf = shape.member if shape.type_name == "list" else shape
            for word in getattr(leaf, "enum", []):
                value = [word] if leaf is not shape else word
                answer = await api.call(operation, {**api.succeeded[operation], name: value})
                assert answer.status in {200, 400}
                assert "enum value set" not in answer.body.decode(), (operation, name, word)
                assert answer.code in {"OK", REFUSAL} | modelled_errors(operation), (operation, name, word)


RECIPIENT, PROXY, SERVICES = (
    "Recipient is refused",
    "external key stores are refused",
    "services are no callers here",
)
MULTI_REGION, AT_ONCE = "MultiRegion is refused", "it is done when the operation answers"
NOT_YET_MADE = "a key that was just made has none"
NEVER_RETURNED = {
    r"\w+\.CiphertextForRecipient": RECIPIENT,
    r"\w+\.KeyMetadata\.MultiRegionConfiguration(\..+)?": MULTI_REGION,
    r"\w+\.KeyMetadata\.PendingDeletionWindowInDays": "of multi-Region keys with replicas only",
    r"\w+\.KeyMetadata\.XksKeyConfiguration(\.Id)?": PROXY,
    r"\w+\.(KeyMetadata\.)?EncapsulationAlgorithms": "ML-KEM is refused",
    r"CreateKey\.KeyMetadata\.(DeletionDate|ExpirationModel|ValidTo)": NOT_YET_MADE,
    r"DescribeCustomKeyStores\.CustomKeyStores\.ConnectionErrorCode": AT_ONCE,
    r"DescribeCustomKeyStores\.CustomKeyStores\.TrustAnchorCertificate": "TrustAnchorCertificate is refused",
    r"DescribeCustomKeyStores\.CustomKeyStores\.XksProxyConfiguration(\..+)?": PROXY,
    r"GetKeyLastUsage\.KeyLastUsage\.CloudTrailEventId": "there is no CloudTrail here",
    r"GetKeyRotationStatus\.OnDemandRotationStartDate": AT_ONCE,
    r"List\w*Grants\.Grants\.(Grantee|Retiring)ServicePrincipal": SERVICES,
    r"List\w*Grants\.Grants\.Constraints\.SourceArn": SERVICES,
    r"ListKeyPolicies\.NextMarker": "a key has one policy",
}
"""Form of the path of a member of an answer → why no answer has it."""


def _note_paths(value, shape, path, seen):
    """Check a value against its shape; note the path of every member."""
    kinds = {"structure": dict, "map": dict, "list": list, "string": str, "blob": str, "boolean": bool}
    kind = kinds.get(shape.type_name, int | float if shape.type_name == "timestamp" else int)
    assert isinstance(value, kind), path
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), path
        for name, inner in value.items():
            seen.add(f"{path}.{name}")
            _note_paths(inner, shape.members[name], f"{path}.{name}", seen)
    elif shape.type_name == "list":
        for inner in value:
            _note_paths(inner, shape.member, path, seen)
    elif shape.type_name == "string":
        assert not shape.enum or value in shape.enum, path
        assert fits(shape, value), (path, value)


async def test_answers_have_the_members_of_the_model_and_every_one_of_them_is_given_or_has_a_reason(recorded):
    _, answers = recorded
    seen = set()
    for operation, answer in answers:
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "application/x-amz-json-1.1"
        shape = MODEL.operation_model(operation).output_shape
        if shape is None:
            assert answer.body == b""
            continue
        _note_paths(answer.json, shape, operation, seen)
        parser = botocore.parsers.create_parser("json")
        parsed = parser.parse({"status_code": 200, "headers": answer.headers, "body": answer.body}, shape)
        assert set(parsed) - {"ResponseMetadata"} == set(answer.json)
    missing = frozenset().union(*map(output_paths, OPERATIONS)) - seen
    reasons = {path: [form for form in NEVER_RETURNED if re.fullmatch(form, path)] for path in missing}
    assert {path for path, found in reasons.items() if not found} == set()
    given = {path for path in seen for form in NEVER_RETURNED if re.fullmatch(form, path)}
    assert given == set()
    assert {form for found in reasons.values() for form in found} == set(NEVER_RETURNED)


def test_every_error_code_is_one_of_the_model_or_common_to_all_operations():
    of_the_model = frozenset().union(*map(modelled_errors, OPERATIONS))
    assert {rule.code for rule in ERROR_RULES} <= of_the_model
    sources = "".join(path.read_text() for path in API.glob("*.py"))
    raised = set(re.findall(r'"([A-Z][A-Za-z]+Exception)"', sources))
    assert raised <= of_the_model | TRANSPORT_ERRORS
