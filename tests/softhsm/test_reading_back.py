"""What a token says of its keys' attributes when it is asked: of roots, and of keys that may not leave."""

import asyncio
from pathlib import Path

import pytest

from running_service import copy_home
from strongroom.config import load_config
from strongroom.storage import ReadOnlyStore
from strongroom.wiring.ceremony_members import look_at

pytestmark = pytest.mark.softhsm


def test_a_root_is_sensitive_and_leaves_under_trusted_keys_alone(
    initialised_home: Path, tmp_path: Path
) -> None:
    home = copy_home(initialised_home, tmp_path / "home")
    with ReadOnlyStore.open(home.database) as store:
        roots = store.list_roots()
    member, *_ = load_config(home.root).cluster.members
    seen = asyncio.run(look_at(home, member, roots, [], set()))
    (said,) = seen.attributes.values()
    yes, no = (set(part.split(": ")[1].split()) for part in said.split("; "))
    assert {"CKA_SENSITIVE", "CKA_WRAP_WITH_TRUSTED", "CKA_PRIVATE", "CKA_ENCRYPT"} <= yes
    assert {"CKA_WRAP", "CKA_UNWRAP", "CKA_TRUSTED"} <= no
    assert set(seen.attributes) == {f"secret_key {roots[0].root_id.hex()}"}
    assert seen.token.serial
