"""What happens to the legs of this node, brought to the call that each belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from acd.calls import model as m
from acd.calls.beginning import Arrival
from acd.calls.ports import SipPort
from acd.calls.session import CallSession, OfLeg
from acd.media.engine import (
    DigitReceived,
    MediaEvent,
    MediaFailed,
    MediaTimedOut,
    PlaybackEnded,
    RecordingEnded,
)
from acd.sip.core import events as sip
from acd.sip.core.info import digit_of
from acd.sip.core.refer import ReferTo, Replaces
from acd.sip.identity import clean_number

_REFERABLE = frozenset(
    {m.State.TALKING, m.State.QUEUED, m.State.IVR, m.State.OFFERED, m.State.CONNECTING, m.State.DIALLING}
)
"""Where an agent's phone may ask for a transfer; it may be too early for it."""


class Legs:
    """The legs of live calls, by name."""

    def __init__(self, sip: SipPort, spawn: Callable[[Awaitable[None]], object]) -> None:
        self._sip = sip
        self._spawn = spawn
        self._by_leg: dict[str, CallSession] = {}

    def add(self, leg: str, session: CallSession) -> None:
        self._by_leg[leg] = session

    def remove(self, leg: str) -> None:
        self._by_leg.pop(leg, None)

    def on_leg(self, event: sip.LegEvent) -> None:
        """Something happened to a SIP leg."""
        session = self._by_leg.get(event.leg)
        side = session.seats.side_of(event.leg) if session else None
        if session is not None and (token := session.seats.rung_for(event.leg)) is not None:
            session.agent.rung(token, event)
            return
        if session is None or side is None:
            return
        match event:
            case sip.LegProgressed() | sip.LegAnswered() | sip.LegConfirmed():
                _on_setup(session, side, event)
            case sip.LegReoffered(offer=offer):
                session.audio.reoffered(side, offer)
            case sip.LegReofferAnswered(sdp=sdp):
                session.audio.reoffer_answered(side, sdp)
            case sip.LegEnded(by=by, status=status, reason=reason):
                session.post(OfLeg(event.leg, m.LegOver(side, by, status, reason)))
            case sip.LegReferred(leg=leg, wanted=wanted):
                self._refer(session, side, leg, wanted)
            case sip.LegInfoReceived(content_type=content_type, body=body):
                if digit := digit_of(content_type, body):
                    session.post(m.DigitPressed(side, digit))

    def _refer(self, session: CallSession, side: m.Side, leg: str, wanted: ReferTo) -> None:
        """An agent's phone transfers: blind, or by joining its two calls."""
        if wanted.replaces is None:
            may = bool(_person(session.call, side)) and session.call.state in _REFERABLE
            if may:
                session.post(m.TransferAsked(clean_number(wanted.user), by_phone=True, side=side))
            else:
                self._sip.answer_refer(leg, 403)
            return
        named = self._sip.leg_of(wanted.replaces.dialog)
        other = self._by_leg.get(named) if named else None
        if other is None or named is None:
            self._sip.answer_refer(leg, 404)
        elif (call := _joinable(session, side, other, other.seats.side_of(named))) is None:
            self._sip.answer_refer(leg, 403)
        else:
            kept, given = call
            if kept is other:
                self._sip.answer_refer(leg, 202)
            kept.post(m.JoinAsked(given.call.id))

    def on_media(self, event: MediaEvent) -> None:
        """Something happened to the audio of a leg."""
        session = self._by_leg.get(event.leg)
        side = session.seats.side_of(event.leg) if session else None
        if session is None or side is None:
            return
        match event:
            case DigitReceived(digit=digit):
                session.post(m.DigitPressed(side, digit))
            case PlaybackEnded(playback=playback):
                session.post(m.PlaybackOver(int(playback)))
            case RecordingEnded(recording=recording, sound_seconds=sound, why=why):
                session.post(m.RecordingOver(recording, sound, why))
            case MediaTimedOut():
                session.post(OfLeg(event.leg, m.MediaLost(side, "rtp-timeout")))
            case MediaFailed():
                session.post(OfLeg(event.leg, m.MediaLost(side, "media-failed")))

    def replace(self, arrival: Arrival, replaces: Replaces) -> str:
        """An INVITE with Replaces: a person goes on with another phone (RFC 3891 section 3).

        The id of the call that goes on, empty where it was refused.
        """
        leg = self._sip.leg_of(replaces.dialog)
        session = self._by_leg.get(leg) if leg else None
        side = session.seats.side_of(leg) if session and leg else None
        if session is None or side is None:
            self._sip.refuse(arrival.leg, 481)
        elif not arrival.agent or arrival.agent != _person(session.call, side):
            self._sip.refuse(arrival.leg, 403)
        elif replaces.early_only:
            self._sip.refuse(arrival.leg, 486)
        else:
            self._spawn(session.transfers.replace_phone(side, arrival.leg, arrival.offer, arrival.srtp))
            return session.call.id
        return ""


def _on_setup(
    session: CallSession, side: m.Side, event: sip.LegProgressed | sip.LegAnswered | sip.LegConfirmed
) -> None:
    """A leg is on its way to be answered, or is."""
    match event:
        case sip.LegProgressed(status=status, sdp=sdp) if session.outside.is_called(event.leg):
            session.outside.progressed(status, sdp)
        case sip.LegAnswered(sdp=sdp) if session.outside.is_called(event.leg):
            session.outside.answered(sdp)
        case sip.LegAnswered(sdp=sdp) if side is m.Side.AGENT:
            session.agent.answered(sdp)
        case sip.LegConfirmed(sdp=sdp) if side is m.Side.CALLER:
            session.post(m.CallerConfirmed(sdp))
        case sip.LegConfirmed(sdp=sdp) if side is m.Side.AGENT:
            session.post(m.AgentConfirmed(sdp))


def _person(call: m.Call, side: m.Side) -> str:
    """The agent who is on this side; empty for anybody else."""
    if side is m.Side.CALLER:
        return "" if call.is_outgoing else call.from_agent
    return call.agent if side is m.Side.AGENT else ""


def _joinable(
    session: CallSession, side: m.Side, other: CallSession, other_side: m.Side | None
) -> tuple[CallSession, CallSession] | None:
    """The call whose caller stays, and the one that the same agent made to ask a colleague."""
    if session is other or other_side is None:
        return None
    if _person(session.call, side) != _person(other.call, other_side):
        return None
    if (side, other_side) == (m.Side.AGENT, m.Side.CALLER):
        return session, other
    if (side, other_side) == (m.Side.CALLER, m.Side.AGENT):
        return other, session
    if (side, other_side) == (m.Side.AGENT, m.Side.AGENT):
        # The agent asked somebody outside, or has two calls to the outside.
        if other.call.is_outgoing:
            return session, other
        return (other, session) if session.call.is_outgoing else None
    return None
