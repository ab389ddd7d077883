"""What one call asks of the store: its place, its reservations, its conversations. In order, unwaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from msgspec.structs import replace

from acd.agents.terms import profile_of, terms_of
from acd.calls import model as m
from acd.calls.callbacks import CallbackOrder
from acd.calls.errand import Errand
from acd.calls.lane import Operation, StoreLane
from acd.calls.model import Call, State
from acd.calls.steps.context import Context
from acd.calls.steps.guiding import ticket_of
from acd.clock import Clock
from routing.model import AgentProfile, AgentTerms, Offer, Ticket
from routing.ports import QueueStore, StaleToken

log = structlog.get_logger(__name__)


class Booking:
    """Says the call's words to the store; what the store answers comes back as events by `post`."""

    def __init__(
        self,
        store: QueueStore,
        node: str,
        clock: Clock,
        spawn: Callable[[Awaitable[None]], object],
        post: Callable[[m.Event], None],
        make: Callable[[CallbackOrder], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._post = post
        self._lane = StoreLane(spawn)
        self._errand = Errand(store, node, self._now_ms, self._lane, post, make)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)

    def enter(self, effect: m.EnterQueue) -> None:
        self._lane.put(lambda: self._store.enqueue(effect.ticket, self._now_ms()))

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
                self._post(m.OfferConfirmed(offer.token))

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

    def ask_position(self, entry: str) -> None:
        async def ask() -> None:
            found = await self._store.position(entry)
            if found is not None:
                self._post(m.PositionKnown(found.position))

        self._lane.put(ask)

    def say(self, operation: Operation) -> None:
        """Something else that is to come after what was said before."""
        self._lane.put(operation)

    def say_again(self, context: Context, call: Call) -> None:
        """Put back what this call is doing into a store that may have forgotten it."""
        if call.transferor is not None and call.transferor.offer is not None:
            former = replace(call, place=call.transferor.place, ticket=call.transferor.ticket)
            ticket = ticket_of(context, former)
            self._lane.put(self._restore(context, call, ticket, call.transferor.offer))
        if call.seated is not None:
            former = replace(call, place=call.seated.place, ticket=call.seated.ticket)
            self._lane.put(self._restore(context, call, ticket_of(context, former), call.seated.offer))
        talks = call.state is State.TALKING or (call.state is State.DIALLING and call.agent_first)
        if call.state is State.QUEUED and call.callback is not None and not call.reached:
            self._errand.say_again(call.callback, ticket_of(context, call))
        elif call.state is State.QUEUED:
            self.enter(m.EnterQueue(ticket_of(context, call)))
        elif talks and call.offer:
            self._lane.put(self._restore(context, call, ticket_of(context, call), call.offer))

    def _restore(self, context: Context, call: Call, ticket: Ticket, offer: Offer) -> Operation:
        agent = context.directory.agents.get(offer.agent_id)
        profile = profile_of(agent) if agent else AgentProfile.of({})
        terms = terms_of(agent) if agent else AgentTerms()

        async def restore() -> None:
            try:
                await self._store.restore_talk(
                    ticket, offer.agent_id, call.node, profile, offer.token, self._now_ms(), terms
                )
            except StaleToken:
                log.warning("conversation-unknown-to-store", agent=offer.agent_id)

        return restore
