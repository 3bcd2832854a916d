"""Tokens of five kinds, each open in a process of its own."""

from typing import Any, NamedTuple

import pytest

from strongroom.core import RootId
from tokens.capabilities import KINDS, profile_of
from tokens.nss import new_nss
from tokens.opencryptoki import opencryptoki_tokens
from tokens.p11kit import p11kit_softhsm
from tokens.remote_token import TokenProcess
from tokens.softhsm import new_softhsm, shimmed_softhsm


class TokenSubject(NamedTuple):
    """A token under test."""

    kind: str
    process: TokenProcess
    root_id: RootId

    @property
    def token(self) -> Any:
        return self.process.token

    @property
    def module(self) -> Any:
        return self.process.module

    def slot(self) -> int:
        slots = self.module.slots()
        return next(
            slot for slot in slots if self.module.token_info(slot).label == self.process.started.label
        )

    def raw_session(self) -> int:
        return int(self.module.open_session(self.slot()))


@pytest.fixture(scope="session")
def softhsm_token(tmp_path_factory):
    return new_softhsm(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture(scope="session")
def shim_token(tmp_path_factory):
    with shimmed_softhsm(tmp_path_factory.mktemp("shimmed")) as (started, _):
        yield started


@pytest.fixture(scope="session")
def nss_token(tmp_path_factory):
    return new_nss(tmp_path_factory.mktemp("nss"), profile_of("nss"))


@pytest.fixture(scope="session")
def opencryptoki_token(tmp_path_factory):
    with opencryptoki_tokens(tmp_path_factory.mktemp("ock"), profile_of("opencryptoki")) as (started,):
        yield started


@pytest.fixture(scope="session")
def p11kit_token(tmp_path_factory):
    with p11kit_softhsm(tmp_path_factory.mktemp("p11kit"), profile_of("p11-kit")) as (started, _):
        yield started


@pytest.fixture(scope="session")
def open_tokens():
    """Processes that are open already, by kind."""
    opened: dict[str, TokenSubject] = {}
    yield opened
    for subject in opened.values():
        subject.process.close()


@pytest.fixture(params=list(KINDS))
def subject(request, open_tokens):
    kind = request.param
    if kind not in open_tokens:
        started = request.getfixturevalue(f"{kind.replace('-', '')}_token")
        process = TokenProcess(started)
        try:
            process.load()
            process.open()
            process.token.generate_root(RootId(b"the root's name."), "root")
        except BaseException:
            process.close()
            raise
        open_tokens[kind] = TokenSubject(kind, process, RootId(b"the root's name."))
    return open_tokens[kind]
