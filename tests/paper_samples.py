"""Samples of everything that is printed, with names that are ordinary and names that are hostile."""

import hashlib

import msgspec

from strongroom.custody import spoken
from strongroom.paper import (
    AuditedFile,
    AuditorPage,
    BackedUpKey,
    BackupPage,
    LossCustodian,
    LossLocation,
    LossReport,
    LossSet,
    PrintedHash,
    PrintedTranscript,
    ShareSheet,
)

SET_ID = "5f0c2b9a7d3e4f6081a2b3c4d5e6f708"
CEREMONY = "0b1c2d3e4f5061728394a5b6c7d8e9fa"

# A share of the test vectors that SLIP-39 publishes (its 256-bit secret, 1 of 1): 33 words, and no secret of anybody.
WORDS = (
    "theory",
    "painting",
    "academic",
    "academic",
    "armed",
    "sweater",
    "year",
    "military",
    "elder",
    "discuss",
    "acne",
    "wildlife",
    "boring",
    "employer",
    "fused",
    "large",
    "satoshi",
    "bundle",
    "carbon",
    "diagnose",
    "anatomy",
    "hamster",
    "leaves",
    "tracks",
    "paces",
    "beyond",
    "phantom",
    "capital",
    "marvel",
    "lips",
    "brave",
    "detect",
    "luck",
)

HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(2)> &lt;b&gt; {{ 7*7 }} {% raw %} </title></style>",
    "reportlab markup": "<para><font color='[[[getattr(pow,Word)]]]'>x</font></para> <img src='file:///etc/passwd'/>",
    "long word": "Supercalifragilistic" * 10,
    "long name": "Wolfeschlegelsteinhausenbergerdorff von und zu " * 4,
    "right to left": "דוד בן־גוריון and محمد بن سلمان",
    "overriding": "Alice \u202egpj.exe\u202c Bob\u2066\u2069\u200b\u00ad\ufeff",
    "Chinese": "王小明 (山田太郎, 김철수)",
    "marks": "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034dalgo, e\u0301",
    "controls": "a\x00b\x07c\x1b[31md\re\tf\u2028g\x85h",
    "lone half": "x\ud800y",
    "emoji": "😀 and 👩‍👩‍👧",
    "blank": "\u3164\u2800\u00a0\u3000",
    "brackets": "«U+0041» {\\rtf} (unbalanced \\( PDF ) endstream endobj %%EOF",
}


def hashed(text: str) -> PrintedHash:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return PrintedHash(hex=digest, words=spoken(digest))


def view(
    *, is_rehearsal: bool = True, name: str = "Ada Example", note: str = "The lamp failed; it was replaced."
) -> dict[str, object]:
    """A transcript as the ceremony room gives it, with ``name`` and ``note`` wherever somebody may have typed them."""
    people = [
        ("ada", name, "ceremony administrator", "AE"),
        ("grace", "Grace Sample", "crypto officer", "GS"),
        ("edsger", "Edsger Muster", "custodian", "EM"),
        ("barbara", "Barbara Beispiel", "internal witness", "BB"),
        ("tony", "Tony Tester", "external witness", "TT"),
    ]
    confirmations = [
        {"name": one[1], "role": one[2], "initials": one[3], "at": "2026-11-22 14:12:40"}
        for one in (people[0], people[3], people[4])
    ]
    return {
        "title": "Root key of the example cluster",
        "type": "root-key",
        "ceremony": CEREMONY,
        "script": "root-key-2026",
        "is_rehearsal": is_rehearsal,
        "state": "complete",
        "begun": "2026-11-22 14:05:09",
        "ended": "2026-11-22 16:31:55",
        "reason": "",
        "script_hash": _plain(hashed("script")),
        "transcript_hash": _plain(hashed("transcript")),
        "previous_hash": _plain(hashed("before")),
        "software": [("version", "0.1.0"), ("sha256", hashed("software").hex), ("files", "512"), ("python", "CPython 3.11.2")],
        "participants": [
            {
                "id": one[0], "name": one[1], "role": one[2], "organisation": "Example Ltd", "location": "Zürich",
                "key": "SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s", "initials": one[3],
            }
            for one in people
        ],
        "steps": [_step(at, action, people, confirmations, note) for at, action in enumerate(_ACTIONS, 1)],
        "events": [_note("deviation", name, note), _note("interruption", "", "The power was cut.")],
        "audit_checkpoint": [("origin", "strongroom/main"), ("size", "1842"), ("root", hashed("root").hex)],
        "signatures": [
            {
                "name": one[1], "role": one[2], "organisation": "Example Ltd",
                "key": "SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s", "state": state,
            }
            for one, state in ((people[3], "signed"), (people[4], "not signed"))
        ],
        "witnesses_needed": 2,
    }  # fmt: skip


