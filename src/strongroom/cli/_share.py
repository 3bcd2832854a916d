"""``strongroom share``: what a custodian does on their own machine: open, check and prove the share that they hold."""

import base64
from pathlib import Path
from typing import Any

import click

from strongroom.cli._errors import NotDoneError
from strongroom.cli._output import Output
from strongroom.cli._reporting import reporting
from strongroom.cli._share_answer import answer_file
from strongroom.cli._share_source import HeldShare, ShareSource, bytes_of, held_share, share_options
from strongroom.shares import (
    MAX_CHALLENGE_BYTES,
    MIN_CHALLENGE_BYTES,
    possession_public_key,
    prove_possession,
)


@click.group
def share() -> None:
    """For custodians, on a machine of their own, without the service: open, check and prove a share."""


@share.command
@share_options
@reporting
def check(output: Output, **options: Any) -> None:
    """Check that a share is whole, and tell which one it is. No word of it is shown.

    FILE holds the share encrypted by age (with --key), or its words; - is standard input. Without FILE and --card the words are
    asked for, and not shown.
    """
    held = held_share(ShareSource.taken_from(options))
    output.document(_described(held))
    output.say(f"The share is whole: {len(held.share.words)} words, the checksum is right.", *_told(held))


@share.command("open")
@share_options
@reporting
def open_(output: Output, **options: Any) -> None:
    """Open a share that came by age, or is on your card, and print its words. Nobody else should see the screen.

    For an SSH key under a passphrase take age itself: age -d -i KEY FILE.
    """
    source = ShareSource.taken_from(options)
    if source.card is None and source.key is None:
        raise NotDoneError(
            "it is not said what opens the share",
            next_step="name your key (--key PATH) or your card (--card URI)",
        )
    held = held_share(source)
    words = held.share.words
    output.document({**_described(held), "word_list": list(words)})
    width = max(map(len, words))
    rows = [words[at : at + 4] for at in range(0, len(words), 4)]
    output.say(*_told(held), "")
    for at, row in enumerate(rows):
        numbered = (f"{4 * at + place:2} {word.ljust(width)}" for place, word in enumerate(row, start=1))
        output.say("  ".join(numbered).rstrip())


@share.command
@share_options
@click.option("--challenge", metavar="HEX", help="What is to be answered: 32 to 2,048 hex digits.")
@click.option(
    "--challenge-file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The challenge that you were sent: what 'custodians challenge' wrote.",
)
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Of a challenge from a file: where the proof goes, instead of ID.proof beside it.",
)
@reporting
def prove(
    output: Output, *, challenge: str | None, challenge_file: Path | None, target: Path | None, **options: Any
) -> None:
    """Answer a challenge with your share, offline: prove that you hold it. The proof tells nothing of the share.

    The share comes from where 'share check' takes it. A challenge in hex needs --set where the share does not say its set, and its
    proof is printed; that of a challenge from a file is written to a file, to be sent back.
    """
    source = ShareSource.taken_from(options)
    if (challenge is None) is (challenge_file is None):
        raise click.UsageError("name the challenge: --challenge-file PATH, or --challenge HEX")
    if challenge_file is not None:
        answer_file(output, challenge_file, source, target)
        return
    asked = bytes_of(challenge or "", "a challenge", MIN_CHALLENGE_BYTES, MAX_CHALLENGE_BYTES)
    held = held_share(source)
    if held.set_id is None:
        raise NotDoneError("it is not said of which set the share is", next_step="name the set: --set ID")
    proof = base64.b64encode(prove_possession(held.share, held.set_id, asked)).decode()
    output.document({"set": held.set_id.hex(), "share": held.share.index, "proof": proof})
    output.say(proof)


def _described(held: HeldShare) -> dict[str, object]:
    share, set_id = held.share, held.set_id
    return {
        "set": None if set_id is None else set_id.hex(),
        "slip39_identifier": share.set_identifier,
        "share": share.index,
        "threshold": share.threshold,
        "count": held.count,
        "group": share.group_index,
        "group_threshold": share.group_threshold,
        "group_count": share.group_count,
        "words": len(share.words),
        "possession_key": None if set_id is None else possession_public_key(share, set_id).hex(),
    }


def _told(held: HeldShare) -> list[str]:
    share = held.share
    of = f" of {held.count}" if held.count is not None else ""
    group = f" in group {share.group_index} of {share.group_count}" if share.group_count > 1 else ""
    lines = [f"Share:       {share.index}{of}{group}", f"Needed:      {share.threshold} such shares{group}"]
    if share.group_count > 1:
        lines.append(f"Groups:      {share.group_threshold} are needed")
    lines.append(f"Identifier:  {share.set_identifier} (all shares of its set have it)")
    if held.set_id is not None:
        lines.append(f"Set:         {held.set_id.hex()}")
        lines.append(f"Proof key:   {possession_public_key(share, held.set_id).hex()}")
    return lines
