"""What the SIP stack tells its owner. Facts, in the past tense.

A *leg* is one INVITE dialog usage (RFC 5057) from its INVITE to its end. The stack keeps the
transaction, the dialog and the races of RFC 3261 and RFC 5407 to itself: its owner sees one
story a leg, and exactly one `LegEnded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from acd.sip.core.message import Request
from acd.sip.core.refer import ReferTo
from acd.sip.core.uri import Uri

FlowKind = Literal["udp", "tcp", "tls", "ws", "wss"]


@dataclass(frozen=True, slots=True)
class Flow:
    """Where bytes came from, and the way back (a UDP peer, or one connection; RFC 5626 section 3.1)."""

    transport: FlowKind
    local: tuple[str, int]
    remote: tuple[str, int]
    connection: int = 0
    """Number of the connection in this process; 0 for a datagram peer or a connection not yet open."""


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A new call. 100 is already on its way; the owner answers with ring, accept, refuse or challenge."""

    leg: str
    request: Request
    flow: Flow
    offer: bytes | None
    """The SDP body, or None where the INVITE has none (the offer is then ours to make)."""


@dataclass(frozen=True, slots=True)
class LegProgressed:
    """A provisional response above 100 to our INVITE."""

    leg: str
    status: int
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """A 2xx to our INVITE (already acknowledged), with the answer to our offer."""

    leg: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class LegConfirmed:
    """The ACK to our 2xx arrived; it carries the answer where the INVITE had no offer."""

    leg: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class LegReoffered:
    """A re-INVITE; answer with `accept_reoffer` or `refuse_reoffer`."""

    leg: str
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class LegReofferAnswered:
    """An offer of ours was answered: in the 2xx to our re-INVITE, or in the ACK to a 2xx of ours."""

    leg: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class LegReofferRefused:
    """Our own re-INVITE failed for good (glare is retried inside the stack, RFC 3261 section 14.1)."""

    leg: str
    status: int


@dataclass(frozen=True, slots=True)
class LegInfoReceived:
    """An INFO inside the dialog (already answered 200), e.g. application/dtmf-relay."""

    leg: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class LegReferred:
    """A REFER inside the dialog; answer with `answer_refer`, then tell how it goes with `report_refer`."""

    leg: str
    wanted: ReferTo
    request: Request
    flow: Flow


EndedBy = Literal["remote", "local", "transport", "timeout"]


@dataclass(frozen=True, slots=True)
class LegEnded:
    """The leg is over; nothing more will be said of it. Sent exactly once for every leg.

    `status` is the final response where one ended the leg (ours or theirs), 0 after a BYE;
    a CANCEL of the peer reads as 487 by "remote"; an unanswered INVITE as 408 by "timeout";
    a missing ACK as 0 by "timeout"; a flow that broke as 503 by "transport".
    """

    leg: str
    by: EndedBy
    status: int
    reason: str = ""
    """The peer's Reason header or reason phrase, for the record; never trusted."""
    retry_after: float = 0.0
    """Seconds for which the peer asked to be left alone."""
    contacts: tuple[Uri, ...] = ()
    """Where a 3xx sends the call, the best first; never trusted."""


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request that belongs to no leg (REGISTER, OPTIONS, MESSAGE, ...). Answer it with `respond`."""

    transaction: str
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class SubscriptionAsked:
    """A SUBSCRIBE inside the dialog of a watcher. Answer with `renew_subscription` or `respond`."""

    subscription: str
    transaction: str
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class SubscriptionOver:
    """A watcher's time is over ("timeout": one last state is to be told), or it takes no more ("gone")."""

    subscription: str
    why: Literal["timeout", "gone"]


@dataclass(frozen=True, slots=True)
class RegistrationMade:
    """A provider has bound us for so many seconds; it is said again in time."""

    registration: str
    seconds: int


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """A provider did not bind us; the next attempt falls due in so many seconds.

    `status` is what it answered: 408 for nothing, 503 where it could not be reached; `why` a fixed word.
    """

    registration: str
    status: int
    why: Literal["refused", "credentials", "timeout", "transport"]
    retry_seconds: float
    realm: str = ""
    """Of `credentials`: the realm that was asked for, where we have nothing for it; never trusted."""
    retry_after: float = 0.0
    """Seconds for which the provider asked to be left alone; the next attempt is no sooner."""


@dataclass(frozen=True, slots=True)
class RegistrationDue:
    """It is time to register again; answer with `register`, over whichever flow leads there now."""

    registration: str


@dataclass(frozen=True, slots=True)
class PeerProbed:
    """What a peer said to our OPTIONS; 0 for nothing at all."""

    probe: str
    status: int
    retry_after: float = 0.0
    """Seconds for which the peer asked to be left alone."""


LegEvent = (
    LegProgressed
    | LegAnswered
    | LegConfirmed
    | LegReoffered
    | LegReofferAnswered
    | LegReofferRefused
    | LegInfoReceived
    | LegReferred
    | LegEnded
)

OutwardEvent = RegistrationMade | RegistrationFailed | RegistrationDue | PeerProbed

SipEvent = InviteReceived | RequestReceived | SubscriptionAsked | SubscriptionOver | OutwardEvent | LegEvent
