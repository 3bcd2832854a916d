"""A scripted server that rewraps: ciphertext ``v1:x`` becomes ``v2:x``, anything else is an item that fails."""

import msgspec

from scripted_server import ScriptedServer, answer

KEY = "0d9d1b2e-6a5b-4f0e-8f1d-2b8f7a0c6f3e"


def rewrap(path, body):
    assert path == f"/api/v1/keys/{KEY}/batch/rewrap"
    asked = msgspec.msgpack.decode(body)
    made = [_rewrapped(item, asked.get("context", {})) for item in asked["items"]]
    return answer(200, msgspec.msgpack.encode({"keyId": "arn", "keyMaterialId": "m", "items": made}))


def _rewrapped(item, context):
    if (item.get("context", context) or {}).get("tenant", "7") != "7" or not item["ciphertext"].startswith(
        b"v"
    ):
        return {"error": {"code": "InvalidCiphertextException", "message": ""}}
    return {"ciphertext": b"v2" + item["ciphertext"][2:]}


def rewrapping_server(*steps_before):
    """Do these steps, then rewrap for ever."""
    return ScriptedServer([*steps_before, (rewrap,)])


def environment_of(server):
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
