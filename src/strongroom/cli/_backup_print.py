"""``strongroom backup print``: the manifest of a bundle as a page for a folder of paper."""

from pathlib import Path

import click

from strongroom.cli._backup_verify import set_of
from strongroom.cli._officer_files import write_new
from strongroom.cli._output import Output, visible
from strongroom.cli._reporting import reporting
from strongroom.client import require_free
from strongroom.wiring.backup_verification import verify_closed


@click.command("print")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    required=True,
    help="Where the files go: BACKUP-ID.pdf and BACKUP-ID.html, which must not be there yet.",
)
@click.option(
    "--set",
    "set_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The document of its backup set, as the ceremony wrote it; else the one in the database of the home.",
)
@click.option("--rehearsal", "is_rehearsal", is_flag=True, help="Print REHEARSAL across every page.")
@reporting
def print_manifest(
    output: Output, *, bundle: Path, folder: Path, set_file: Path | None, is_rehearsal: bool
) -> None:
    """Verify BUNDLE from outside and make PDF and HTML of its manifest: keys, what is not in it, snapshot, custodians.

    Nothing secret is in it, and no share is needed.
    """
    from strongroom.paper import backup_html, backup_pdf
    from strongroom.wiring.backup_pages import backup_page
    from strongroom.wiring.printing_fonts import printing_fonts

    with bundle.open("rb") as file:
        backup_set = set_of(file, set_file)
        closed = verify_closed(file, backup_set)
    page = backup_page(closed, backup_set, name=bundle.name, is_rehearsal=is_rehearsal)
    made = {
        folder / f"{page.backup_id}.pdf": backup_pdf(page, printing_fonts()),
        folder / f"{page.backup_id}.html": backup_html(page),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for path in made:
        require_free(path, overwrite=False)
    for path, content in made.items():
        write_new(path, content, mode=0o644)
    output.document(
        {"backup_id": page.backup_id, "sha256": closed.sha256, "files": [str(path) for path in made]}
    )
    output.say(*(visible(str(path)) for path in made))
