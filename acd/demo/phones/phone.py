"""A pyVoIP phone that a strict server can live with, and its calls."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

# pyVoIP.VoIP first: importing pyVoIP.SIP first is a circular import.
from pyVoIP.VoIP import CallState, VoIPCall, VoIPPhone  # isort: skip
from pyVoIP.RTP import PayloadType, TransmitType
from pyVoIP.SIP import SIPMessage

from acd.demo.phones.audio import RepairedRtp
from acd.demo.phones.line import Line
from acd.demo.phones.voice import Ear
from acd.demo.phones.wire import Dialog, SipText, answer_to, direction_of, new_branch, response, sdp

_OFFERED: dict[Any, PayloadType] = {0: PayloadType.PCMU, 101: PayloadType.EVENT}


class PhoneCall(VoIPCall):
    """One call. `ended` is set by whichever side ends it; `cause` then says how."""

    phone: Phone
    RTPClients: list[RepairedRtp]  # type: ignore[assignment]

    def __init__(
        self,
        phone: Phone,
        state: CallState,
        *,
        invite: SipText,
        dialog: Dialog,
        ear: Ear,
        ms: dict[int, Any] | None = None,
    ) -> None:
        self.ear = ear
        self.voice: tuple[bytes, ...] = ()
        self.invite = invite
        self.dialog = dialog
        self.branch = ""
        self.version = 2
        self.ringing = threading.Event()
        self.decided = threading.Event()
        """Answered, refused or over."""
        self.ended = threading.Event()
        self.cause = ""
        self.ended_at = 0.0
        self.status = 0
        self.last_reply = b""
        super().__init__(phone, state, SIPMessage(invite.raw), 1, phone.myIP, ms, "sendrecv")

    def create_rtp_clients(
        self, codecs: dict[int, Any], ip: str, port: int, request: SIPMessage, baseport: int
    ) -> None:
        """One audio stream, by the repaired client."""
        far = request.body["c"][-1]["address"]
        self.RTPClients = [
            RepairedRtp(codecs, ip, port, far, baseport, "sendrecv", ear=self.ear, voice=self.voice)
        ]

    def speak(self, voice: tuple[bytes, ...]) -> None:
        """Say these frames over and over."""
        self.voice = voice
        for client in self.RTPClients:
            client.voice = voice

    def press(self, digits: str) -> None:
        """Send digits by RFC 4733."""
        for client in self.RTPClients:
            client.press(digits)

    def accept(self) -> bool:
        """Send 200. False where the caller has gone in the meantime."""
        with self.phone.lock:
            if self.state != CallState.RINGING:
                return False
            self.state = CallState.ANSWERED
            for client in self.RTPClients:
                client.start()
            self.reply(self.invite, 200, self.own_sdp("sendrecv"), until_ack=True)
            self.decided.set()
        return True

    def deny(self) -> None:
        """Send 486."""
        with self.phone.lock:
            if self.state == CallState.RINGING:
                self.reply(self.invite, 486, until_ack=True)
                self.over("refused-by-us")

    def hangup(self) -> None:
        """BYE, or CANCEL while nothing is decided (RFC 3261 section 9.1)."""
        with self.phone.lock:
            key = self.call_id
            if self.state == CallState.ANSWERED:
                self.phone.sip.send(self.dialog.request("BYE"), repeat_as=(key, "BYE"))
                self.over("hung-up-by-us")
            elif self.state == CallState.DIALING:
                cancel = self.dialog.request("CANCEL", cseq=self.dialog.cseq, branch=self.branch)
                self.phone.sip.send(cancel, repeat_as=(key, "CANCEL"))

    def over(self, cause: str) -> None:
        """Let go of the audio; the first cause counts."""
        for client in self.RTPClients:
            client.NSD = False
            if hasattr(client, "sin"):
                client.stop()
        self.state = CallState.ENDED
        self.cause = self.cause or cause
        self.ended_at = self.ended_at or time.monotonic()
        self.decided.set()
        self.ended.set()

    def own_sdp(self, direction: str) -> str:
        client = self.RTPClients[0]
        kinds = {key: str(kind) for key, kind in client.assoc.items()}
        return sdp(self.myIP, client.inPort, kinds, version=self.version, direction=direction)

    def reply(self, request: SipText, status: int, body: str = "", *, until_ack: bool = False) -> None:
        tag = self.dialog.local.rpartition(";tag=")[2]
        data = response(request, status, tag, self.phone.sip.contact, body)
        if request.method == "INVITE":
            self.last_reply = data
        self.phone.sip.send(data, repeat_as=(self.call_id, "ACK") if until_ack else None)

    def on_reinvite(self, request: SipText) -> None:
        """Answer a re-INVITE on the same port, with the mirrored direction: so we are put on hold."""
        direction = direction_of(request.body)
        self.version += 1
        if request.body:
            message = SIPMessage(request.raw)
            client = self.RTPClients[0]
            client.outIP = message.body["c"][-1]["address"]
            client.outPort = message.body["m"][0]["port"]
            client.sending = direction in ("sendrecv", "recvonly")
        self.dialog.target = request.target or self.dialog.target
        self.reply(request, 200, self.own_sdp(answer_to(direction)), until_ack=True)

    def __del__(self) -> None:
        """pyVoIP gives ports back here; ours belong to the system."""


class Phone(VoIPPhone):
    """`on_call` runs in a thread of its own for each call to us. Without a password it never registers."""

    sip: Line
    calls: dict[str, PhoneCall]  # type: ignore[assignment]

    def __init__(
        self,
        server: tuple[str, int],
        user: str,
        password: str,
        *,
        bind: tuple[str, int],
        on_call: Callable[[PhoneCall], None] | None = None,
        awaited_tone: float,
    ) -> None:
        super().__init__(*server, user, password, myIP=bind[0], sipPort=bind[1])
        self.on_call = on_call
        self.lock = threading.RLock()
        self.sip = Line(*server, user, password, phone=self, myIP=bind[0], myPort=bind[1])
        self._awaited_tone = awaited_tone

    def start(self) -> None:
        self.NSD = True
        self.sip.start()

    def stop(self, failed: bool = False) -> None:
        with self.lock:
            live = list(self.calls.values())
        for call in live:
            call.hangup()
        self.sip.stop()

    def request_port(self, blocking: bool = True) -> int:
        """An even port that is free now. pyVoIP draws lots and may draw one that is in use."""
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((self.myIP, 0))
                port: int = probe.getsockname()[1]
            if port % 2 == 0:
                return port

    def release_ports(self, call: VoIPCall | None = None) -> None:
        """Nothing to give back: ports are the system's."""

    def knows(self, message: SipText) -> bool:
        return message.get("call-id") in self.calls

    # outgoing

    def call(self, number: str, caller: str = "") -> PhoneCall:
        """Dial and return at once; wait on the call's `decided`."""
        port = self.request_port()
        call_id, branch = self.sip.gen_call_id(), new_branch()
        with self.lock:
            text = self.sip.gen_invite(
                number, str(self.sip.sessID.next()), {port: _OFFERED}, TransmitType.SENDRECV, branch, call_id
            )
            text = text.replace(f"sip:{self.username}@", f"sip:{caller or self.username}@")
            invite = SipText.parse(text.encode())
            if invite is None:
                raise ValueError(f"pyVoIP cannot dial {number!r}")
            dialog = Dialog(
                call_id,
                invite.get("from"),
                invite.get("to"),
                invite.first.split()[1],
                self.sip.host,
                cseq=invite.cseq,
            )
            call = PhoneCall(
                self,
                CallState.DIALING,
                ms={port: _OFFERED},
                invite=invite,
                dialog=dialog,
                ear=Ear(self._awaited_tone),
            )
            call.branch = branch
            self.calls[call_id] = call
            self.sip.send(invite.raw, repeat_as=(call_id, "INVITE"))
        return call

    def on_response(self, message: SipText) -> None:
        """A response to INVITE, BYE or CANCEL."""
        self.sip.answered((message.get("call-id"), message.method))
        with self.lock:
            call = self.calls.get(message.get("call-id"))
            if call is None or message.method != "INVITE" or message.status == 100:
                return
            if message.status < 200:
                call.ringing.set()
            elif message.status < 300:
                self._on_answer(call, message)
            else:
                ack = call.dialog.request("ACK", cseq=message.cseq, branch=call.branch)
                self.sip.send(_with_to(ack, message.get("to")))
                call.status = message.status
                call.over(f"refused-{message.status}")

    def _on_answer(self, call: PhoneCall, message: SipText) -> None:
        """Every 2xx is acknowledged, the first one starts the audio (RFC 3261 section 13.2.2.4)."""
        call.dialog.remote = message.get("to")
        call.dialog.target = message.target or call.dialog.target
        self.sip.send(call.dialog.request("ACK", cseq=message.cseq))
        if call.state == CallState.DIALING:
            call.answered(SIPMessage(message.raw))
            call.status = message.status
            call.decided.set()

    # incoming

    def on_request(self, message: SipText) -> None:
        """INVITE, or anything inside a call of ours."""
        with self.lock:
            call = self.calls.get(message.get("call-id"))
            if call is None:
                self._on_new_call(message)
            elif message.method == "INVITE":
                self._on_invite_again(call, message)
            elif message.method == "ACK":
                self.sip.answered((call.call_id, "ACK"))
                self._forget_ended()
            elif message.method == "BYE":
                self.sip.answered((call.call_id, "ACK"))
                call.reply(message, 200)
                call.over("hung-up-by-far-end")
            elif message.method == "CANCEL":
                call.reply(message, 200)
                if call.state == CallState.RINGING:
                    call.reply(call.invite, 487, until_ack=True)
                    call.over("cancelled")
            else:
                call.reply(message, 200 if message.method in ("OPTIONS", "INFO", "NOTIFY") else 405)

    def _on_invite_again(self, call: PhoneCall, message: SipText) -> None:
        if message.cseq <= call.invite.cseq and call.last_reply:
            self.sip.send(call.last_reply)
        elif call.state == CallState.ANSWERED:
            call.invite = message
            call.on_reinvite(message)
        else:
            call.reply(message, 481)

    def _on_new_call(self, message: SipText) -> None:
        tag = self.sip.gen_tag()
        busy = any(not call.ended.is_set() for call in self.calls.values())
        if ";tag=" in message.get("to"):
            self.sip.send(response(message, 481, tag, self.sip.contact))
            return
        if self.on_call is None or busy:
            self.sip.send(response(message, 486, tag, self.sip.contact))
            return
        dialog = Dialog(
            message.get("call-id"),
            f"{message.get('to')};tag={tag}",
            message.get("from"),
            message.target,
            self.sip.host,
        )
        call = PhoneCall(
            self,
            CallState.RINGING,
            invite=message,
            dialog=dialog,
            ear=Ear(self._awaited_tone),
        )
        self.calls[dialog.call_id] = call
        call.reply(message, 180)
        threading.Thread(target=self.on_call, args=(call,), name="call", daemon=True).start()

    def _forget_ended(self) -> None:
        """Ended calls are kept while the far end may repeat itself, sixteen of them at most."""
        ended = [key for key, call in self.calls.items() if call.ended.is_set()]
        for key in ended[:-16]:
            del self.calls[key]


def _with_to(data: bytes, to: str) -> bytes:
    """An ACK for a refusal carries the To of the refusal (RFC 3261 section 17.1.1.3)."""
    lines = data.decode().split("\r\n")
    return "\r\n".join(f"To: {to}" if line.startswith("To: ") else line for line in lines).encode()
