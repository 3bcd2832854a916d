"""What somebody may do to the files of a log, case by case: each is given a whole log and that of another host."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.audit import (
    CheckpointFiles,
    Signature,
    TreeLog,
    inspect_log,
    mldsa_cosigned,
    verify_tree,
)
from strongroom.audit._errors import AuditCorruptError
from strongroom.audit._files import WalFolder
from strongroom.audit._format import HEADER_BYTES, encode_group
from strongroom.audit._segments import SegmentWriter, recover
from unit.audit.audit_fakes import payload_of
from unit.audit.signed_logs import (
    COSIGNER,
    COSIGNER_KEY,
    KEY,
    ORIGIN,
    make_signed_log,
    sign,
    write_entries,
)

FORGER = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
ROUNDS = ((2, 3), (4, 0), (1, 300))
CHECKPOINTS = "checkpoints/00000001.checkpoints"


class Found(NamedTuple):
    """What ``strongroom audit verify`` says, in words."""

    problems: list[str]
    warnings: list[str]


def found_in(directory: Path, keys=(KEY, COSIGNER_KEY)) -> Found:
    """Check a log in every way there is."""
    report = inspect_log(directory)
    problems, warnings = [str(one) for one in report.problems], [str(one) for one in report.warnings]
    try:
        warnings += verify_tree(directory, keys).warnings
    except AuditCorruptError as error:
        problems.append(str(error))
    return Found(problems, warnings)


class Case(NamedTuple):
    """A way of tampering, and what verification says of it."""

    act: Callable[[Path, Path], None]
    problem: str = ""
    warning: str = ""


def flip(path: Path, offset: int, mask: int = 1) -> None:
    """Change bits of one byte."""
    data = bytearray(path.read_bytes())
    data[offset] ^= mask
    path.write_bytes(data)


def _segment(directory: Path, number: int = 2, writer: str = "main") -> Path:
    return directory / "wal" / writer / f"{number:08d}.wal"


def _frames(path: Path) -> tuple[bytes, list[bytes]]:
    data, offset, frames = path.read_bytes(), HEADER_BYTES, []
    while offset < len(data):
        end = offset + 12 + int.from_bytes(data[offset : offset + 4], "big") + 32
        frames.append(data[offset:end])
        offset = end
    return data[:HEADER_BYTES], frames


def _edit(change: Callable[[list[bytes]], object], number: int = 2) -> Callable[[Path, Path], None]:
    def act(directory: Path, _other: Path) -> None:
        path = _segment(directory, number)
        header, frames = _frames(path)
        change(frames)
        path.write_bytes(header + b"".join(frames))

    return act


def _flip(name: str, offset: int, mask: int = 1) -> Callable[[Path, Path], None]:
    return lambda directory, _other: flip(directory / name, offset, mask)


def _replace_in(name: str, old: str, new: str) -> Callable[[Path, Path], None]:
    def act(directory: Path, _other: Path) -> None:
        path = directory / name
        data = path.read_bytes()
        changed = re.sub(old.encode(), new.encode(), data, count=1)
        assert changed != data
        path.write_bytes(changed)

    return act


def _swap_segments(directory: Path, _other: Path) -> None:
    one, two = _segment(directory, 1, "api-0"), _segment(directory, 2, "api-0")
    one_data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(one_data)


def _swap_writers(directory: Path, _other: Path) -> None:
    wal = directory / "wal"
    (wal / "main").rename(wal / "aside")
    (wal / "api-0").rename(wal / "main")
    (wal / "aside").rename(wal / "api-0")


def _from_other(name: str) -> Callable[[Path, Path], None]:
    return lambda directory, other: shutil.copy(other / name, directory / name)


def _older_segment(directory: Path, _other: Path) -> None:
    """Put a segment in its place as it was before its last entries were written."""
    _edit(lambda frames: frames.__delitem__(slice(200, None)))(directory, directory)


def _chained_anew(directory: Path, _other: Path) -> None:
    """Change an entry, and make all chain values behind it fit: nobody needs a secret for that."""
    path = _segment(directory)
    header, frames = _frames(path)
    payloads = [frame[12:-32] for frame in frames]
    payloads[100] = payloads[100].replace(b"\xa5event\xa1e", b"\xa5event\xa1f")
    chain, parts = header[32:64], []
    for frame, payload in zip(frames, payloads, strict=True):
        part, chain = encode_group([payload], group=int.from_bytes(frame[4:12], "big"), chain=chain)
        parts.append(part)
    path.write_bytes(header + b"".join(parts))


def _rewritten(directory: Path, **options) -> None:
    """Make log and tree anew with other entries beside ``directory``, and put them in its place."""
    new = directory.with_name("rewritten")
    make_signed_log(new, ROUNDS, request_id="another story", **options)
    for name in ("wal", "tree"):
        shutil.rmtree(directory / name)
        (new / name).rename(directory / name)


def _with_checkpoints_of_forger(directory: Path, _other: Path) -> None:
    _rewritten(directory, signer=FORGER)
    shutil.rmtree(directory / "checkpoints")
    (directory.with_name("rewritten") / "checkpoints").rename(directory / "checkpoints")


def _signed_by_forger(directory: Path, _other: Path) -> None:
    write_entries(directory, "main", 2)
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    sign(log, signer=FORGER)
    log.close()


def _only_cosigned(directory: Path, _other: Path) -> None:
    """The cosigner's key lies in a file: who reads it can sign, but not for the HSMs."""
    write_entries(directory, "main", 2)
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    checkpoint, at = log.next_checkpoint(), 1_700_000_100
    data = at.to_bytes(8, "big") + COSIGNER.sign(mldsa_cosigned(ORIGIN, checkpoint, at))
    log.add(checkpoint, [Signature(ORIGIN, COSIGNER_KEY.key_id, data)], [COSIGNER_KEY])
    log.close()


