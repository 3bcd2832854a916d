"""The express lane: the same answers and entries as the usual way, nothing before it is durable, everything unusual left alone."""

import asyncio
import base64
import threading

import pytest

from express_support import warm
from policy_support import ROOT, policy_text, statement
from strongroom.core import KeyState, Secret
from strongroom.keyring import KeyById


@pytest.mark.parametrize("context", [None, {}, {"tenant": "7"}, {"a": "b:c", "d:e": 'quoted "f"'}])
async def test_what_it_encrypts_opens_the_usual_way_and_the_other_way_round(lane, bench, key_id, context):
    more = {} if context is None else {"EncryptionContext": context}
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        before = lane.rides
        _, _, made = await client.ask(lane.encrypt(key_id, b"data", **more))
        usual = await bench.service.decrypt(
            bench.caller(), base64.b64decode(made["CiphertextBlob"]), key=None, context=context or {}
        )
        assert usual.plaintext.reveal() == b"data"
        status, _, opened = await client.ask(
            lane.request("Decrypt", {"CiphertextBlob": made["CiphertextBlob"], **more})
        )
        assert (status, opened["Plaintext"]) == (200, base64.b64encode(b"data").decode())
        assert opened["KeyId"] == made["KeyId"]
        has_escapes = context is not None and any('"' in value for value in context.values())
        assert lane.rides - before == (0 if has_escapes else 2)


async def test_a_data_key_is_what_its_ciphertext_opens_to(lane, bench, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        _, _, made = await client.ask(
            lane.request("GenerateDataKey", {"KeyId": key_id, "KeySpec": "AES_256"})
        )
        assert lane.rides == 2
        opened = await bench.service.decrypt(
            bench.caller(), base64.b64decode(made["CiphertextBlob"]), key=None, context={}
        )
        assert base64.b64decode(made["Plaintext"]) == opened.plaintext.reveal()
        assert len(opened.plaintext) == 32
        assert made["KeyMaterialId"] == opened.material_id


@pytest.mark.parametrize("named", ["id", "arn", "alias", "alias arn"])
@pytest.mark.parametrize("operation", ["Encrypt", "Decrypt", "GenerateDataKey"])
async def test_answer_and_entry_are_those_of_the_usual_way(lane, bench, key_id, operation, named):
    arn = f"arn:aws:kms:eu-central-1:123456789012:key/{key_id}"
    alias_arn = "arn:aws:kms:eu-central-1:123456789012:alias/old"
    name = {"id": key_id, "arn": arn, "alias": "alias/old", "alias arn": alias_arn}[named]
    blob = (await bench.keyring.encrypt(KeyById(key_id), Secret(b"x" * 32), {"t": "7"})).ciphertext
    members = {
        "Encrypt": {"Plaintext": "QUJD"},
        "Decrypt": {"CiphertextBlob": base64.b64encode(blob).decode()},
        "GenerateDataKey": {"KeySpec": "AES_128"},
    }[operation] | {"KeyId": name, "EncryptionContext": {"t": "7"}}
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        before = lane.rides
        fast = await client.ask(lane.request(operation, members))
        assert lane.rides == before + 1
        # Two blanks in a value are for the full verifier to fold.
        slow = await client.ask(lane.request(operation, members, extra=[("X-Amz-User-Agent", "a  b")]))
        assert lane.rides == before + 1
    random = {"CiphertextBlob", "Plaintext"} if operation == "GenerateDataKey" else {"CiphertextBlob"}
    assert [fast[0], list(fast[1])] == [slow[0], list(slow[1])] == [200, list(slow[1])]
    assert {n: v for n, v in fast[2].items() if n not in random} == {
        n: v for n, v in slow[2].items() if n not in random
    }
    assert list(fast[2]) == list(slow[2])
    one, other = bench.entries()[-2:]
    assert (one.request_id, other.request_id) == (fast[1]["x-amzn-requestid"], slow[1]["x-amzn-requestid"])
    assert {**_fields(one), "request_id": "", "seq": 0, "at": 0} == {
        **_fields(other),
        "request_id": "",
        "seq": 0,
        "at": 0,
    }


def _fields(entry):
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


async def test_no_answer_goes_out_before_its_entry_is_durable(lane, bench, key_id):
    held, release = threading.Event(), threading.Event()
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)

        def hold(call):
            if call == "sync":
                held.set()
                assert release.wait(20)

        bench.disk.decide = hold
        try:
            await client.send(lane.encrypt(key_id))
            assert await asyncio.to_thread(held.wait, 20)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(reading := asyncio.ensure_future(client.answer())), 0.2)
        finally:
            release.set()
        status, headers, _ = await reading
        assert status == 200
        assert bench.entries()[-1].request_id == headers["x-amzn-requestid"]


