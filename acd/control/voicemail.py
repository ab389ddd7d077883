"""/v1/voicemail: the boxes, their messages, and the audio of each."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from acd.control.problems import Problem, not_found
from acd.control.route import Ask, Route
from acd.control.tokens import Role
from acd.control.words import PageQuery, Seconds, Time, time_of
from acd.directory.boxes import all_boxes, may_listen
from acd.voicemail.model import BoxCount
from acd.voicemail.model import Message as KeptMessage

_BY_API = "api"


class Box(BaseModel):
    box: str = Field(description="`agent:`, `queue:` or `box:` and a name.", examples=["agent:anna"])
    new: int
    heard: int
    takes_messages: bool = Field(description="False for one that left the directory and has messages still.")


class Boxes(BaseModel):
    items: list[Box]


class Message(BaseModel):
    id: str
    box: str
    call_id: str
    caller: str
    caller_name: str | None
    called: str
    queue: str | None
    node: str = Field(description="Where its audio lies, unless the nodes share a folder.")
    received_at: Time
    seconds: Seconds
    heard_at: Time | None = Field(description="Null for a new one.")
    heard_by: str | None = Field(description="The agent who listened first, or `api`.")


class Messages(BaseModel):
    items: list[Message]
    next_cursor: str | None = Field(description="Null on the last page.")


class MessageChange(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    heard: bool = Field(description="False makes it new again.")


def message_of(kept: KeptMessage) -> Message:
    return Message(
        id=kept.id,
        box=kept.box,
        call_id=kept.call_id,
        caller=kept.caller,
        caller_name=kept.caller_name or None,
        called=kept.called,
        queue=kept.queue or None,
        node=kept.node,
        received_at=time_of(kept.received_at),
        seconds=max(kept.seconds, 0.0),
        heard_at=None if kept.heard_at is None else time_of(kept.heard_at),
        heard_by=kept.heard_by or None,
    )


def _known(ask: Ask) -> dict[str, BoxCount]:
    """Every box that takes messages or has some; an agent's are those that they may listen to by phone."""
    counts = dict(ask.context.messages.counts)
    known = {**{box: BoxCount() for box in all_boxes(ask.context.directory())}, **counts}
    return {box: count for box, count in known.items() if _is_own(ask, box)}


def _is_own(ask: Ask, box: str) -> bool:
    directory = ask.context.directory()
    return not ask.agent or may_listen(directory, box, directory.agents[ask.agent])


def _box(ask: Ask) -> str:
    box = ask.name("box")
    ask.check_own(_is_own(ask, box), "box")
    return box


async def list_boxes(ask: Ask) -> Boxes:
    taking = set(all_boxes(ask.context.directory()))
    return Boxes(
        items=[
            Box(box=box, new=count.new, heard=count.heard, takes_messages=box in taking)
            for box, count in sorted(_known(ask).items())
        ]
    )


async def list_messages(ask: Ask) -> Messages:
    query, box = ask.query(PageQuery), _box(ask)
    if box not in _known(ask):
        raise not_found("box")
    try:
        page = await ask.context.messages.of(box, query.cursor, query.limit)
    except ValueError as error:
        raise Problem(400, "bad-cursor", "The cursor is none that this service gave out.") from error
    return Messages(items=[message_of(kept) for kept in page.messages], next_cursor=page.next_cursor)


async def _find(ask: Ask) -> KeptMessage:
    box, kept = _box(ask), await ask.context.messages.find(ask.name("id"))
    if kept is None or kept.box != box:
        raise not_found("message")
    return kept


async def get_message_audio(ask: Ask) -> web.StreamResponse:
    """A WAV file, or the range of it that was asked for (RFC 9110 section 14)."""
    kept = await _find(ask)
    audio = ask.context.messages.audio(kept.id)
    if not audio.is_file():
        raise Problem(409, "audio-elsewhere", f"The audio lies with node {kept.node}; ask there.")
    return web.FileResponse(audio, headers={"Content-Type": "audio/wav"})


async def change_message(ask: Ask) -> Message:
    wanted, kept = await ask.body(MessageChange), await _find(ask)
    await ask.context.messages.mark(kept.id, wanted.heard, ask.agent or _BY_API)
    return message_of(await _find(ask))


async def delete_message(ask: Ask) -> None:
    kept = await _find(ask)
    await ask.context.messages.delete(kept.id)


_TAG = "voicemail"
_MESSAGE = "/v1/voicemail/{box}/{id}"

ROUTES = (
    Route(
        "GET",
        "/v1/voicemail",
        list_boxes,
        Role.VIEWER,
        _TAG,
        "Boxes and how many messages they have",
        answer=Boxes,
        own="handler",
    ),
    Route(
        "GET",
        "/v1/voicemail/{box}",
        list_messages,
        Role.SUPERVISOR,
        _TAG,
        "Messages of a box, newest first",
        answer=Messages,
        query=PageQuery,
        errors=(404,),
        own="handler",
        audited=True,
    ),
    Route(
        "GET",
        f"{_MESSAGE}/audio",
        get_message_audio,
        Role.SUPERVISOR,
        _TAG,
        "The audio of a message",
        media_type="audio/wav",
        errors=(404, 409),
        own="handler",
        audited=True,
    ),
    Route(
        "PATCH",
        _MESSAGE,
        change_message,
        Role.SUPERVISOR,
        _TAG,
        "Mark a message as heard or as new",
        answer=Message,
        body=MessageChange,
        errors=(404,),
        own="handler",
    ),
    Route(
        "DELETE",
        _MESSAGE,
        delete_message,
        Role.SUPERVISOR,
        _TAG,
        "Delete a message",
        errors=(404,),
        own="handler",
    ),
)
