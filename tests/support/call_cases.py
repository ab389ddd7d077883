"""A centre, a call in each state, and an event of each kind, for tests of the call machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from acd.calls import model as m
from acd.calls.callbacks import CallbackOrder
from acd.calls.machine import step
from acd.calls.model import Call, Place, Side, State, Timer
from acd.calls.outside import Outside
from acd.calls.steps.context import EXTENSION_QUEUE, Context
from acd.calls.steps.waiting import ANNOUNCEMENT
from acd.directory.model import STANDARD_CODES, Agent, Directory, Number, Queue, Route
from ivr.flow import Echo, FlowDefinition, HangUp, Menu, Play, Set, Transfer
from ivr.flow import Queue as QueueNode
from ivr.interpreter import Noted
from routing.model import Offer
from routing.overflow import Situation

BERT = Agent(id="bert", extension="1002")
CORA = Agent(id="cora", extension="1003")
ANNA = Agent(id="anna", extension="1001", skills={"billing": 5}, dialling=("national",))
CONTEXT = Context(
    directory=Directory(
        numbers={
            "+1": Number("+1", flow="main"),
            "+2": Number("+2", queue="billing", priority=7, skills={"vip": 2}, language="et"),
            "+3": Number("+3", flow="echo"),
        },
        skills=frozenset({"billing", "vip", "lang-et"}),
        queues={
            "billing": Queue(
                "billing", requires={"billing": 1}, ring_seconds=15, wrapup_seconds=5, max_wait_seconds=60
            ),
            "sales": Queue("sales"),
            "last": Queue("last", transfer_place="last"),
        },
        codes={code.code: code for code in STANDARD_CODES},
        agents={"anna": ANNA, "bert": BERT, "cora": CORA},
        routes={"+372": Route("+372", "national", ("carrier", "spare"))},
        agent_by_extension={"1001": ANNA, "1002": BERT, "1003": CORA},
    ),
    flows={
        "main": FlowDefinition(
            "main",
            "menu",
            {
                "menu": Menu(("choose",), {"1": "et", "2": "ext", "3": "echo"}, otherwise="bye"),
                "et": Set(next="queue", language="et", priority=3),
                "queue": QueueNode("billing"),
                "ext": Transfer("extension:1001", otherwise="bye"),
                "bye": HangUp(),
                "echo": Echo(),
            },
        ),
        "echo": FlowDefinition("echo", "intro", {"intro": Play(("hi",), "echo"), "echo": Echo()}),
    },
)
OFFER = Offer("c1", "anna", "billing", token=7, deadline_ms=30_000)
BERTS_OFFER = Offer("c1~1", "bert", EXTENSION_QUEUE, token=8, deadline_ms=30_000)
NOW = 1000.0
ORDER = CallbackOrder(id="cb1", queue="billing", number="+37255", created_at=NOW, enqueued_at=NOW)


def fresh(called: str = "+2", from_agent: str = "") -> Call:
    return Call("c1", "a", "+37255", "Ann", called, "carrier", from_agent, started_at=NOW)


def drive(
    call: Call, *events: m.Event, now: float = NOW, context: Context = CONTEXT
) -> tuple[Call, list[m.Effect]]:
    """Feed events one after the other; all effects in order."""
    effects: list[m.Effect] = []
    for event in events:
        call, more = step(context, call, event, now)
        effects += more
    return call, effects


def telling(says: str) -> Context:
    """The centre where callers of billing are told the expected wait so."""
    billing = replace(CONTEXT.directory.queues["billing"], announce_wait=says)
    queues = {**CONTEXT.directory.queues, "billing": billing}
    return replace(CONTEXT, directory=replace(CONTEXT.directory, queues=queues))


TO_ANSWERING = (m.CallArrived(b"o"), m.CallerMediaOpened(b"a"))
TO_LINE = (*TO_ANSWERING, m.CallerConfirmed(None))
TO_OFFERED = (*TO_LINE, m.OfferMade(OFFER))
TO_CONNECTING = (*TO_OFFERED, m.AgentAnswered(b"a"))
TO_TALKING = (*TO_CONNECTING, m.OfferConfirmed(7))
TO_CALLING = (*TO_ANSWERING, m.DialAllowed())
CALLS: dict[State, Call] = {
    State.NEW: drive(fresh(), m.CallArrived(b"o"))[0],
    State.ANSWERING: drive(fresh(), *TO_ANSWERING)[0],
    State.IVR: drive(fresh("+1"), *TO_LINE)[0],
    State.QUEUED: drive(fresh(), *TO_LINE)[0],
    State.OFFERED: drive(fresh(), *TO_OFFERED)[0],
    State.CONNECTING: drive(fresh(), *TO_CONNECTING)[0],
    State.TALKING: drive(fresh(), *TO_TALKING)[0],
    State.CODE: drive(fresh("*14", from_agent="anna"), *TO_LINE)[0],
    State.DIALLING: drive(
        msgspec.structs.replace(fresh(), callback=ORDER),
        *(m.CallbackDue(), m.OfferMade(OFFER), m.AgentAnswered(b"a"), m.OfferConfirmed(7)),
    )[0],
    State.CALLING: drive(fresh("+37255", from_agent="anna"), *TO_CALLING)[0],
    State.FORWARDING: drive(fresh(), *TO_TALKING, m.TransferAsked("+37255", by_phone=True))[0],
    State.ENDED: drive(fresh(), *TO_TALKING, m.LegOver(Side.CALLER, "remote", 0))[0],
}


EVENTS: dict[str, m.Event] = {
    "arrived": m.CallArrived(b"o"),
    "media-opened": m.CallerMediaOpened(b"a"),
    "media-refused": m.CallerMediaRefused(488, "no-common-codec"),
    "caller-known": m.CallerKnown(),
    "confirmed": m.CallerConfirmed(None),
    "caller-gone": m.LegOver(Side.CALLER, "remote", 0),
    "agent-gone": m.LegOver(Side.AGENT, "remote", 486),
    "caller-reoffer": m.Reoffered(Side.CALLER, b"a", "sendrecv"),
    "agent-reoffer": m.Reoffered(Side.AGENT, b"a", "sendonly"),
    "reoffer-answered": m.ReofferAnswered(Side.AGENT, "sendonly"),
    "bad-reoffer": m.ReofferUnusable(Side.CALLER, 488),
    "caller-digit": m.DigitPressed(Side.CALLER, "9"),
    "agent-digit": m.DigitPressed(Side.AGENT, "9"),
    "playback-over": m.PlaybackOver(ANNOUNCEMENT),
    "caller-silent": m.MediaLost(Side.CALLER, "rtp-timeout"),
    "agent-silent": m.MediaLost(Side.AGENT, "rtp-timeout"),
    "ivr-timer": m.TimerFired(Timer.IVR, 999),
    "announce-timer": m.TimerFired(Timer.ANNOUNCE, 0),
    "longest-wait": m.TimerFired(Timer.LONGEST_WAIT, 0),
    "overflow-timer": m.TimerFired(Timer.OVERFLOW, 0),
    "situation": m.SituationKnown("c1", Situation(agent_there=False)),
    "ring-timer": m.TimerFired(Timer.RING, 0),
    "offer": m.OfferMade(OFFER),
    "offer-taken-back": m.OfferTakenBack(7),
    "offer-confirmed": m.OfferConfirmed(7),
    "offer-stale": m.OfferStale(7),
    "agent-answered": m.AgentAnswered(b"a"),
    "agent-unavailable": m.AgentUnavailable("unreachable"),
    "rival-answered": m.RivalAnswered(9),
    "rival-over": m.RivalOver(9, "remote", 486),
    "position": m.PositionKnown(3),
    "clear": m.ClearRequested("operator"),
    "refer": m.TransferAsked("sales", by_phone=True),
    "move": m.TransferAsked("sales", by_phone=False),
    "join": m.JoinAsked("c2"),
    "hand-over": m.HandOverAsked("c2"),
    "hand-over-refused": m.HandOverRefused(),
    "target-joined": m.TargetJoined(BERTS_OFFER, Place(EXTENSION_QUEUE, agent="bert"), holds=False),
    "phone-moved": m.PhoneMoved(Side.AGENT),
    "transferor-gone": m.LegOver(Side.TRANSFEROR, "remote", 0),
    "transferor-silent": m.MediaLost(Side.TRANSFEROR, "rtp-timeout"),
    "transferor-digit": m.DigitPressed(Side.TRANSFEROR, "9"),
    "desk-answered": m.DeskAnswered("paused"),
    "recording-over": m.RecordingOver("other", 2.0, "stopped"),
    "mailbox-opened": m.MailboxOpened(()),
    "callback-due": m.CallbackDue(),
    "callback-answered": m.CallbackAnswered("c1", 3, Noted.NOTED),
    "attempt-allowed": m.AttemptAllowed(1),
    "agent-confirmed": m.AgentConfirmed(None),
    "maker-reserved": m.MakerReserved(replace(OFFER, call_id="c1~own")),
    "maker-lost": m.MakerLost(7),
    "dial-requested": m.DialRequested(),
    "dial-allowed": m.DialAllowed(),
    "dial-forbidden": m.DialForbidden(403, "do-not-call"),
    "number-rings": m.NumberProgressed(180, early=False),
    "number-answered": m.NumberAnswered(),
    "number-unreachable": m.NumberUnreachable("bad-sdp"),
    "outside-joined": m.OutsideJoined(Outside("+37255", "national", (), ""), holds=False),
    "callback-gone": m.CallbackGone("cancelled"),
}


def of_type(effects: list[m.Effect], kind: type[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]