@pytest.mark.parametrize("fault", ["lost", "persisted", "half"])
async def test_without_an_entry_there_is_no_plaintext_but_a_500(lane, bench, key_id, fault):
    blob = (await bench.keyring.encrypt(KeyById(key_id), Secret(b"hidden"), {})).ciphertext
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        bench.disk.decide = lambda call: fault if call == "write" else None
        status, headers, document = await client.ask(
            lane.request("Decrypt", {"CiphertextBlob": base64.b64encode(blob).decode()})
        )
        bench.disk.decide = lambda _call: None
        assert (status, document["__type"]) == (500, "KMSInternalException")
        assert "Plaintext" not in document
        assert all(entry.request_id != headers["x-amzn-requestid"] for entry in bench.entries())
        while not bench.audit.is_writable:
            await asyncio.sleep(0.01)
        assert (await client.ask(lane.encrypt(key_id)))[0] == 200


@pytest.mark.parametrize(
    "kind", ["secret", "body", "date", "target", "unsigned", "length", "signature", "credential"]
)
async def test_what_did_not_verify_is_refused_the_usual_way_and_recorded(lane, bench, key_id, kind):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        raw = lane.encrypt(key_id)
        if kind == "secret":
            body = b'{"KeyId":"%b","Plaintext":"QUJD"}' % key_id.encode()
            raw = lane.request("Encrypt", body, secret=b"wrong")
        elif kind == "body":
            raw = raw.replace(b'Plaintext": "c', b'Plaintext": "d')
        elif kind == "date":
            at = raw.index(b"X-Amz-Date: ") + len("X-Amz-Date: yyyymmddT")
            raw = raw[:at] + (b"1" if raw[at : at + 1] == b"0" else b"0") + raw[at + 1 :]
        elif kind == "target":
            raw = raw.replace(b"TrentService.Encrypt", b"TrentService.Decrypt")
        elif kind == "unsigned":
            raw = raw.replace(b"\r\nContent-Length", b"\r\nX-Amz-User-Agent: a\r\nContent-Length")
        elif kind == "length":
            raw = raw.replace(b"Content-Length: ", b"Content-Length: 0")
        elif kind == "signature":
            at = raw.index(b"Signature=") + 10
            raw = raw[:at] + (b"1" if raw[at : at + 1] == b"0" else b"0") + raw[at + 1 :]
        else:
            raw = raw.replace(b"Credential=AKIATEST", b"Credential=AKIATESX")
        status, headers, _ = await client.ask(raw)
        assert lane.rides == 1
        if kind == "length":  # 0123 is 123 to llhttp, and signatures do not cover it
            assert status == 200
            return
        assert status == 400
        refusal = bench.entries()[-1]
        assert (refusal.kind, refusal.request_id) == ("refusal", headers["x-amzn-requestid"])


