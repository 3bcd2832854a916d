"""The page for an auditor, the loss report and the manifest of a backup, as documents."""

from strongroom.paper._blocks import (
    Block,
    Bullets,
    Cell,
    Document,
    FactRow,
    FactTable,
    Heading,
    Paragraph,
    Table,
)
from strongroom.paper._forms import AuditorPage, BackedUpKey, BackupPage, LossReport, LossSet
from strongroom.paper._transcript import fact_table, hash_row


def auditor_document(page: AuditorPage) -> Document:
    """Return what an auditor gets, on one page unless there are many files."""
    files = tuple(
        (Cell(file.name, "code"), Cell(file.what), Cell(file.sha256, "code")) for file in page.files
    )
    return Document(
        kind="What an auditor gets",
        title=page.title,
        subtitle=f"What an auditor gets of this ceremony ({page.type})",
        running=page.ceremony,
        footer=(f"Transcript SHA-256 {page.transcript_hash.hex}",),
        is_rehearsal=page.is_rehearsal,
        blocks=(
            FactTable(
                (
                    FactRow(
                        "state",
                        f"{page.state}{', ' if page.ended else ''}{page.ended}{' (UTC)' if page.ended else ''}",
                    ),
                    hash_row("script, SHA-256", page.script_hash),
                    hash_row("transcript, SHA-256", page.transcript_hash),
                )
            ),
            Heading("Files"),
            Table(("File", "What it is", "SHA-256"), (25, 30, 45), files),
            Heading("How to check them"),
            Paragraph("On any computer with this software, without the service, its HSMs or a network:"),
            Bullets(page.commands, "code"),
            Heading("What is proved by that"),
            Bullets(page.checked),
            Heading("What nobody can check from these files"),
            Bullets(page.unchecked),
        ),
        is_compact=True,
    )


def loss_document(report: LossReport) -> Document:
    """Return who can be lost: people and places."""
    blocks: list[Block] = [Paragraph(alarm, "warning", "Alarm") for alarm in report.alarms]
    if not report.alarms:
        blocks.append(Paragraph("No alarm."))
    if not report.sets:
        blocks.append(
            Paragraph("There is no backup set: if the HSMs are lost, the root keys are lost.", "warning")
        )
    for one in report.sets:
        blocks += _loss_of(one, report.proof_period_days)
    if report.notes:
        blocks += [Heading("To know"), Bullets(report.notes)]
    return Document(
        kind="Loss report",
        title="Who can be lost",
        subtitle=f"Custodians and places of the backup sets of {report.cluster}",
        running=f"{report.at} UTC",
        footer=("It counts custodians who hold a share and proved it within the period.",),
        is_rehearsal=report.is_rehearsal,
        blocks=tuple(blocks),
    )


def _loss_of(one: LossSet, days: int) -> list[Block]:
    people = tuple(
        (
            Cell(str(custodian.share_number)),
            Cell(custodian.name),
            Cell(custodian.location or "not said"),
            Cell(custodian.delivery),
            Cell(custodian.acknowledged or "never"),
            Cell(custodian.proved or "never"),
            Cell(
                custodian.state if custodian.is_counted or custodian.state != "holding" else "no proof",
                "strong",
            ),
        )
        for custodian in one.custodians
    )
    places = tuple(
        (
            Cell(place.name or "not said"),
            Cell(str(place.counted)),
            Cell("yes" if place.is_survivable else "NO: the backups cannot be opened", "strong"),
        )
        for place in one.locations
    )
    blocks: list[Block] = [
        Heading(f"Backup set {one.set_id}", note=one.state),
        Paragraph(f"{one.threshold} of {one.count} shares open it. Made {one.made_at} (UTC).", "small"),
        Paragraph(_verdict(one), "strong" if one.can_lose_people > 0 else "warning"),
        Paragraph(f"Proofs older than {days} days do not count.", "small"),
        Table(
            ("Share", "Custodian", "Location", "Kept as", "Duty signed", "Last proof", "State"),
            (8, 24, 20, 10, 14, 14, 13),
            people,
        ),
        Table(("Location", "Can be counted on", "Can be lost as a whole"), (46, 20, 34), places),
    ]
    if one.backups:
        blocks += [Paragraph("Backups that it opens:", "strong"), fact_table(one.backups)]
    return blocks


