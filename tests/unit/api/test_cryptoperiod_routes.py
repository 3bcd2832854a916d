"""Cryptoperiods over the admin API, and how the API of AWS shows keys that wait for a date or protect nothing more."""

import json

import pytest

from strongroom.core import KeyState
from strongroom.keyring import CryptoperiodOverError, KeyPreActiveError


def post(api, key_id, action, members):
    body = json.dumps(members).encode()
    path = f"/api/v1/keys/{key_id}/{action}"
    headers = api.sign(body, target=None, path=path, **{"Content-Type": "application/json"})
    return api.send("POST", path, headers, body)


async def test_a_key_is_limited_and_tells_by_what(api):
    key_id = await api.new_key()
    answer = await post(api, key_id, "cryptoperiod", {"days": 30, "maxUses": 1000})
    assert answer.status == 200
    assert answer.json["keyId"] == api.arn(key_id)
    assert (answer.json["days"], answer.json["maxUses"], answer.json["isMadeAnew"]) == (30, 1000, True)


async def test_a_key_gets_a_date_of_activation_and_is_disabled_until_then_for_aws(api):
    key_id = await api.new_key()
    answer = await post(api, key_id, "activation", {"at": 2e9})
    assert (answer.status, answer.json["activateAt"]) == (200, 2e9)
    metadata = (await api.call("DescribeKey", {"KeyId": key_id})).json["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"]) == ("Disabled", False)


@pytest.mark.parametrize(
    ("action", "members"),
    [
        ("cryptoperiod", {"days": -1}), ("cryptoperiod", {"days": 36_501}), ("cryptoperiod", {"maxUses": 2**54}),
        ("cryptoperiod", {"weeks": 3}), ("activation", {"at": "soon"}), ("activation", {"at": 0}), ("activation", {"at": 1e12}),
    ],
)  # fmt: skip
async def test_what_is_out_of_bounds_is_refused(api, action, members):
    answer = await post(api, await api.new_key(), action, members)
    assert (answer.status, answer.code) == (400, "ValidationException")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (lambda key_id: KeyPreActiveError(key_id, 2e9), "is not active before 2033-05-18T03:33:20Z."),
        (CryptoperiodOverError, "has reached the end of its cryptoperiod: it protects nothing more."),
    ],
)
async def test_what_such_keys_refuse_is_a_matter_of_their_state(api, monkeypatch, error, words):
    key_id = await api.new_key()

    async def refuse(*_args, **_more):
        raise error(key_id)

    monkeypatch.setattr(api.service, "disable_key", refuse)
    answer = await api.call("DisableKey", {"KeyId": key_id})
    assert (answer.status, answer.code) == (400, "KMSInvalidStateException")
    assert answer.json["message"] == f"{api.arn(key_id)} {words}"


async def test_a_deactivated_key_is_shown_as_disabled(api):
    key_id = await api.new_key()
    api.service.keys[key_id] = api.service.keys[key_id]._replace(state=KeyState.DEACTIVATED)
    metadata = (await api.call("DescribeKey", {"KeyId": key_id})).json["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"]) == ("Disabled", False)
