"""Evidence: one file proves an act, and no other act, to somebody who has nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_custody import NOW, UNHURRIED, approve, ask, begun, changed, key_of, signed_genesis
from strongroom.core import Secret
from strongroom.custody import (
    ApprovalRefusedError,
    ChainError,
    CustodyError,
    MalformedDocumentError,
    OpenRequest,
    Phase,
    Refusal,
    armour,
    canonical_json,
    dearmour,
    document_hash,
    make_evidence,
    signature_from_base64,
    verify_evidence,
    write_document,
)

PARAMETERS = {"root_id": "ab" * 16}


def _act(chain, *names, now=NOW + 60):
    request = ask(chain.state, "DestroyRoot", PARAMETERS, now=now)
    return make_evidence(chain, request, approve(request, *(names or ("anna", "ben"))), executed=now + 5)


@pytest.fixture(scope="module")
def chain():
    grown = changed(begun(), "AddOfficerKey", {"officer": "anna", "key": key_of("anna-2").public.line})
    return changed(grown, "RevokeOfficer", {"officer": "cleo", "reason": "left"}, now=NOW + 20)


@pytest.fixture(scope="module")
def evidence(chain):
    return _act(chain, "anna-2", "ben")


def test_it_tells_who_approved_what_when_and_in_which_role(chain, evidence):
    genesis = document_hash(signed_genesis())
    proved = verify_evidence(evidence, genesis_sha256=genesis)
    assert (proved.genesis_sha256, proved.request.verb, proved.request.parameters) == (
        genesis,
        "DestroyRoot",
        PARAMETERS,
    )
    assert [(one.officer, str(one.role)) for one in proved.approvers] == [
        ("anna", "security-officer"),
        ("ben", "security-officer"),
    ]
    assert (proved.executed, proved.state.sequence) == (NOW + 65, 2)
    assert proved == verify_evidence(evidence)


def test_it_goes_on_proving_after_its_officers_are_gone(chain):
    early = _act(begun(), "anna", "cleo")
    assert [one.officer for one in verify_evidence(early).approvers] == ["anna", "cleo"]
    later = begun()
    request = ask(later.state, "DestroyRoot", PARAMETERS)
    grown = changed(later, "RevokeOfficer", {"officer": "cleo", "reason": "left"})
    bundle = make_evidence(grown, request, approve(request, "anna", "cleo"), executed=NOW + 1)
    assert json.loads(bundle)["records"] == []
    assert verify_evidence(bundle).state.sequence == 0


def test_another_genesis_than_the_reader_knows_is_refused(evidence):
    with pytest.raises(ChainError, match="genesis: its hash is"):
        verify_evidence(evidence, genesis_sha256="0" * 64)


def _with(evidence, change):
    document = json.loads(evidence)
    change(document)
    return canonical_json(document)


TAMPERED = {
    "a record left out": lambda d: d["records"].pop(),
    "the first record left out": lambda d: d["records"].pop(0),
    "records in another order": lambda d: d["records"].reverse(),
    "a record twice": lambda d: d["records"].append(d["records"][1]),
    "another parameter": lambda d: d["request"]["parameters"].update(root_id="cd" * 16),
    "another requester": lambda d: d["request"].update(requester="user/x"),
    "a signature left out": lambda d: d["approvals"].pop(),
    "a signature twice": lambda d: d["approvals"].append(d["approvals"][0]),
    "a signature of the genesis": lambda d: d["approvals"].append(d["genesis"]["signatures"][2]),
    "executed after its end": lambda d: d.update(executed=d["request"]["expires"]),
    "another genesis": lambda d: d["genesis"]["body"].update(name="other"),
    "a rule made lighter": lambda d: d["genesis"]["body"]["rules"]["DestroyRoot"].update(m=1),
    "a signature cut off": lambda d: d["approvals"].__setitem__(0, d["approvals"][0][:-4]),
    "something more": lambda d: d.update(more=1),
    "something less": lambda d: d.pop("executed"),
    "another type": lambda d: d.update(type="strongroom-evidence-v2"),
    "a record of the future": lambda d: d["records"][0].update(at=NOW + 10**6),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED)
def test_what_was_tampered_with_is_refused(evidence, case):
    with pytest.raises(CustodyError):
        verify_evidence(_with(evidence, TAMPERED[case]))


@settings(UNHURRIED, max_examples=60)
@given(st.data())
def test_no_byte_can_be_changed_but_in_the_date_of_execution(evidence, data):
    at = data.draw(st.integers(0, len(evidence) - 1))
    changed_ = bytearray(evidence)
    changed_[at] ^= data.draw(st.integers(1, 255))
    try:
        proved = verify_evidence(bytes(changed_))
    except CustodyError:
        return
    assert proved._replace(executed=0) == verify_evidence(evidence)._replace(executed=0)


def test_evidence_that_would_not_verify_is_not_made(chain):
    request = ask(chain.state, "DestroyRoot", PARAMETERS)
    for names, executed, reason in (
        (("anna",), NOW, Refusal.TOO_FEW), (("anna", "cleo"), NOW, Refusal.REVOKED), (("anna", "ben"), NOW + 10**6, Refusal.EXPIRED),
    ):  # fmt: skip
        with pytest.raises(ApprovalRefusedError) as caught:
            make_evidence(chain, request, approve(request, *names), executed=executed)
        assert caught.value.reason is reason
    with pytest.raises(ChainError, match="never came to the state"):
        make_evidence(begun(), request, approve(request, "anna", "ben"), executed=NOW)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff" * 100, b'{"type":"strongroom-evidence-v1"}', b" " * 5_000_000],
)
def test_what_is_no_evidence_is_refused(data):
    with pytest.raises(MalformedDocumentError):
        verify_evidence(data)


def test_stock_ssh_keygen_approves_and_checks_what_is_in_the_evidence(ssh_keygen, tmp_path, chain):
    """An officer who has never installed Strongroom, and an auditor who does not trust it."""
    request = ask(chain.state, "DestroyRoot", PARAMETERS)
    file = tmp_path / "request.json"
    file.write_bytes(write_document(request))
    opened = OpenRequest(request)
    for name in ("anna-2", "ben"):
        key = tmp_path / name
        key.touch(mode=0o600)
        key.write_bytes(key_of(name).file_bytes(Secret(b"a passphrase of a test"), rounds=1))
        ssh_keygen("-p", "-f", key, "-P", "a passphrase of a test", "-N", "")  # it would ask at a terminal
        ssh_keygen("-Y", "sign", "-q", "-n", "approval@strongroom", "-f", key, file)
        signature = tmp_path / "request.json.sig"
        opened = opened.approved(chain.state, dearmour(signature.read_bytes()), now=NOW + 1)
        signature.unlink()
    assert opened.phase(chain.state, now=NOW + 1) is Phase.APPROVED
    proved = json.loads(make_evidence(chain, request, opened.approvals, executed=NOW + 2))
    (tmp_path / "allowed").write_text(
        "".join(f"{name} {key_of(name).public.line}\n" for name in ("anna-2", "ben"))
    )
    for name, text in zip(("anna-2", "ben"), proved["approvals"], strict=True):
        (tmp_path / "sig").write_bytes(armour(signature_from_base64(text)))
        ssh_keygen(
            "-Y", "verify", "-n", "approval@strongroom", "-f", tmp_path / "allowed", "-I", name, "-s", tmp_path / "sig",
            data=canonical_json(proved["request"]),
        )  # fmt: skip