async def test_a_secret_that_is_no_longer_in_force_opens_nothing(lane, bench, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        bench.service.take_credentials({})
        assert (await client.ask(lane.encrypt(key_id)))[2]["__type"] == "UnrecognizedClientException"


async def test_a_signature_that_is_too_old_opens_nothing(lane, bench, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        raw = lane.encrypt(key_id)
        bench.clock.advance(301)
        assert (await client.ask(raw))[2]["__type"] == "InvalidSignatureException"


async def test_a_suspended_key_is_refused_at_once_and_recorded(lane, bench, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        await bench.open_keyring().set_state(key_id, KeyState.SUSPENDED)  # as another process does
        status, _, document = await client.ask(lane.encrypt(key_id))
        assert (status, document["__type"], lane.rides) == (400, "DisabledException", 1)
        assert bench.entries()[-1].outcome == "KeyStateError"


@pytest.mark.parametrize(
    "body",
    [
        b'{"KeyId":"ID","Plaintext":"QUJD","Plaintext":"QUJE"}',
        b'{"KeyId":"ID","Plaintext":"QUJD","KeyId":"ID"}',
        b'{"KeyId":"ID","Plaintext":"QUJD","EncryptionContext":{"a":"b","a":"c"}}',
        b'{"KeyId":"ID","Plaintext":"QUI"}',
        b'{"KeyId":"ID","Plaintext":"QUJ="}',
        b'{"KeyId":"ID","Plaintext":""}',
        b'{"KeyId":"ID","Plaintext":"QUJD","GrantTokens":["a"]}',
        b'{"KeyId":"ID","Plaintext":"QUJD","DryRun":true}',
        b'{"KeyId":"none","Plaintext":"QUJD"}',
        b'{"KeyId":"ID","Plaintext":null}',
        b'{"KeyId":"ID"}',
        b'{"KeyId":"ID","Plaintext":"\xff"}',
        b"[]",
        b"",
    ],
)
async def test_unusual_members_are_left_to_the_usual_way_which_refuses_them(lane, key_id, body):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        status, _, document = await client.ask(lane.request("Encrypt", body.replace(b"ID", key_id.encode())))
        assert (status, lane.rides) == (400, 1), document


async def test_usual_members_with_additions_that_mean_nothing_are_served_the_usual_way(lane, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        for body in (
            b'{"KeyId":"ID","Plaintext":"QUJD","Unknown":1}',
            b'{"KeyId":"ID","Plaintext":"QUJD","GrantTokens":[]}',
            b'{"KeyId":"\\u0061lias/old","Plaintext":"QUJD"}',
        ):
            status, _, _ = await client.ask(lane.request("Encrypt", body.replace(b"ID", key_id.encode())))
            assert (status, lane.rides) == (200, 1)


async def test_answers_are_counted(lane, key_id):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        text = lane.handler.own_metrics()
        assert 'strongroom_api_requests_total{operation="Encrypt",code="OK"} 2' in text
        assert 'strongroom_api_request_seconds_count{operation="Encrypt"} 2' in text


@pytest.mark.parametrize("operation", ["Encrypt", "Decrypt", "GenerateDataKey"])
async def test_what_a_policy_denies_for_an_encryption_context_is_refused_and_the_rest_is_served(
    lane, bench, key_id, operation
):
    deny = statement(
        "Deny",
        principal="*",
        action=f"kms:{operation}",
        condition={"StringEquals": {"kms:EncryptionContext:tenant": "8"}},
    )
    text = policy_text(statement(principal=ROOT), deny)
    await bench.service.put_key_policy(bench.caller(), key_id, document=text, skip_lockout_check=False)
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        for tenant, rides, status in (("7", 2, 200), ("8", 2, 400)):
            context = {"tenant": tenant}
            blob = (await bench.keyring.encrypt(KeyById(key_id), Secret(b"data"), context)).ciphertext
            members = {
                "Encrypt": {"KeyId": key_id, "Plaintext": "QUJD"},
                "Decrypt": {"CiphertextBlob": base64.b64encode(blob).decode()},
                "GenerateDataKey": {"KeyId": key_id, "KeySpec": "AES_128"},
            }[operation]
            answer = await client.ask(lane.request(operation, {**members, "EncryptionContext": context}))
            assert (answer[0], lane.rides) == (status, rides), tenant
        assert answer[2]["__type"] == "AccessDeniedException"


@pytest.mark.parametrize(
    "name",
    [
        "x" * 36,
        "A0000000-0000-4000-8000-000000000000",
        "alias/" + "a" * 30,
        "00000000-0000-4000-8000-000000000000",
    ],
)
async def test_a_name_as_long_as_a_key_id_that_is_none_is_refused_as_any_other(lane, bench, key_id, name):
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        fast = await client.ask(lane.encrypt(name))
        slow = await client.ask(
            lane.request(
                "Encrypt", {"KeyId": name, "Plaintext": "QUJD"}, extra=[("X-Amz-User-Agent", "a  b")]
            )
        )
        assert lane.rides == 1
    assert (fast[0], fast[2]) == (slow[0], slow[2])
    assert fast[0] == 400
    one, other = bench.entries()[-2:]
    assert (one.kind, one.event, one.outcome) == (other.kind, other.event, other.outcome)


async def test_an_alias_as_long_as_a_key_id_is_found_and_told_as_an_alias(lane, bench, key_id):
    name = "alias/" + "a" * 30
    await bench.service.create_alias(bench.caller(), alias_name=name, target_key_id=key_id)
    async with lane.serving() as connect:
        client = await connect()
        await warm(client, lane, key_id)
        status, _, _ = await client.ask(lane.encrypt(name))
        assert (status, lane.rides) == (200, 2)
    assert bench.entries()[-1].detail["alias"] == name
