"""``strongroom init --script``: from two blank SoftHSM tokens to a cluster that serves, unattended, whatever interrupts it."""

import asyncio
import base64
import json

import pytest

from running_service import copy_home, require_softhsm
from scripted_homes import POINTS, Prepared, approve_all, prepared
from strongroom.config import load_config
from strongroom.custody import document_hash
from strongroom.hsm.token._softhsm_store import has_user_pin
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.pin_sealing import read_pin

pytestmark = [pytest.mark.softhsm, pytest.mark.timeout(900)]


def leaked(folder, secrets):
    """Files that hold one of these secrets, as it is or in hex or base64."""
    forms = [form for secret in secrets for form in (secret, secret.hex().encode(), base64.b64encode(secret))]
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]


def secrets_of(ready: Prepared) -> list[bytes]:
    members = load_config(ready.home.root).cluster.members
    users = [read_pin(member, ready.home).reveal() for member in members]
    officers = [pin.encode() for pin in ready.so_pins().values()]
    assert len({*users, *officers}) == 2 * len(members), "each token has two PINs of its own"
    return users + officers


def require_whole(ready: Prepared) -> None:
    """Every token has the PINs that the home and the deliveries say, and holds the one root; nothing of the making is left."""
    assert not ready.home.unfinished_mark.exists()
    assert not ready.home.init_journal.exists()
    members = load_config(ready.home.root).cluster.members
    assert set(ready.so_pins()) == {member.name for member in members}
    for member in members:
        (token,) = [path for path in (ready.home.tokens / member.name).iterdir() if path.is_dir()]
        assert has_user_pin((token / "token.object").read_bytes()), "one token, and it has a user"


def test_init_killed_again_and_again_ends_in_a_whole_cluster(made_by_script):
    assert [one.returncode for one in made_by_script.killed] == [-9] * len(POINTS), [
        one.stderr for one in made_by_script.killed
    ]
    assert (
        made_by_script.refused.returncode,
        "half initialised from a script" in made_by_script.refused.stderr,
    ) == (1, True)
    assert made_by_script.done.returncode == 0, made_by_script.done.stderr
    require_whole(made_by_script.ready)


def test_a_scripted_home_serves_boto3_and_gets_a_third_member_later(made_by_script, tmp_path):
    ready, done, *_ = made_by_script
    answer = json.loads(done.stdout)
    assert answer["made"] is True
    assert answer["genesis_sha256"] == document_hash(ready.genesis.read_bytes())
    assert load_config(ready.home.root).custody.genesis_sha256 == answer["genesis_sha256"]
    with ReadOnlyStore.open(ready.home.database) as store:
        assert [one.document for one in store.get_custody_documents()] == [ready.genesis.read_bytes()]
    ready = ready._replace(home=copy_home(ready.home.root, tmp_path / "home"))
    with ready.service() as service:
        service.start()
        key = ready.client(service, "user/cleo").create_key()["KeyMetadata"]["KeyId"]
        user = ready.client(service, "user/app")
        terms = {"KeyId": key, "EncryptionContext": {"tenant": "7"}}
        sealed = user.encrypt(Plaintext=b"from blank tokens", **terms)["CiphertextBlob"]
        assert user.decrypt(CiphertextBlob=sealed, **terms)["Plaintext"] == b"from blank tokens"

        waiting = add_gamma(ready)
        assert waiting.returncode == 1
        assert "AddMember needs an approval" in waiting.stderr
        asyncio.run(approve_all(ready.home, "anna", "ben"))
        added = add_gamma(ready)  # while the others serve
        assert added.returncode == 0, added.stderr
        assert service.stop() == 0
        assert leaked(tmp_path / "home", secrets_of(ready)) == []
        service.start()
        service.wait_for('"member": "gamma"', since=service.log().rfind("service.stopped"))
        tested = ready.strongroom("members", "test", "--member", "gamma", "--json")
        assert tested.returncode == 0, tested.stdout
        assert user.decrypt(CiphertextBlob=sealed, **terms)["Plaintext"] == b"from blank tokens"
        assert service.stop() == 0
    assert {member.name for member in load_config(ready.home.root).cluster.members} == {
        "alpha",
        "beta",
        "gamma",
    }


def add_gamma(ready: Prepared):
    """Add a third member from a blank token, with the PINs of the others as their officer opens them."""
    (ready.folder / "gamma.toml").write_text('[member]\nname = "gamma"\nprofile = "softhsm2"\n')
    files = []
    for name, pin in ready.so_pins().items():
        path = ready.folder.with_name(f"{ready.folder.name}-{name}.pin")  # not where is looked for them
        path.write_text(f"{pin}\n")
        path.chmod(0o600)
        files += ["--so-pin-file", f"{name}={path}"]
    return ready.strongroom("members", "add", "gamma", "--member-file", ready.folder / "gamma.toml", *files)


def test_nothing_that_the_run_wrote_or_said_holds_a_pin(made_by_script):
    ready = made_by_script.ready
    secrets = secrets_of(ready)
    assert leaked(ready.folder, secrets) == []
    said = "".join(
        one.stdout + one.stderr
        for one in (made_by_script.done, made_by_script.refused, *made_by_script.killed)
    )
    assert not any(secret.decode() in said for secret in secrets)
    keys = [ready.access_key(name)["secret_access_key"].encode() for name in ("user/cleo", "user/app")]
    assert sorted(leaked(ready.folder, keys)) == sorted(
        str(ready.home.access_keys / f"user-{name}.json") for name in ("app", "cleo")
    )
    left = {path.name for path in ready.home.pins.iterdir()}
    assert left == {"alpha.sealed", "beta.sealed", "sealing-key"}, "the security officers' PINs are gone"


def test_init_on_a_complete_home_changes_nothing(made_by_script, tmp_path):
    ready = made_by_script.ready
    before = {path: path.read_bytes() for path in ready.home.root.rglob("*") if path.is_file()}
    again = ready.init()
    assert (again.returncode, json.loads(again.stdout)["made"]) == (0, False)
    assert {path: path.read_bytes() for path in ready.home.root.rglob("*") if path.is_file()} == before
    (tmp_path / "other").mkdir()
    other = prepared(tmp_path / "other", ('name = "production" ', 'name = "another" '))
    elsewhere = other._replace(home=ready.home).init()
    assert elsewhere.returncode == 1
    assert "another genesis" in elsewhere.stderr


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_init_can_be_killed_at_every_point_one_after_the_other(tmp_path):
    require_softhsm()
    ready = prepared(tmp_path / "ready")
    seen = tmp_path / "seen"
    while (killed := ready.init_killed_at(f"@{seen}")).returncode == -9:
        pass
    assert (killed.returncode, killed.stdout.splitlines()[-1]) == (0, "done"), killed.stderr
    points = seen.read_text().splitlines()
    assert len(points) > 45
    for step in (
        "beta=token-begun",
        "root, recorded, pinned",
        "pinning the genesis in the token of member beta",
    ):
        assert any(step in point for point in points), step
    require_whole(ready)
    assert leaked(ready.folder, secrets_of(ready)) == []
