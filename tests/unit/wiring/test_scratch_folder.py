"""What is in a scratch folder is gone afterwards, also when the process that made it was killed."""

import os
import subprocess
import sys

from strongroom.wiring import scratch_folder as rooms
from strongroom.wiring.scratch_folder import remove_abandoned, scratch_folder


def test_what_is_in_it_is_overwritten_and_gone(tmp_path):
    with scratch_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        secret = folder / "deep" / "file"
        secret.write_bytes(b"secret")
        descriptor = os.open(secret, os.O_RDONLY)
        (folder / "link").symlink_to(tmp_path)
    try:
        assert os.read(descriptor, 100) == bytes(6)
    finally:
        os.close(descriptor)
    assert not folder.parent.exists()
    assert tmp_path.is_dir()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "_IN_MEMORY", tmp_path)
    program = (
        "import os, pathlib, sys\n"
        "from strongroom.wiring import scratch_folder as rooms\n"
        "rooms._IN_MEMORY = pathlib.Path(sys.argv[1])\n"
        "with rooms.scratch_folder() as folder:\n"
        "    (folder / 'root').write_bytes(b'secret')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    (tmp_path / "strongroom-scratch-new").mkdir()
    (tmp_path / "something-else").mkdir()
    with scratch_folder() as folder:
        assert not left.exists()
        assert remove_abandoned(tmp_path) == 0
        assert folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"strongroom-scratch-new", "something-else"}
