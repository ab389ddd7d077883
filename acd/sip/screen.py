"""What an agent's phone shows of a call, and what else its device profile asks for. Pure."""

from __future__ import annotations

from urllib.parse import quote

from acd.directory.model import Device

_AUTO_ANSWER = {
    "off": (),
    "answer-after": (("Call-Info", "<sip:acd@invalid>;answer-after=0"),),
    "alert-info": (("Alert-Info", "<http://acd.invalid>;info=alert-autoanswer;delay=0"),),
    "answer-mode": (("Answer-Mode", "Auto"),),
}
"""What kinds of phones understand: Snom, Grandstream and Linphone; Polycom and Yealink; RFC 5373."""


def display_name(device: Device, caller_name: str, number: str, queue: str) -> str:
    """The name beside the number; `queue` is "" where a colleague calls."""
    if not queue or device.display == "caller":
        return caller_name
    caller = caller_name or number
    return f"{queue}: {caller}" if device.display == "queue-caller" else f"{caller} ({queue})"


def device_headers(device: Device, *, number: str, queue: str, call_id: str) -> tuple[tuple[str, str], ...]:
    """What lets the phone take the call by itself, and the page that it may open (RFC 3261 section 20.9)."""
    automatic = _AUTO_ANSWER[device.auto_answer]
    if not device.call_info:
        return automatic
    words = {"number": number, "queue": queue, "call": call_id}
    page = device.call_info.format(**{name: quote(word, safe="") for name, word in words.items()})
    return (*automatic, ("Call-Info", f"<{page}>;purpose=info"))
