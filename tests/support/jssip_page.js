// A phone in a page: JsSIP's signalling is real, its media is a plain RTP address, for a browser would only
// speak DTLS-SRTP. What happens is kept in `happened` for the test to read.
"use strict";

const happened = [];
let phone = null;
let call = null;

function note(what, details = {}) {
  happened.push({ what, ...details });
}

class PlainPeerConnection extends EventTarget {
  constructor() {
    super();
    this.iceGatheringState = "complete";
    this.iceConnectionState = "connected";
    this.signalingState = "stable";
    this.localDescription = null;
  }

  async createOffer() {
    return { type: "offer", sdp: window.plainSdp };
  }

  async createAnswer() {
    return { type: "answer", sdp: window.plainSdp };
  }

  async setLocalDescription(description) {
    this.localDescription = description;
  }

  async setRemoteDescription(description) {
    note("description", { type: description.type, sdp: description.sdp });
  }

  getSenders() {
    return [];
  }

  close() {}
}

window.RTCPeerConnection = PlainPeerConnection;

const noMedia = { mediaConstraints: { audio: false, video: false } };

function follow(session) {
  call = session;
  for (const what of ["confirmed", "ended", "failed"]) {
    session.on(what, (event) => note(what, { by: event.originator, cause: event.cause }));
  }
}

function start({ url, user, password, sdp, answers }) {
  window.plainSdp = sdp;
  phone = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(url)],
    uri: `sip:${user}@acd.test`,
    password,
    register_expires: 120,
  });
  phone.on("registered", () => note("registered"));
  phone.on("unregistered", () => note("unregistered"));
  phone.on("registrationFailed", (event) => note("registration failed", { cause: event.cause }));
  phone.on("disconnected", () => note("disconnected"));
  phone.on("newRTCSession", ({ originator, session, request }) => {
    note("call", { by: originator, from: request.from.uri.user, queue: request.getHeader("X-ACD-Queue") });
    follow(session);
    if (originator === "remote" && answers) {
      session.answer(noMedia);
    }
  });
  phone.start();
}

function hangUp() {
  call.terminate();
}

function leave() {
  phone.stop();
}
