"""Principals by the names that policies have for them: ARNs of IAM (https://docs.aws.amazon.com/IAM, "IAM ARNs")."""

import re
from functools import lru_cache
from typing import Final

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_PRINCIPAL: Final = re.compile(
    r"arn:aws:(?:iam|sts)::([0-9]{12}):((?:user|role|assumed-role|federated-user)/[\w+=,.@/-]{1,512})"
)
_ROOT: Final = re.compile(r"arn:aws:iam::([0-9]{12}):root")


@lru_cache(maxsize=4_096)
def principal_arn(account_id: str, principal: str) -> str:
    """Return the ARN of a principal such as ``user/payments``."""
    return f"arn:aws:iam::{account_id}:{principal}"


def account_of_root(text: str) -> str | None:
    """Return the account that a principal of a policy stands for as a whole; None when it is one principal's ARN."""
    if _ACCOUNT.fullmatch(text):
        return text
    found = _ROOT.fullmatch(text)
    return found[1] if found else None


def is_principal_arn(text: str) -> bool:
    """Whether this is the ARN of one principal; whether there is such a one is not looked at."""
    return text.isascii() and _PRINCIPAL.fullmatch(text) is not None
