"""Many uses of keys in one session, one after the other: ``Token.batch``.

What goes well takes the shortest way: no look at the session, no recovery, and for unwrapping the same C structures
all along. Whatever does not is done once more by the verb itself, which knows what the failure means, heals the
token and tells whose fault it is; then the batch goes on. So a bad item costs the others nothing but time, and only
what was not done is done again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from strongroom.core import (
    BatchAnswer,
    BatchDecrypt,
    BatchEncrypt,
    BatchItem,
    BatchMac,
    BatchSign,
    BatchUnwrap,
    BatchWrap,
    Clock,
    HsmError,
    HsmRequestError,
    MemberBusyError,
    RootId,
    Secret,
    WrappedBytes,
)
from strongroom.hsm.cryptoki import CryptokiError
from strongroom.hsm.token._direct import DirectVerbs
from strongroom.hsm.token._use import UseVerbs
from strongroom.hsm.token._work import Work, Workshop
from strongroom.hsm.token._wrapping import UnexplainedError


class BatchVerbs:
    """What the items of a batch mean. Safe to use from any thread."""

    def __init__(self, use: UseVerbs, direct: DirectVerbs, workshop: Workshop, *, clock: Clock) -> None:
        self.use = use
        self.workshop = workshop
        self.clock = clock
        self.works: Mapping[type, Callable[..., Work[Any]]] = {
            BatchWrap: use.wrap_work,
            BatchUnwrap: use.unwrap_work,
            BatchSign: direct.sign_work,
            BatchMac: direct.mac_work,
            BatchEncrypt: direct.encrypt_work,
            BatchDecrypt: direct.decrypt_work,
        }
        """By the kind of an item: checks it and returns what is done in a session."""
        self.verbs: Mapping[type, Callable[..., BatchAnswer]] = {
            BatchWrap: use.wrap,
            BatchUnwrap: use.unwrap,
            BatchSign: direct.sign,
            BatchMac: direct.mac,
            BatchEncrypt: direct.encrypt,
            BatchDecrypt: direct.decrypt,
        }
        """By the kind of an item: the verb by itself."""


class TokenBatch:
    """One batch, done in slices. For one thread at a time; ``answers`` may be read by others meanwhile."""

    def __init__(self, items: Sequence[BatchItem], verbs: BatchVerbs) -> None:
        self.answers: list[BatchAnswer] = []
        """Of the first items, in their order: a value each, or what the verb would have raised."""
        self._items = items
        self._verbs = verbs
        self._ends_at = 0.0
        self._is_at_work = False

    @property
    def is_done(self) -> bool:
        """Whether every item has its answer."""
        return len(self.answers) == len(self._items)

    def advance(self, slice_s: float) -> None:
        """Go on in one session for so long, or to the end; at least one more item gets its answer."""
        workshop, clock = self._verbs.workshop, self._verbs.clock
        self._ends_at = clock.monotonic() + slice_s
        while not self.is_done:
            self._is_at_work = False
            try:
                workshop.once(self._go_on)
            except HsmError as error:
                if not self._is_at_work and not isinstance(error, CryptokiError):
                    self._answer_all(error)  # no session is to be had, or the token was given up
                else:
                    self._do_singly()
            except UnexplainedError:
                self._do_singly()
            if clock.monotonic() >= self._ends_at:
                return

    def _go_on(self, session: int) -> None:
        """Do items until the slice is over. Raises what the first item raised that has no answer then."""
        self._is_at_work = True
        items, answers, works = self._items, self.answers, self._verbs.works
        monotonic = self._verbs.clock.monotonic
        while len(answers) < len(items):
            item = items[len(answers)]
            try:
                work = works[type(item)](*item)
            except HsmRequestError as error:
                answers.append(error)
                continue
            if type(item) is BatchUnwrap:
                self._verbs.use.unwrap_each(
                    session, item.root_id, self._same_root(item.root_id), self._opened
                )
            else:
                answers.append(work(session))
            if monotonic() >= self._ends_at:
                return

    def _same_root(self, root_id: RootId) -> Iterator[tuple[WrappedBytes, bytes]]:
        """What is to be unwrapped next under this root; each is taken when the one before has its answer."""
        items, answers = self._items, self.answers
        check, monotonic = self._verbs.use.check_unwrap, self._verbs.clock.monotonic
        while len(answers) < len(items):
            item = items[len(answers)]
            if type(item) is not BatchUnwrap or item.root_id != root_id:
                return
            try:
                check(*item)
            except HsmRequestError as error:
                answers.append(error)
                continue
            yield item.wrapped, item.aad
            if monotonic() >= self._ends_at:
                return

    def _opened(self, key_bytes: bytes) -> None:
        self.answers.append(Secret(key_bytes))

    def _do_singly(self) -> None:
        item = self._items[len(self.answers)]
        try:
            answer = self._verbs.verbs[type(item)](*item)
        except MemberBusyError as error:
            self._answer_all(error)  # it would say the same to the others, and they may be done elsewhere
        except HsmError as error:
            self.answers.append(error)
        else:
            self.answers.append(answer)

    def _answer_all(self, error: HsmError) -> None:
        self.answers += [error] * (len(self._items) - len(self.answers))