def _replayed(directory: Path, _other: Path) -> None:
    path = directory / CHECKPOINTS
    first = next(CheckpointFiles(directory).read()).note.encode() + b"\n"
    path.write_bytes(path.read_bytes() + first)


def _tree_cut_back(directory: Path, _other: Path) -> None:
    """Log and tree of an earlier day, with the checkpoints of today."""
    earlier = directory.with_name("earlier")
    make_signed_log(earlier, ROUNDS[:2])
    for name in ("wal", "tree"):
        shutil.rmtree(directory / name)
        (earlier / name).rename(directory / name)


def _late_entries(at: int) -> Callable[[Path, Path], None]:
    """Write an entry with a time that is not so, as the log itself would, gathered and under a checkpoint."""

    def act(directory: Path, _other: Path) -> None:
        write_entries(directory, "main", 1, at=at * 1_000_000)
        log = TreeLog(directory, ORIGIN)
        log.gather(is_last=True)
        sign(log, at=1_700_000_060)
        log.close()

    return act


def _checkpoints_removed(directory: Path, _other: Path) -> None:
    """Two minutes of entries, with no checkpoint at their end."""
    folder = WalFolder(directory / "wal" / "api-0")
    writer = SegmentWriter(folder, recover(folder).end, segment_bytes=100_000)
    for second in (10, 130):
        at = (1_700_000_000 + second) * 1_000_000
        writer.write([payload_of(writer.position.seq, boot=writer.boot, writer="api-0", at=at)])
    writer.close()
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    log.close()


def _writer_added(directory: Path, _other: Path) -> None:
    write_entries(directory, "main", 1, at=1_700_000_300_000_000)
    log = TreeLog(directory, ORIGIN)
    log.gather(is_last=True)
    log.close()
    write_entries(directory, "api-9", 3, at=1_700_000_000_000_000)


def _forged_torn(directory: Path, _other: Path) -> None:
    (directory / "wal" / "main" / "00000001.torn").write_bytes(b"what was never there")


