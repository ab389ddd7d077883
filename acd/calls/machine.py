"""The call machine: which event does what in which state. Nothing else moves a call.

A pair that is neither in STEPS nor in IGNORED is a mistake of ours, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from acd.calls import model as m
from acd.calls.model import Call, Event, Side, State, Timer
from acd.calls.steps import (
    calling_back,
    coding,
    ending,
    forwarding,
    guiding,
    handing_on,
    knowing,
    listening,
    making,
    offering,
    outgoing,
    overflowing,
    talking,
    together,
    transferring,
    treating,
    waiting,
)
from acd.calls.steps.context import Context, Step

Key = type[Any] | tuple[type[Any], Any]
"""An event type, or an event type with the side or timer that it is about."""

Handler = Callable[[Context, Call, Any, float], Step]

_ANY_TIME: Mapping[Key, Handler] = {
    m.MakerReserved: making.on_reserved,
    m.MakerLost: making.on_lost,
    (m.LegOver, Side.CALLER): ending.on_caller_or_agent_gone,
    (m.MediaLost, Side.CALLER): ending.on_media_lost,
    m.ClearRequested: ending.on_clear,
    m.Reoffered: talking.on_reoffer,
    m.ReofferAnswered: talking.on_reoffer_answered,
    m.ReofferUnusable: talking.on_unusable_reoffer,
    m.HandOverAsked: transferring.on_hand_over_asked,
    m.TargetJoined: transferring.on_unwanted_leg,
    m.OutsideJoined: transferring.on_unwanted_leg,
    m.PhoneMoved: transferring.on_unwanted_leg,
    m.AgentConfirmed: outgoing.on_agent_confirmed,
}

_WAITING: Mapping[Key, Handler] = {
    (m.TimerFired, Timer.ANNOUNCE): waiting.on_announcement_due,
    m.PlaybackOver: treating.on_waiting_playback_over,
    m.CallbackGone: calling_back.on_callback_gone,
    (m.LegOver, Side.TRANSFEROR): transferring.on_transferor_gone,
    (m.MediaLost, Side.TRANSFEROR): transferring.on_transferor_gone,
}

_REFER_TOO_EARLY: Mapping[Key, Handler] = {
    m.TransferAsked: transferring.on_refer_too_early,
    m.JoinAsked: transferring.on_refer_too_early,
}

STEPS: Mapping[State, Mapping[Key, Handler]] = {
    State.NEW: {
        **_ANY_TIME,
        m.CallArrived: outgoing.on_arrival,
        m.CallbackDue: calling_back.on_due,
        m.DialRequested: outgoing.on_requested,
        m.CallerMediaOpened: outgoing.on_media_opened,
        m.CallerKnown: knowing.on_caller_known,
        m.CallerMediaRefused: guiding.on_media_refused,
        m.DialAllowed: outgoing.on_allowed,
        m.DialForbidden: outgoing.on_forbidden,
        (m.LegOver, Side.AGENT): outgoing.on_agent_gave_up,
        (m.MediaLost, Side.AGENT): outgoing.on_silence,
    },
    State.ANSWERING: {
        **_ANY_TIME,
        m.CallerConfirmed: guiding.on_confirmed,
    },
    State.IVR: {
        **_ANY_TIME,
        m.PlaybackOver: guiding.on_flow_playback_over,
        m.RecordingOver: guiding.on_flow_recording_over,
        (m.DigitPressed, Side.CALLER): guiding.on_flow_digit,
        (m.TimerFired, Timer.IVR): guiding.on_flow_timer,
        m.CallbackAnswered: guiding.on_flow_callback,
        m.TransferAsked: transferring.on_move_asked,
    },
    State.QUEUED: {
        **_ANY_TIME,
        **_WAITING,
        m.OfferMade: offering.on_offer,
        (m.DigitPressed, Side.CALLER): treating.on_waiting_digit,
        (m.TimerFired, Timer.IVR): treating.on_waiting_timer,
        m.CallbackAnswered: treating.on_waiting_callback,
        m.PositionKnown: waiting.on_position,
        m.SituationKnown: overflowing.on_situation,
        (m.TimerFired, Timer.OVERFLOW): overflowing.on_time,
        (m.TimerFired, Timer.LONGEST_WAIT): transferring.on_longest_wait,
        m.TransferAsked: transferring.on_move_asked,
        m.OfferStale: offering.on_rejection_stale,
        m.OfferConfirmed: offering.on_confirmed_too_late,
    },
    State.OFFERED: {
        **_ANY_TIME,
        **_WAITING,
        **_REFER_TOO_EARLY,
        (m.LegOver, Side.AGENT): offering.on_agent_leg_over,
        m.OfferMade: together.on_another_offer,
        m.AgentAnswered: offering.on_agent_answered,
        m.RivalAnswered: offering.on_rival_answered,
        m.RivalOver: offering.on_rival_over,
        m.AgentUnavailable: offering.on_agent_unavailable,
        m.OfferConfirmed: offering.on_confirmed_too_late,
        m.OfferTakenBack: offering.on_offer_taken_back,
        (m.TimerFired, Timer.RING): offering.on_ring_timeout,
        m.CallbackAnswered: treating.on_needless_callback,
    },
    State.CONNECTING: {
        **_ANY_TIME,
        **_WAITING,
        **_REFER_TOO_EARLY,
        m.RivalOver: ending.on_rung_agent_gone,
        (m.LegOver, Side.AGENT): ending.on_caller_or_agent_gone,
        (m.MediaLost, Side.AGENT): ending.on_media_lost,
        m.OfferConfirmed: offering.on_offer_confirmed,
        m.OfferStale: offering.on_offer_stale,
        m.OfferTakenBack: offering.on_offer_taken_back,
        m.CallbackAnswered: treating.on_needless_callback,
    },
    State.TALKING: {
        **_ANY_TIME,
        m.RivalOver: ending.on_rung_agent_gone,
        (m.LegOver, Side.AGENT): ending.on_caller_or_agent_gone,
        (m.MediaLost, Side.AGENT): ending.on_media_lost,
        m.TransferAsked: handing_on.on_transfer_by_either,
        m.JoinAsked: transferring.on_join_asked,
        m.HandOverRefused: transferring.on_hand_over_refused,
        m.TargetJoined: transferring.on_target_joined,
        m.OutsideJoined: transferring.on_outside_joined,
        m.PhoneMoved: transferring.on_phone_moved,
        m.OfferMade: outgoing.on_reserved,
        m.OfferTakenBack: outgoing.on_reservation_lost,
        m.OfferStale: outgoing.on_reservation_lost,
        m.CallbackAnswered: treating.on_needless_callback,
    },
    State.CODE: {
        **_ANY_TIME,
        m.DeskAnswered: coding.on_desk_answered,
        m.MailboxOpened: listening.on_mailbox_opened,
        m.PlaybackOver: listening.on_playback_over,
        (m.DigitPressed, Side.CALLER): listening.on_digit,
        (m.TimerFired, Timer.IVR): listening.on_timer,
    },
    State.DIALLING: {
        **_ANY_TIME,
        **_REFER_TOO_EARLY,
        m.AttemptAllowed: calling_back.on_attempt,
        m.NumberAnswered: calling_back.on_customer_answered,
        m.NumberUnreachable: calling_back.on_customer_gone,
        m.CallbackGone: calling_back.on_callback_gone,
        m.OfferTakenBack: calling_back.on_offer_withdrawn,
        (m.LegOver, Side.CALLER): calling_back.on_customer_gone,
        (m.LegOver, Side.AGENT): calling_back.on_agent_gone,
        (m.MediaLost, Side.AGENT): ending.on_media_lost,
        (m.TimerFired, Timer.RING): calling_back.on_customer_silent,
    },
    State.CALLING: {
        **_ANY_TIME,
        **_REFER_TOO_EARLY,
        m.AgentAnswered: outgoing.on_agent_there,
        m.AgentUnavailable: outgoing.on_agent_not_there,
        (m.TimerFired, Timer.RING): outgoing.on_agent_silent,
        m.NumberProgressed: outgoing.on_progress,
        m.NumberAnswered: outgoing.on_answered,
        m.NumberUnreachable: outgoing.on_gone,
        (m.LegOver, Side.CALLER): outgoing.on_gone,
        (m.LegOver, Side.AGENT): outgoing.on_agent_gave_up,
        (m.MediaLost, Side.CALLER): outgoing.on_silence,
        (m.MediaLost, Side.AGENT): outgoing.on_silence,
        m.OfferMade: outgoing.on_reserved,
        m.OfferTakenBack: outgoing.on_reservation_lost,
        m.OfferStale: outgoing.on_reservation_lost,
    },
    State.FORWARDING: {
        **_ANY_TIME,
        **_REFER_TOO_EARLY,
        m.DialAllowed: forwarding.on_allowed,
        m.DialForbidden: forwarding.on_forbidden,
        m.NumberProgressed: forwarding.on_progress,
        m.NumberAnswered: forwarding.on_answered,
        m.NumberUnreachable: forwarding.on_gone,
        (m.LegOver, Side.AGENT): forwarding.on_gone,
        (m.MediaLost, Side.AGENT): ending.on_media_lost,
        (m.TimerFired, Timer.RING): forwarding.on_silent,
        m.CallbackAnswered: treating.on_needless_callback,
        (m.LegOver, Side.TRANSFEROR): transferring.on_transferor_gone,
        (m.MediaLost, Side.TRANSFEROR): transferring.on_transferor_gone,
    },
    State.ENDED: {},
}

_ANNOUNCEMENTS: frozenset[Key] = frozenset({(m.TimerFired, Timer.ANNOUNCE), m.PlaybackOver})
_LATE_OF_FLOW: frozenset[Key] = frozenset({(m.TimerFired, Timer.IVR), m.RecordingOver})
_LATE_OF_WAIT: frozenset[Key] = frozenset(
    {
        (m.TimerFired, Timer.LONGEST_WAIT),
        (m.TimerFired, Timer.OVERFLOW),
        m.PositionKnown,
        m.SituationKnown,
    }
)
_LATE_OF_RING: frozenset[Key] = frozenset(
    {
        (m.TimerFired, Timer.RING),
        m.OfferTakenBack,
        m.AgentAnswered,
        m.AgentUnavailable,
        m.RivalAnswered,
        m.RivalOver,
    }
)
_LATE_OF_OFFER: frozenset[Key] = frozenset({m.OfferMade, m.OfferStale})
_LATE_OF_AGENT: frozenset[Key] = frozenset({(m.LegOver, Side.AGENT), (m.MediaLost, Side.AGENT)})
_LATE_OF_TRANSFEROR: frozenset[Key] = frozenset(
    {(m.LegOver, Side.TRANSFEROR), (m.MediaLost, Side.TRANSFEROR), (m.DigitPressed, Side.TRANSFEROR)}
)
_LATE_OF_TRANSFER: frozenset[Key] = frozenset({m.JoinAsked, m.HandOverRefused})
_WAITING_FOR_ACK: frozenset[Key] = frozenset({m.CallerConfirmed, (m.DigitPressed, Side.AGENT)})
_ON_THE_LINE: frozenset[Key] = _WAITING_FOR_ACK | {(m.DigitPressed, Side.CALLER)}
"""A repeated ACK, and keys pressed where nobody listens for them."""
_LATE_OF_NUMBER: frozenset[Key] = frozenset(
    {m.NumberProgressed, m.NumberAnswered, m.NumberUnreachable, m.DialAllowed, m.DialForbidden}
)
"""Of a number outside that is called no longer, or has answered."""
_LATE_OF_CUSTOMER: frozenset[Key] = _LATE_OF_NUMBER | {m.AttemptAllowed}
_WHILE_IN_FLOW: frozenset[Key] = frozenset(
    {m.CallerConfirmed, (m.DigitPressed, Side.AGENT), (m.TimerFired, Timer.ANNOUNCE)}
)
_AFTER_IVR = _ON_THE_LINE | _LATE_OF_FLOW

_AFTER_TRANSFER = _LATE_OF_TRANSFER | _LATE_OF_TRANSFEROR
_TRANSFEROR_DIGIT: frozenset[Key] = frozenset({(m.DigitPressed, Side.TRANSFEROR)})

IGNORED: Mapping[State, frozenset[Key]] = {
    State.NEW: frozenset({m.TransferAsked}),
    State.ANSWERING: frozenset({m.TransferAsked, (m.DigitPressed, Side.CALLER)}),
    State.IVR: _WHILE_IN_FLOW
    | _LATE_OF_WAIT
    | _LATE_OF_RING
    | _LATE_OF_OFFER
    | _LATE_OF_AGENT
    | _LATE_OF_NUMBER
    | _AFTER_TRANSFER
    | {m.OfferConfirmed},
    State.QUEUED: _WAITING_FOR_ACK
    | {m.RecordingOver}
    | _LATE_OF_CUSTOMER
    | _LATE_OF_RING
    | _LATE_OF_AGENT
    | _LATE_OF_TRANSFER
    | _TRANSFEROR_DIGIT,
    State.OFFERED: _AFTER_IVR
    | _LATE_OF_CUSTOMER
    | _LATE_OF_WAIT
    | _TRANSFEROR_DIGIT
    | {(m.MediaLost, Side.AGENT), m.HandOverRefused, m.OfferStale},
    State.CONNECTING: _AFTER_IVR
    | _LATE_OF_CUSTOMER
    | _LATE_OF_WAIT
    | _TRANSFEROR_DIGIT
    | (_LATE_OF_RING - {m.OfferTakenBack, m.RivalOver})
    | {m.OfferMade, m.HandOverRefused},
    State.TALKING: _AFTER_IVR
    | _LATE_OF_CUSTOMER
    | {m.CallbackGone}
    | _ANNOUNCEMENTS
    | _LATE_OF_WAIT
    | (_LATE_OF_RING - {m.RivalOver, m.OfferTakenBack})
    | {m.OfferConfirmed}
    | _LATE_OF_TRANSFEROR,
    State.CALLING: _ON_THE_LINE
    | {m.OfferConfirmed, m.HandOverRefused, m.DialAllowed, m.DialForbidden, m.CallbackGone, m.PlaybackOver},
    State.FORWARDING: _AFTER_IVR
    | _ANNOUNCEMENTS
    | _LATE_OF_WAIT
    | _LATE_OF_OFFER
    | (_LATE_OF_RING - {(m.TimerFired, Timer.RING)})
    | _TRANSFEROR_DIGIT
    | {m.OfferConfirmed, m.CallbackGone, m.HandOverRefused, m.AttemptAllowed},
    State.DIALLING: _AFTER_IVR
    | _ANNOUNCEMENTS
    | _LATE_OF_WAIT
    | _LATE_OF_OFFER
    | {m.AgentAnswered, m.AgentUnavailable, m.OfferConfirmed, m.HandOverRefused, m.NumberProgressed},
    State.CODE: frozenset({m.CallerConfirmed, m.TransferAsked}),
}
"""Words that come late in the ordinary course of things, and change nothing."""


class UnexpectedEvent(Exception):
    """An event that cannot happen in this state: a mistake of ours, not of the far end."""


def key_of(event: Event) -> Key:
    """Where the tables keep this event."""
    match event:
        case m.LegOver(side=side) | m.MediaLost(side=side) | m.DigitPressed(side=side):
            return type(event), side
        case m.TimerFired(timer=timer):
            return type(event), timer
        case _:
            return type(event)


def step(context: Context, call: Call, event: Event, now: float) -> Step:
    """Decide what an event does to a call. Raises UnexpectedEvent."""
    key = key_of(event)
    handler = STEPS[call.state].get(key)
    if handler is not None:
        return handler(context, call, event, now)
    if call.state is State.ENDED or key in IGNORED[call.state]:
        return call, ()
    raise UnexpectedEvent(f"{event!r} in state {call.state}")
