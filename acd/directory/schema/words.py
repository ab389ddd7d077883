"""The kinds of values that the directory file is made of, each with words that say what to do."""

from __future__ import annotations

import hashlib
import re
from ipaddress import ip_network
from typing import Annotated

import phonenumbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from acd.directory.model import OWN_QUEUES, AutoAnswer, Srtp
from routing.strategy import STRATEGIES

DAY_SECONDS = 86_400.0

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}|[0-9*#]{2,15}", re.ASCII)
_EXTENSION = re.compile(r"[0-9]{2,15}", re.ASCII)
_CODE = re.compile(r"[*#][0-9*#]{1,7}", re.ASCII)
_HOST_NAME = re.compile(r"[A-Za-z0-9.:_-]{1,253}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", re.ASCII)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a name: 1 to 64 of A-Z, a-z, 0-9, '_' and '-'")
    return value


def _queue_name(value: str) -> str:
    if value in OWN_QUEUES:
        raise ValueError(f"{value!r} is a name of the service's own; choose another")
    return _name(value)


def _number(value: str) -> str:
    if not _NUMBER.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a number: write it like '+3726000100' (E.164), or 2 to 15 of 0-9, '*', '#'"
        )
    return value


def _extension(value: str) -> str:
    if not _EXTENSION.fullmatch(value):
        raise ValueError(f"{value!r} is not an extension: 2 to 15 digits, like '1001'")
    return value


def _code(value: str) -> str:
    if not _CODE.fullmatch(value):
        raise ValueError(f"{value!r} is not a feature code: '*' or '#', then 1 to 7 of 0-9, '*', '#'")
    return value


def _language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError(f"{value!r} is not a language code like 'en' or 'pt-BR'")
    return value


def _network(value: str) -> str:
    """A CIDR network or a single address, in its canonical form."""
    try:
        network = ip_network(value)
    except ValueError:
        try:
            wanted = ip_network(value, strict=False)
        except ValueError:
            raise ValueError(
                f"{value!r} is not a network like '192.0.2.0/24' or an address like '192.0.2.7'"
            ) from None
        raise ValueError(f"{value!r} has bits beyond its mask; did you mean '{wanted}'?") from None
    if network.prefixlen == 0:
        raise ValueError(f"{value!r} lets the whole world call in as this trunk; name the carrier's networks")
    return str(network)


def _host_name(value: str) -> str:
    """A name that a certificate may carry, in lower case."""
    if not _HOST_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a host name like 'sbc.carrier.example' or an IP address")
    return value.lower()


def _country(value: str) -> str:
    if value and value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is not a country: write it like 'EE' (ISO 3166, two capital letters)")
    return value


def _header_name(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a SIP header like 'X-Customer'")
    return value


_OURS = """
    accept accept-contact accept-encoding accept-language alert-info allow allow-events answer-mode
    authentication-info authorization call-id call-info contact content-disposition content-encoding
    content-language content-length content-type cseq date diversion error-info event expires
    flow-timer from geolocation history-info identity in-reply-to join max-forwards mime-version
    min-expires min-se p-asserted-identity p-preferred-identity path privacy proxy-authenticate
    proxy-authorization proxy-require rack reason record-route refer-sub refer-to referred-by
    reject-contact remote-party-id replaces reply-to request-disposition require retry-after route
    rseq security-client security-server security-verify server service-route session-expires
    sip-etag sip-if-match subscription-state supported target-dialog timestamp to unsupported
    user-agent via warning www-authenticate x-acd-call-id
"""
"""Headers with a meaning to SIP itself, which the service writes where they belong."""


def _own_header(value: str) -> str:
    # A single letter is the short form of one of them (RFC 3261 section 7.3.3).
    if len(_header_name(value)) == 1 or value.lower() in _OURS.split():
        raise ValueError(f"{value!r} has a meaning of its own in SIP; send a header like 'X-Customer'")
    return value


def _plain_text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("contains control characters; remove them")
    return value


_KNOWN_ELSEWHERE = {
    "ringall": "'ring_agents: all' beside a strategy rings all who are free, 'ring_agents: 3' three",
    "leastrecent": "say 'longest-idle'",
    "fewestcalls": "say 'fewest-calls'",
    "rrmemory": "say 'round-robin'",
    "rrordered": "say 'round-robin'",
    "random": "say 'weighted-random'",
    "wrandom": "say 'weighted-random', with a 'weight' of each agent",
}
"""What other systems call it, and how it is said here."""


def _strategy(value: str) -> str:
    if value not in STRATEGIES:
        plain = re.sub(r"[^a-z]", "", value.lower())
        hint = _KNOWN_ELSEWHERE.get(plain) or f"there are {', '.join(STRATEGIES)}"
        raise ValueError(f"{value!r} is not a strategy; {hint}")
    return value


Name = Annotated[str, AfterValidator(_name)]
QueueName = Annotated[str, AfterValidator(_queue_name)]
Level = Annotated[int, Field(ge=1, le=10)]
Skills = dict[Name, Level]
Seconds = Annotated[float, Field(gt=0, le=DAY_SECONDS, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0, le=DAY_SECONDS, allow_inf_nan=False)]
"""0 turns the thing off."""
Text = Annotated[str, Field(max_length=128), AfterValidator(_plain_text)]
Password = Annotated[str, Field(min_length=6, max_length=128, repr=False), AfterValidator(_plain_text)]
Dialled = Annotated[str, AfterValidator(_number)]
Extension = Annotated[str, AfterValidator(_extension)]
Code = Annotated[str, AfterValidator(_code)]
Language = Annotated[str, AfterValidator(_language)]
Languages = (
    Annotated[list[Language], Field(max_length=20)] | Annotated[dict[Language, Level], Field(max_length=20)]
)
"""A list, or each with a level."""
Network = Annotated[str, AfterValidator(_network)]
HostName = Annotated[str, AfterValidator(_host_name)]
Country = Annotated[str, AfterValidator(_country)]
StrategyName = Annotated[str, AfterValidator(_strategy)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
OwnHeaderName = Annotated[str, AfterValidator(_own_header)]
OFF = BeforeValidator(lambda value: "off" if value is False else value)
"""YAML reads a bare `off` as false."""
SrtpChoice = Annotated[Srtp, OFF]
AutoAnswerChoice = Annotated[AutoAnswer, OFF]


class Entry(BaseModel):
    # Strict, so that 1001 without quotes is an error and not a number that lost its leading zeros.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def password_hashes(username: str, realm: str, password: str) -> dict[str, str]:
    """What is kept of a password: HA1 by both algorithms, good for one realm (RFC 7616 section 3.4.2)."""
    secret = f"{username}:{realm}:{password}".encode()
    return {
        "ha1_md5": hashlib.md5(secret, usedforsecurity=False).hexdigest(),
        "ha1_sha256": hashlib.sha256(secret).hexdigest(),
    }