_ACTIONS = (
    "attend",
    "check-software",
    "check-members",
    "bag-in",
    "initialise",
    "make-backup-set",
    "witness-signatures",
)


def _plain(one: PrintedHash) -> dict[str, object]:
    return {"hex": one.hex, "words": list(one.words)}


def _note(kind: str, who: str, text: str) -> dict[str, object]:
    return {"at": "2026-11-22 14:20:00", "kind": kind, "who": who, "text": text, "facts": []}


def _step(at: int, action: str, people: list, confirmations: list, note: str) -> dict[str, object]:
    facts: list[tuple[str, str]] = []
    if action == "check-members":
        for member in ("alpha", "beta"):
            facts += [
                (f"members / {member} / serial", f"7d3e4f60{member}"),
                (f"members / {member} / firmware", "7.8.4"),
                (f"members / {member} / fips", "yes"),
                (f"members / {member} / keys / root-1 / cka-id", "53524d310001"),
                (
                    f"members / {member} / keys / root-1 / attributes",
                    "SENSITIVE, not EXTRACTABLE, ALWAYS_SENSITIVE, LOCAL",
                ),
                (f"members / {member} / keys / root-1 / kcv", "CMAC-5 1f2e3d4c5b"),
                (f"members / {member} / keys / signing / public-key-sha256", hashed(member).hex),
            ]
    if action == "bag-in":
        facts = [
            ("bags / 1 / contents", "the sheet of share 1"),
            ("bags / 1 / number", "TEB-0042137"),
            ("bags / 2 / number", note[:60]),
        ]
    return {
        "number": at, "id": f"{action}-{at}", "action": action, "who": people[0][1], "role": people[0][2],
        "say": f"We now do {action}.\nPlease say so if you see anything else." if at != 4 else note,
        "expect": "Both members show the same key check value." if action == "check-members" else "",
        "state": "done", "begun": "2026-11-22 14:10:00", "done": "2026-11-22 14:12:40", "is_found": at == 5,
        "facts": facts,
        "artefacts": [("set.json", hashed("set").hex, ""), ("backup.bundle", hashed("bundle").hex, "the vault")] if action == "make-backup-set" else [],
        "deviations": [note] if at == 4 else [],
        "notes": [_note("note", people[2][1], "Custodian 1 has their share."), _note("resumed", "", "It went on.")] if action == "make-backup-set" else [],
        "confirmations": confirmations if action != "witness-signatures" else [],
    }  # fmt: skip


def transcript(**how: object) -> PrintedTranscript:
    return of_view(view(**how))


def of_view(view: dict[str, object]) -> PrintedTranscript:
    """Return the form of a transcript, with the words of the hashes among its facts."""
    words = {value: spoken(value) for value in _hashes(view)}
    return msgspec.convert({**view, "spoken": words}, PrintedTranscript)


def _hashes(view: dict[str, object]) -> list[str]:
    """Every hash among the facts, wherever they stand."""
    found = []
    for name, value in view.items():
        if name in {"facts", "software", "audit_checkpoint"}:
            found += [fact for _, fact in value if len(fact) == 64 and not fact.strip("0123456789abcdef")]
        elif name in {"steps", "notes", "events"}:
            found += [one for inner in value for one in _hashes(inner)]
    return found


