"""The process of one pjsua2 phone: commands come as JSON lines, and so do answers and what happens.

`python -m tests.support.pjsua_process '{"user": ...}'`; steered by tests.support.pjsua. The library runs
without threads of its own: this loop is the only one that enters it.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path
from typing import Any

import pjsua2 as pj

_TRANSPORTS = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}
_RELIABLE = {
    "no": pj.PJSUA_100REL_NOT_USED,
    "optional": pj.PJSUA_100REL_OPTIONAL,
    "required": pj.PJSUA_100REL_MANDATORY,
}
_TIMER = {
    "no": pj.PJSUA_SIP_TIMER_INACTIVE,
    "optional": pj.PJSUA_SIP_TIMER_OPTIONAL,
    "required": pj.PJSUA_SIP_TIMER_REQUIRED,
    "always": pj.PJSUA_SIP_TIMER_ALWAYS,
}
_SRTP = {
    "no": pj.PJMEDIA_SRTP_DISABLED,
    "optional": pj.PJMEDIA_SRTP_OPTIONAL,
    "required": pj.PJMEDIA_SRTP_MANDATORY,
}
_STATES = {pj.PJSIP_INV_STATE_CONFIRMED: "talking", pj.PJSIP_INV_STATE_DISCONNECTED: "ended"}


def tell(kind: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"event": kind, **facts}) + "\n")
    sys.stdout.flush()


class PhoneCall(pj.Call):
    """A call whose audio is played from and recorded to files."""

    def __init__(self, phone: Phone, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(phone.account, call_id)
        self.phone = phone
        self.audio: list[Any] = []

    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        if info.state in _STATES:
            tell(_STATES[info.state], line=info.id, status=info.lastStatusCode)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.audio.clear()
            self.phone.ended.append(self.phone.calls.pop(info.id))

    def onCallMediaState(self, prm: Any) -> None:
        info = self.getInfo()
        for one in info.media:
            if one.type == pj.PJMEDIA_TYPE_AUDIO:
                tell("media", line=info.id, status=one.status)
                if one.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                    self._connect(info.id, one.index)

    def _connect(self, number: int, index: int) -> None:
        media = self.getAudioMedia(index)
        if not self.audio:
            player, recorder = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
            player.createPlayer(str(self.phone.dir / "voice.wav"))
            recorder.createRecorder(str(self.phone.dir / f"heard-{number}.wav"))
            self.audio += [player, recorder]
        player, recorder = self.audio
        player.startTransmit(media)
        media.startTransmit(recorder)

    def onCallTransferStatus(self, prm: Any) -> None:
        tell("transfer", status=prm.statusCode, final=prm.finalNotify)

    def onCallTransferRequest(self, prm: Any) -> None:
        prm.statusCode = pj.PJSIP_SC_DECLINE

    def onDtmfDigit(self, prm: Any) -> None:
        tell("digit", digit=prm.digit)

    def onCallTsxState(self, prm: Any) -> None:
        transaction = prm.e.body.tsxState.tsx
        if transaction.state == pj.PJSIP_TSX_STATE_COMPLETED:
            roles = {pj.PJSIP_ROLE_UAC: "sent", pj.PJSIP_ROLE_UAS: "received"}
            tell(roles[transaction.role], method=transaction.method, status=transaction.statusCode)


class PhoneAccount(pj.Account):
    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self.phone = phone
        self.is_known = False

    def onRegState(self, prm: Any) -> None:
        self.is_known = prm.code == 200 and prm.expiration > 0
        tell("registered" if self.is_known else "unregistered", status=prm.code)

    def onMwiInfo(self, prm: Any) -> None:
        tell("messages", notify=prm.rdata.wholeMsg)

    def onIncomingCall(self, prm: Any) -> None:
        call = PhoneCall(self.phone, prm.callId)
        self.phone.calls[prm.callId] = call
        tell("incoming", line=prm.callId, message=prm.rdata.wholeMsg)
        answers = self.phone.settings["answers"]
        if answers is True or (answers == "asked" and ";answer-after=0" in prm.rdata.wholeMsg):
            self.phone.answer(prm.callId, 180)
            self.phone.to_answer.append(prm.callId)


class Phone:
    """The library with one account. Commands are its methods whose names begin with `do_`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.dir = Path(settings["dir"])
        self.calls: dict[int, PhoneCall] = {}
        self.ended: list[PhoneCall] = []
        self.to_answer: list[int] = []
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.logConfig.level = 4
        config.logConfig.consoleLevel = 0
        config.logConfig.msgLogging = 1
        config.logConfig.filename = str(self.dir / "log.txt")
        config.medConfig.hasIoqueue = True
        config.medConfig.noVad = True
        self.endpoint.libInit(config)
        self._open_transport()
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        for codec in self.endpoint.codecEnum2():
            wanted = codec.codecId.startswith(tuple(settings["codecs"]))
            self.endpoint.codecSetPriority(codec.codecId, 128 if wanted else 0)
        self.account = PhoneAccount(self)
        self.account.create(self._account_config())

    def _open_transport(self) -> None:
        config = pj.TransportConfig()
        config.boundAddress = self.settings["host"]
        config.port = self.settings["port"]
        if self.settings["authority"]:
            config.tlsConfig.CaListFile = self.settings["authority"]
            config.tlsConfig.verifyServer = True
        if self.settings["certificate"]:
            config.tlsConfig.certFile = config.tlsConfig.privKeyFile = self.settings["certificate"]
            config.tlsConfig.verifyClient = config.tlsConfig.requireClientCert = True
        self.endpoint.transportCreate(_TRANSPORTS[self.settings["transport"]], config)

    def uri(self, user: str) -> str:
        host, port = self.settings["server"]
        return f"sip:{user}@{host}:{port};transport={self.settings['transport']}"

    def _account_config(self) -> Any:
        settings = self.settings
        config = pj.AccountConfig()
        config.idUri = f"sip:{settings['user']}@{settings['server'][0]}"
        if settings["registers"]:
            config.regConfig.registrarUri = self.uri("").replace("sip:@", "sip:")
        config.regConfig.timeoutSec = 300
        credentials = pj.AuthCredInfo("digest", "*", settings["user"], 0, settings["password"])
        config.sipConfig.authCreds.append(credentials)
        config.callConfig.prackUse = _RELIABLE[settings["reliable"]]
        config.callConfig.timerUse = _TIMER[settings["timer"]]
        config.callConfig.timerSessExpiresSec = 90
        config.mediaConfig.srtpUse = _SRTP[settings["srtp"]]
        config.mediaConfig.srtpSecureSignaling = 1 if settings["transport"] == "tls" else 0
        config.mediaConfig.transportConfig.boundAddress = settings["host"]
        config.natConfig.contactRewriteUse = 0
        if settings["messages"]:
            config.mwiConfig.enabled = True
            config.sipConfig.proxies.append(self.uri("").replace("sip:@", "sip:") + ";lr")
        return config

    # Commands.

    def answer(self, line: int, status: int) -> None:
        prm = pj.CallOpParam()
        prm.statusCode = status
        self.calls[line].answer(prm)

    def do_answer(self, line: int, status: int = 200) -> None:
        self.answer(line, status)

    def do_dial(self, number: str) -> int:
        call = PhoneCall(self)
        call.makeCall(self.uri(number), pj.CallOpParam(True))
        self.calls[call.getId()] = call
        return int(call.getId())

    def do_hang_up(self, line: int) -> None:
        self.calls[line].hangup(pj.CallOpParam())

    def do_hold(self, line: int) -> None:
        self.calls[line].setHold(pj.CallOpParam())

    def do_resume(self, line: int) -> None:
        prm = pj.CallOpParam(True)
        prm.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[line].reinvite(prm)

    def do_update(self, line: int) -> None:
        self.calls[line].update(pj.CallOpParam(True))

    def do_transfer(self, line: int, to: str) -> None:
        self.calls[line].xfer(self.uri(to), pj.CallOpParam())

    def do_join(self, line: int, other: int) -> None:
        self.calls[line].xferReplaces(self.calls[other], pj.CallOpParam())

    def do_press(self, line: int, digits: str, method: str = "rtp") -> None:
        prm = pj.CallSendDtmfParam()
        prm.digits = digits
        prm.method = pj.PJSUA_DTMF_METHOD_RFC2833 if method == "rtp" else pj.PJSUA_DTMF_METHOD_SIP_INFO
        self.calls[line].sendDtmf(prm)

    def do_request(self, line: int, method: str) -> None:
        prm = pj.CallSendRequestParam()
        prm.method = method
        self.calls[line].sendRequest(prm)

    # The loop.

    def obey(self, line: str) -> None:
        order = json.loads(line)
        try:
            result = getattr(self, "do_" + order.pop("do"))(**order)
        except (pj.Error, KeyError) as error:
            reason = error.info() if isinstance(error, pj.Error) else f"no line {error}"
            tell("answer", error=reason)
        else:
            tell("answer", result=result)

    def run(self) -> None:
        rest = b""
        while True:
            self.endpoint.libHandleEvents(10)
            while self.to_answer:
                self.answer(self.to_answer.pop(), 200)
            self.ended.clear()
            if select.select([0], [], [], 0)[0]:
                data = os.read(0, 65536)
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.obey(line.decode())

    def close(self) -> None:
        """Hang up and unregister; the library's own end would take a second longer."""
        self.endpoint.hangupAllCalls()
        self.account.setRegistration(False)
        for _ in range(50):
            self.endpoint.libHandleEvents(10)
            if not self.account.is_known:
                break
        os._exit(0)


def main() -> None:
    phone = Phone(json.loads(sys.argv[1]))
    tell("ready")
    try:
        phone.run()
    finally:
        phone.close()


if __name__ == "__main__":
    main()