def _verdict(one: LossSet) -> str:
    if one.can_lose_people < 0:
        return f"Only {one.counted} can be counted on, and {one.threshold} are needed: the backups of this set may be lost already."
    return (
        f"{one.counted} can be counted on. We can lose {_some(one.can_lose_people, 'custodian', 'custodians')}; "
        f"we can lose {_some(max(one.can_lose_locations, 0), 'whole location', 'whole locations')}."
    )


def _some(count: int, one: str, many: str) -> str:
    return f"no {one}" if count == 0 else f"any {count} {one if count == 1 else many}"


def _key_table(keys: tuple[BackedUpKey, ...]) -> Table:
    rows = tuple((Cell(key.id, "code"), Cell(key.what), Cell(key.kcv or "none", "code")) for key in keys)
    return Table(("Key", "What it is", "KCV"), (42, 34, 24), rows)


def backup_document(page: BackupPage) -> Document:
    """Return the manifest of a backup."""
    return Document(
        kind="Backup manifest",
        title=f"Backup of cluster {page.cluster}" if page.cluster else "Backup of a cluster without officers",
        subtitle="The manifest of a backup bundle",
        running=page.backup_id,
        footer=(f"Bundle SHA-256 {page.bundle_hash.hex}",),
        is_rehearsal=page.is_rehearsal,
        blocks=(*_backup_itself(page), *_backup_surroundings(page)),
    )


def _backup_itself(page: BackupPage) -> list[Block]:
    """What it is, and which keys are in it."""
    facts = (
        FactRow("backup", page.backup_id),
        FactRow("cluster", page.cluster or "without officers, so without an id"),
        FactRow("wrapped by member", page.member),
        FactRow("wrapped by mechanism", page.mechanism),
        FactRow("made (UTC)", page.made_at),
        FactRow("roots come from", "HSMs" if page.origin == "hsm" else page.origin),
        FactRow("file", page.bundle_name),
        FactRow("size", f"{page.bundle_size:,} bytes"),
        hash_row("file, SHA-256", page.bundle_hash),
        hash_row("signed by key, SHA-256", page.signing_key),
    )
    blocks: list[Block] = [
        FactTable(facts),
        Paragraph(
            f"{page.threshold} of the {page.count} shares of set {page.set_id} open it. It holds no share.",
            "strong",
        ),
        Heading("Keys"),
        _key_table(page.keys),
    ]
    if page.left_out:
        rows = tuple((Cell(key.id, "code"), Cell(key.what)) for key in page.left_out)
        blocks += [
            Heading("NOT in it"),
            Paragraph("What needs these keys cannot be done any more once the members are lost.", "warning"),
            Table(("Key", "What it is, and why"), (40, 60), rows),
        ]
    return [*blocks, Heading("Snapshot of the key store"), fact_table(page.snapshot)]


def _backup_surroundings(page: BackupPage) -> list[Block]:
    """Who holds what, and by what it was made."""
    blocks: list[Block] = []
    if page.members:
        rows = tuple((Cell(name), Cell(words)) for name, words in page.members)
        blocks += [
            Heading("Members of the cluster at the time"),
            Table(("Member", "What it is"), (30, 70), rows),
        ]
    if page.custodians:
        people = tuple(
            (Cell(str(at)), Cell(name), Cell(place or "not said"))
            for at, (name, place) in enumerate(page.custodians, 1)
        )
        blocks += [Heading("Custodians"), Table(("Share", "Name", "Location"), (10, 45, 45), people)]
    if page.software:
        blocks += [Heading("Software"), fact_table(page.software)]
    if page.facts:
        blocks += [Heading("What else the manifest says"), fact_table(page.facts)]
    return blocks