def share_sheet(
    *,
    is_rehearsal: bool = False,
    name: str = "Edsger Muster",
    location: str = "Safe 2, Bahnhofstrasse 1, Zürich",
) -> ShareSheet:
    return ShareSheet(
        organisation="Example Ltd, cluster main", set_id=SET_ID, slip39_identifier=29172, share_number=2, count=5, threshold=3,
        custodian=name, location=location, ceremony=CEREMONY, made_at="2026-11-22 14:52", words=WORDS, is_rehearsal=is_rehearsal,
    )  # fmt: skip


def auditor_page(*, is_rehearsal: bool = False, name: str = "Root key of the example cluster") -> AuditorPage:
    files = [
        ("transcript.jsonl", "the transcript, one JSON object on each line"), ("script.yaml", "the script, agreed before"),
        ("barbara.sig", "signature of a witness"), ("tony.sig", "signature of a witness"), ("artefacts/set.json", "the backup set"),
        ("transcript.pdf", "this transcript, printed"),
    ]  # fmt: skip
    return AuditorPage(
        title=name, type="root-key", ceremony=CEREMONY, is_rehearsal=is_rehearsal, state="complete", ended="2026-11-22 16:31:55",
        script_hash=hashed("script"), transcript_hash=hashed("transcript"),
        files=tuple(AuditedFile(name=one, sha256=hashed(one).hex, what=what) for one, what in files),
        commands=("strongroom ceremony verify ceremony-0b1c2d3e", "sha256sum -c SHA256SUMS"),
        checked=("Every entry of the transcript follows the one before it.", "Two witnesses signed it with the keys that are named in the script."),
        unchecked=("Whether the people were there.", "Whether an HSM told the truth about itself."),
    )  # fmt: skip


def loss_report(
    *, is_rehearsal: bool = False, name: str = "Edsger Muster", location: str = "Zürich"
) -> LossReport:
    custodians = tuple(
        LossCustodian(
            name=name if at == 1 else f"Custodian {at}", location=location if at < 3 else "Bern", share_number=at, delivery="paper",
            state="left" if at == 5 else "holding", acknowledged="2026-01-05", proved="2026-10-30" if at < 5 else "", is_counted=at < 5,
        )
        for at in range(1, 6)
    )  # fmt: skip
    one = LossSet(
        set_id=SET_ID, state="active", made_at="2026-01-05 10:00", threshold=3, count=5, counted=4, can_lose_people=1,
        can_lose_locations=0, custodians=custodians,
        locations=(LossLocation(name=location, counted=2, is_survivable=False), LossLocation(name="Bern", counted=2, is_survivable=False)),
        backups=(("b1 / made", "2026-11-01 02:00"), ("b1 / kept", "s3://backups/b1")),
    )  # fmt: skip
    return LossReport(
        cluster="main", at="2026-11-22 14:05", proof_period_days=90, is_rehearsal=is_rehearsal,
        alarms=("Fewer custodians than threshold and one can be counted on.",), sets=(one,),
        notes=("Three old shares with an old bundle still open the roots of 2025 until they are rotated.",),
    )  # fmt: skip


def backup_page(*, is_rehearsal: bool = False, name: str = "Edsger Muster") -> BackupPage:
    return BackupPage(
        backup_id="a0b1c2d3e4f5061728394a5b6c7d8e9f", set_id=SET_ID, threshold=3, count=5, cluster="main", member="alpha", mechanism="CKM 0x210B",
        made_at="2026-11-22 02:00:11", origin="hsm", is_rehearsal=is_rehearsal, bundle_name="main-2026-11-22.bundle", bundle_size=1_482_223,
        bundle_hash=hashed("bundle"), signing_key=hashed("key"), software=(("version", "0.1.0"),),
        snapshot=(("size", "1,204,224 bytes"), ("sha256", hashed("snapshot").hex), ("keys", "312")),
        keys=(
            BackedUpKey(id="root-1", what="root KEK, AES-256", kcv="1f2e3d4c5b"),
            BackedUpKey(id="53524d310001aabb", what="Direct key, ECC_NIST_P256", kcv=""),
        ),
        left_out=(BackedUpKey(id="signing", what="ECC_NIST_P256: may not leave its member"),),
        members=(("alpha", "luna, serial 0815, label root-a"),),
        custodians=((name, "Zürich"), ("Grace Sample", "Bern")),
    )  # fmt: skip
