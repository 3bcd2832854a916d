"""Requests that are nearly right, made from the service model: each is answered, none by a 5xx, each is recorded once."""

import asyncio
import base64
import json

import botocore.loaders
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_support import Api
from strongroom.api._kms_asymmetric import OPERATIONS
from strongroom.api._kms_key_stores import OPERATIONS as OF_KEY_STORES
from strongroom.core import KeyUsage, ManagedKeySpec
from strongroom.keyring import KeyKind, generate_material

MODEL = botocore.loaders.create_loader().load_service_model("kms", "service-2")
FURTHER = {"CreateKey", "Decrypt", "Encrypt", "GenerateDataKey", "ReEncrypt"}
NAMED = sorted({*OPERATIONS, *OF_KEY_STORES, *FURTHER})
KINDS = [
    KeyKind(),
    KeyKind(ManagedKeySpec.RSA_2048, KeyUsage.ENCRYPT_DECRYPT),
    KeyKind(ManagedKeySpec.RSA_2048, KeyUsage.SIGN_VERIFY),
    KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY),
    KeyKind(ManagedKeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT),
    KeyKind(ManagedKeySpec.ECC_NIST_EDWARDS25519, KeyUsage.SIGN_VERIFY),
    KeyKind(ManagedKeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC),
    KeyKind(ManagedKeySpec.ML_DSA_44, KeyUsage.SIGN_VERIFY),
]
PEER = generate_material(ManagedKeySpec.ECC_NIST_P256).public_key
SLOW_TO_MAKE = {"RSA_3072", "RSA_4096"}
blobs = (
    st.binary(max_size=80)
    | st.sampled_from([bytes(n) for n in (20, 28, 32, 48, 64, 256, 384, 4096, 4097)])
    | st.just(PEER)
)


@pytest.fixture(scope="module")
def prepared():
    """The application with a key of each kind, and a loop for it."""
    loop = asyncio.new_event_loop()
    api = Api()

    async def make():
        return [(await api.service.create_key(None, description="", kind=kind)).key_id for kind in KINDS]

    key_ids = loop.run_until_complete(make())
    yield api, key_ids, loop
    api.service.works.slow.close()
    loop.close()


def member(shape_name, name, key_ids):
    shape = MODEL["shapes"][shape_name]
    if name.endswith("KeyId"):
        return st.sampled_from(key_ids) | st.text(max_size=40)
    if "enum" in shape:
        words = [word for word in shape["enum"] if word not in SLOW_TO_MAKE]
        return st.sampled_from(words) | st.text(max_size=12)
    kinds = {
        "blob": blobs.map(lambda value: base64.b64encode(value).decode()) | st.text(max_size=8),
        "boolean": st.booleans(),
        "integer": st.integers(-1, 2000),
        "map": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
        "list": st.lists(st.text(max_size=4), max_size=2),
        "structure": st.just({}),
    }
    return kinds.get(shape["type"], st.text(max_size=20))


def requests_of(operation, key_ids):
    """Members of the model, most of them there, some of them right."""
    shape = MODEL["shapes"][MODEL["operations"][operation]["input"]["shape"]]
    required = set(shape.get("required", []))
    members = {name: member(of["shape"], name, key_ids) for name, of in shape["members"].items()}
    likely = {name: values for name, values in members.items() if name in required}
    others = {name: values for name, values in members.items() if name not in required}
    return st.fixed_dictionaries(likely, optional=others) | st.fixed_dictionaries({}, optional=members)


def try_near_valid(prepared, operation, n_examples):
    api, key_ids, loop = prepared

    @settings(max_examples=n_examples, deadline=None)
    @given(members=requests_of(operation, key_ids))
    def send(members):
        recorded = len(api.service.outcomes) + len(api.service.refusals)
        answer = loop.run_until_complete(api.raw(operation, json.dumps(members).encode()))
        assert answer.status in {200, 400}, (answer, members)
        assert len(api.service.outcomes) + len(api.service.refusals) > recorded
        assert len(answer.body) < 20_000

    send()


@pytest.mark.parametrize("operation", NAMED)
def test_a_near_valid_request_gets_an_answer_that_is_the_callers_fault_or_a_success(prepared, operation):
    try_near_valid(prepared, operation, 20)


@pytest.mark.slow
@pytest.mark.parametrize("operation", NAMED)
def test_near_valid_requests_for_long_get_answers_that_are_the_callers_fault_or_a_success(
    prepared, operation
):
    try_near_valid(prepared, operation, 400)