CASES = {
    # Segments
    "bit flip in a header": Case(_flip("wal/main/00000002.wal", 40), "main, segment 00000002, offset 0: the header does not"),
    "bit flip in a length": Case(_flip("wal/main/00000002.wal", 130), "main, segment 00000002, offset 128, entry 4"),
    "bit flip in a group": Case(_flip("wal/main/00000002.wal", 139), "segment 00000002, offset 128, entry 4: .*hash chain"),
    "bit flip in a payload": Case(_flip("wal/main/00000002.wal", 150), "segment 00000002, offset 128, entry 4: .*hash chain"),
    "bit flip in a chain value": Case(_edit(lambda frames: frames.__setitem__(5, frames[5][:-1] + b"x")),
                                      "segment 00000002, offset [0-9]+, entry 9: .*hash chain"),
    "bit flip in the last entry": Case(_flip("wal/main/00000002.wal", -50), "entry 303: .*hash chain"),
    "entry deleted": Case(_edit(lambda frames: frames.pop(7)), "entry 11: .*hash chain"),
    "entry inserted": Case(_edit(lambda frames: frames.insert(7, frames[7])), "entry 12: .*hash chain"),
    "entries reordered": Case(_edit(lambda frames: frames.insert(7, frames.pop(8))), "entry 11: .*hash chain"),
    "entry changed, chain made to fit": Case(_chained_anew, "make another tree|is not what the entries make"),
    "cut off within an entry": Case(lambda d, _: _segment(d, 1, "api-0").write_bytes(_segment(d, 1, "api-0").read_bytes()[:-40]),
                                    "api-0, segment 00000001, .*ends within an entry"),
    "end of a writer's log cut off": Case(_older_segment, "main, segment 00000002, .*, entry 204: .*not in the log any more"),
    "segment removed": Case(lambda d, _: _segment(d, 2, "api-0").unlink(), "api-0, segment 00000003, .*00000002 is missing"),
    "last segment removed": Case(lambda d, _: _segment(d).unlink(), "main, segment 00000002: the segment is not there"),
    "segments swapped": Case(_swap_segments, "api-0, segment 00000001, .*belongs to segment 00000002"),
    "segment of another host": Case(_from_other("wal/main/00000002.wal"), "main, segment 00000002, .*hash chain of the segment before"),
    "first segment of another host": Case(_from_other("wal/main/00000001.wal"), "main, segment 00000002, .*hash chain of the segment before"),
    "writer removed": Case(lambda d, _: shutil.rmtree(d / "wal" / "api-0"), "api-0, segment 00000001: the segment is not there"),
    "writers swapped": Case(_swap_writers, "api-0, segment 00000001, .*belongs to writer main"),
    "writer added with old entries": Case(_writer_added, warning="writer api-9, entry 1: .*in the tree"),
    "bytes behind the end": Case(lambda d, _: _segment(d).write_bytes(_segment(d).read_bytes() + b"more"),
                                 warning="main, segment 00000002, .*torn tail: 4 bytes"),
    "cut forged": Case(_forged_torn, warning="main, segment 00000001: 20 bytes were cut off .*no entry tells"),
    # The tree
    "bit flip in a full tile": Case(_flip("tree/tile/0/000", 40), "tile/0/000 is not what"),
    "bit flip in the last tile": Case(_flip("tree/tile/0/001.part", 4), "tile/0/001.p/54 is not what"),
    "bit flip in a run": Case(_flip("tree/runs/main", 4), "main: a record of the tree's runs"),
    "bit flip in the position": Case(_flip("tree/position", 4), "position of the tree does not match"),
    "position of another host": Case(_from_other("tree/position"), "another tree|not what the entries make"),
    "log and tree of an earlier day": Case(_tree_cut_back, "a checkpoint covers 310 entries, and the tree has 9"),
    # Checkpoints
    "bit flip in a checkpoint's origin": Case(_flip(CHECKPOINTS, 3), "checkpoint of 5 entries .* is bad: .*another log"),
    "bit flip in a checkpoint's size": Case(_replace_in(CHECKPOINTS, "\n9\n", "\n8\n"), "checkpoint of 8 entries .* is bad"),
    "bit flip in a checkpoint's root": Case(_replace_in(CHECKPOINTS, "\n5\n..", "\n5\nAA"), "checkpoint of 5 entries .* is bad: .*another tree"),
    "bit flip in a signature": Case(_replace_in(CHECKPOINTS, "(host CidMF.......)....", r"\1AAAA"), "checkpoint of 5 entries .* is bad: .*does not verify"),
    "cosignature removed": Case(_replace_in(CHECKPOINTS, "(host CidMF[^\n]*\n)[^\n]*\n", r"\1"), warning="checkpoint of 5 entries .* has no cosignature"),
    "last checkpoint made unreadable": Case(_flip(CHECKPOINTS, -30, 0x80), warning="00000001.checkpoints, from byte [0-9]+ on, are no checkpoint"),
    "old checkpoint replayed": Case(_replayed, "checkpoint of 5 entries .* is bad: it is of a smaller tree"),
    "checkpoint of another key under the same name": Case(_signed_by_forger, "checkpoint of 312 entries .* is bad: only the cosigner signed it"),
    "checkpoint signed by the cosigner alone": Case(_only_cosigned, "checkpoint of 312 entries .* is bad: only the cosigner signed it"),
    "last checkpoints removed": Case(_checkpoints_removed, warning="api-0, entry 8: at the end of the tree, entries of 120 s .* under no checkpoint"),
    "checkpoint key replaced in the keys file": Case(_replace_in("checkpoints/keys", "[^\n]*\n", ""), warning=f"the key {KEY.key_id.hex()} does not stand beside"),
    "bit flip in the keys file": Case(_flip("checkpoints/keys", 40), "the keys of the checkpoints cannot be read"),
    "bit flip in the log's name": Case(_flip("checkpoints/origin", 2), "checkpoint of 5 entries .* is bad: it is of another log"),
    # All of it
    "everything written anew, old checkpoints kept": Case(lambda d, _: _rewritten(d), "checkpoint of 5 entries .* is bad: .*another tree"),
    "everything written anew, checkpoints of another key": Case(_with_checkpoints_of_forger, "checkpoint of 5 entries .* is bad: only the cosigner signed it"),
    "everything of another host": Case(lambda d, o: (shutil.rmtree(d), shutil.copytree(o, d)), "checkpoint of 5 entries .* is bad"),
    # Clocks
    "clock set back": Case(_late_entries(1_699_999_000), warning="main, entry 304: it says that it is over 60 s older than a checkpoint"),
    "clock set ahead": Case(_late_entries(1_700_003_600), warning="main, entry 304: it says that it is 3540 s later than the checkpoint"),
}  # fmt: skip
