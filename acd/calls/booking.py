"""What one call asks of the store: its place, its reservations, its conversations. In order, unwaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace

from acd.agents.terms import profile_of, terms_of
from acd.calls import model as m
from acd.calls.callbacks import CallbackOrder
from acd.calls.errand import Errand
from acd.calls.lane import Lane, Operation
from acd.calls.model import Call, State
from acd.calls.steps.context import Context
from acd.calls.steps.tickets import ticket_of, ticket_of_seated
from acd.clock import Clock
from routing.model import AgentProfile, AgentTerms, Offer, Ticket
from routing.ports import QueueStore, StaleToken
from routing.requirement import first_score

log = structlog.get_logger(__name__)


class Booking:
    """Says the call's words to the store; what the store answers comes back as events by `post`."""

    def __init__(
        self,
        store: QueueStore,
        node: str,
        clock: Clock,
        lane: Lane,
        post: Callable[[m.Event], None],
        make: Callable[[CallbackOrder], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._post = post
        self._lane = lane
        self._errand = Errand(store, node, self._now_ms, lane, post, make)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)

    def enter(self, effect: m.EnterQueue) -> None:
        self._lane.put(lambda: self._store.enqueue(effect.ticket, self._now_ms()))

    def change_needs(self, effect: m.ChangeNeeds) -> None:
        async def change() -> None:
            await self._store.change_needs(effect.ticket, self._now_ms())

        self._lane.put(change)

    def leave(self, effect: m.LeaveQueue) -> None:
        async def leave() -> None:
            await self._store.cancel(effect.ticket, self._now_ms(), effect.how)

        self._lane.put(leave)

    def confirm(self, effect: m.ConfirmOffer) -> None:
        offer = effect.offer

        async def confirm() -> None:
            try:
                await self._store.accept(offer.call_id, offer.agent_id, offer.token, self._now_ms())
            except StaleToken:
                self._post(m.OfferStale(offer.token))
            else:
                self._post(m.OfferConfirmed(offer.token, offer))

        self._lane.put(confirm)

    def confirm_maker(self, effect: m.ConfirmMaker) -> None:
        offer = effect.offer

        async def confirm() -> None:
            try:
                await self._store.accept(offer.call_id, offer.agent_id, offer.token, self._now_ms())
            except StaleToken:
                self._post(m.MakerLost(offer.token))

        self._lane.put(confirm)

    def reject(self, effect: m.RejectOffer) -> None:
        offer = effect.offer

        async def reject() -> None:
            try:
                await self._store.reject(
                    offer.call_id, offer.agent_id, offer.token, effect.refusal, self._now_ms()
                )
            except StaleToken:
                self._post(m.OfferStale(offer.token))

        self._lane.put(reject)

    def finish(self, effect: m.FinishConversation) -> None:
        offer = effect.offer
        if not offer.token:
            # Who made the call and was not reserved for it yet: nobody is to be from now on.
            self.leave(m.LeaveQueue(offer.call_id, "released"))
            return

        async def finish() -> None:
            try:
                await self._store.done(
                    offer.call_id, offer.agent_id, offer.token, self._now_ms(), wrapup=effect.wrapup
                )
            except StaleToken:
                log.debug("offer-already-gone", agent=offer.agent_id)

        self._lane.put(finish)

    @property
    def errand(self) -> Errand:
        """What is said about callbacks, in the same order."""
        return self._errand

    def ask_position(self, entry: str, expected: Callable[[str], float | None]) -> None:
        """`expected` says how many seconds the wait will still last."""

        async def ask() -> None:
            found = await self._store.position(entry)
            if found is not None:
                self._post(m.PositionKnown(found.position, expected(entry)))

        self._lane.put(ask)

    def say(self, operation: Operation) -> None:
        """Something else that is to come after what was said before."""
        self._lane.put(operation)

    def say_again(self, context: Context, call: Call) -> str:
        """Put back what this call is doing into a store that may have forgotten it; that in a word."""
        self._enter_seated(context, call)
        for former in _others(call):
            self._lane.put(self._restore_other(context, call, former))
        if call.state is State.QUEUED and call.callback is not None and not call.reached:
            self._errand.say_again(call.callback, ticket_of(context, call))
            return "waiting"
        if call.state is State.QUEUED or _awaits_own(call):
            self.enter(m.EnterQueue(ticket_of(context, call)))
            return "waiting"
        if _talks(call) and call.offer:
            self._lane.put(self._restore(context, call, ticket_of(context, call), call.offer))
            return "talking"
        return ""

    def correct(
        self, context: Context, current: Callable[[], Call]
    ) -> tuple[str, Sequence[asyncio.Future[None]]]:
        """The same to a store that has lost what it knew last: it is told before anything else that is still
        to be said, as far as it is still so then, and what it thinks otherwise is undone. `current` is the
        call as it is. Returns the word, and when each part was heard."""
        call = current()
        self._enter_seated(context, call)
        first = self._lane.put_first
        heard = [first(self._correct_talk(context, current, other)) for other in _others(call)]
        if call.callback is not None:
            heard.append(first(self._correct_callback(current, call.callback)))
        waits = call.state is State.QUEUED
        if not waits and (call.offer is None or call.state not in _RESERVED):
            return "", heard
        ticket = ticket_of(context, call)
        if _awaits_own(call):
            self.enter(m.EnterQueue(ticket))
            return "", heard
        if waits:
            heard.append(first(self._correct_place(current, ticket)))
            return "waiting", heard
        assert call.offer is not None
        if _talks(call):
            restore = self._restore(context, call, ticket, call.offer)
            heard.append(first(_while_it_holds(current, call.offer, restore)))
            return "talking", heard
        for offer in (call.offer, *call.rivals):
            restore = self._restore(context, call, ticket, offer, rings=True)
            heard.append(first(_while_it_holds(current, offer, restore)))
        return "ringing", heard

    def _enter_seated(self, context: Context, call: Call) -> None:
        """Who made the call, and is not reserved for it yet."""
        if call.state is not State.ENDED and call.seated is not None and not call.seated.offer.token:
            self.enter(m.EnterQueue(ticket_of_seated(context, call)))

    def _correct_place(self, current: Callable[[], Call], ticket: Ticket) -> Operation:
        async def place() -> None:
            call = current()
            if call.state is State.QUEUED and call.entry == ticket.call_id:
                await self._store.restore_place(ticket, self._now_ms())

        return place

    def _correct_callback(self, current: Callable[[], Call], order: CallbackOrder) -> Operation:
        async def correct() -> None:
            is_ours, call = await self._errand.correct(order), current()
            if not is_ours and call.state is State.QUEUED and call.awaits_customer:
                self._post(m.CallbackGone("taken"))

        return correct

    def _correct_talk(
        self, context: Context, current: Callable[[], Call], other: m.Transferor | m.Reached
    ) -> Operation:
        assert other.offer is not None
        return _while_it_holds(current, other.offer, self._restore_other(context, current(), other))

    def _restore_other(self, context: Context, call: Call, other: m.Transferor | m.Reached) -> Operation:
        before = replace(call, place=other.place, ticket=other.ticket)
        assert other.offer is not None
        return self._restore(context, call, ticket_of(context, before), other.offer)

    def _restore(
        self, context: Context, call: Call, ticket: Ticket, offer: Offer, *, rings: bool = False
    ) -> Operation:
        agent = context.directory.agents.get(offer.agent_id)
        profile = profile_of(agent) if agent else AgentProfile.of({})
        terms = terms_of(agent) if agent else AgentTerms()
        who = (ticket, offer.agent_id, call.node, profile, offer.token)

        async def restore() -> None:
            now_ms = self._now_ms()
            try:
                if rings:
                    until = max(offer.deadline_ms, now_ms)
                    await self._store.restore_offer(*who, until, now_ms, terms)
                else:
                    await self._store.restore_talk(*who, now_ms, terms)
            except StaleToken:
                if rings:
                    self._post(m.OfferTakenBack(offer.token))
                else:
                    log.warning("conversation-unknown-to-store", agent=offer.agent_id)

        return restore


def rank_of(context: Context, call: Call) -> int:
    """Who is said again first, the least: who talks, so that no agent seems free, then for whom a phone
    rings, then who is first in line."""
    if call.state is State.QUEUED and call.place is not None:
        return first_score(ticket_of(context, call))
    return -2 if call.state is State.TALKING else -1


def holds(call: Call, token: int) -> bool:
    """Whether the call has this reservation, and has not given it up."""
    if call.state is State.ENDED:
        return False
    others = (other.offer for other in _others(call))
    return any(offer is not None and offer.token == token for offer in (call.offer, *call.rivals, *others))


_RESERVED = frozenset({State.OFFERED, State.CONNECTING, State.TALKING, State.DIALLING, State.CALLING})


def _others(call: Call) -> Sequence[m.Transferor | m.Reached]:
    """Agents beside the call's own who talk in it by a reservation."""
    others = (call.transferor, call.seated)
    return [other for other in others if other is not None and other.offer is not None and other.offer.token]


def _talks(call: Call) -> bool:
    in_call = call.state in (State.TALKING, State.CALLING)
    return in_call or (call.state is State.DIALLING and call.agent_first)


def _awaits_own(call: Call) -> bool:
    """The agent made the call, and is not reserved for it yet."""
    return call.is_outgoing and _talks(call) and call.offer is not None and not call.offer.token


def _while_it_holds(current: Callable[[], Call], offer: Offer, restore: Operation) -> Operation:
    """A reservation that the call has given up meanwhile is not put back."""

    async def operation() -> None:
        if holds(current(), offer.token):
            await restore()

    return operation
