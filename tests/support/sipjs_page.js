// A phone in a page: SIP.js's signalling is real, its media is a plain RTP address, for a browser would only
// speak DTLS-SRTP. What happens is kept in `happened` for the test to read.
"use strict";

const happened = [];
let phone = null;
let account = null;
let call = null;
let hungUp = false;

function note(what, details = {}) {
  happened.push({ what, ...details });
}

class PlainDescription {
  constructor(sdp) {
    this.sdp = sdp;
  }

  async getDescription() {
    return { body: this.sdp, contentType: "application/sdp" };
  }

  hasDescription(contentType) {
    return contentType === "application/sdp";
  }

  async setDescription(sdp) {
    note("description", { sdp });
  }

  sendDtmf() {
    return false;
  }

  close() {}
}

function follow(session) {
  call = session;
  session.stateChange.addListener((state) => {
    if (state === SIP.SessionState.Established) {
      note("confirmed");
    } else if (state === SIP.SessionState.Terminated) {
      note("ended", { by: hungUp ? "local" : "remote" });
    }
  });
}

function onInvite(invitation, answers) {
  note("call", {
    by: "remote",
    from: invitation.remoteIdentity.uri.user,
    queue: invitation.request.getHeader("X-ACD-Queue"),
  });
  follow(invitation);
  if (answers) {
    invitation.accept();
  }
}

async function start({ url, user, password, sdp, answers }) {
  phone = new SIP.UserAgent({
    uri: SIP.UserAgent.makeURI(`sip:${user}@acd.test`),
    authorizationUsername: user,
    authorizationPassword: password,
    transportOptions: { server: url },
    sessionDescriptionHandlerFactory: () => new PlainDescription(sdp),
    delegate: {
      onInvite: (invitation) => onInvite(invitation, answers),
      onDisconnect: () => note("disconnected"),
    },
  });
  await phone.start();
  account = new SIP.Registerer(phone, { expires: 120 });
  account.stateChange.addListener((state) => note(state.toLowerCase()));
  await account.register({
    requestDelegate: { onReject: (response) => note("registration failed", { cause: response.message.statusCode }) },
  });
}

async function hangUp() {
  hungUp = true;
  await call.bye();
}

async function leave() {
  await account.unregister();
}
