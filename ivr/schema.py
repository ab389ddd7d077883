"""The keys of each kind of node, and how its YAML becomes a frozen dataclass."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import yaml

from ivr.flow import Callback, Echo, HangUp, Menu, Music, Node, Play, Queue, Set, Transfer, Voicemail
from ivr.prompts import PromptLibrary
from ivr.reader import NAME, Fields, Reader, is_empty, shown

_DIGITS = frozenset("0123456789*#ABCD")
_TARGET = re.compile(r"number:\+?[0-9*#]{1,32}|extension:[A-Za-z0-9._-]{1,32}")
_BOX = re.compile(r"(agent|queue|box):[A-Za-z0-9_-]{1,64}|extension:[0-9]{2,15}")
_LONGEST_MESSAGE_SECONDS = 3600.0
_LONGEST_MENU_SECONDS = 120.0
_MOST_RETRIES = 10
_LONGEST_PLAY_SECONDS = 4 * 3600.0
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", re.ASCII)
_MOST_LANGUAGES = 9
_HIGHEST_PRIORITY = 99
_HIGHEST_LEVEL = 10
_SET_KEYS = ("language", "languages", "skills", "priority", "agent")
CALLBACK_PROMPTS = (
    *("callback-number", "callback-confirm", "callback-other", "callback-leave", "callback-enter"),
    *("callback-noted", "callback-known", "goodbye", "not-possible", "invalid-choice", "no-input"),
    *(f"digit-{digit}" for digit in range(10)),
)
VOICEMAIL_PROMPTS = (
    *("voicemail-greeting", "beep", "voicemail-saved", "voicemail-empty", "voicemail-full"),
    *("goodbye", "not-possible"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """What a flow may refer to."""

    prompts: PromptLibrary
    languages: frozenset[str]


class NodeReader:
    """Reads the nodes of one flow file; `build` gives None for a node of no known kind."""

    def __init__(self, reader: Reader, site: Site) -> None:
        self._reader = reader
        self._site = site
        self._kinds: Mapping[str, Callable[[yaml.Node, Fields], Node]] = {
            "play": self._play,
            "menu": self._menu,
            "set": self._set,
            "queue": self._queue,
            "transfer": self._transfer,
            "callback": self._callback,
            "voicemail": self._voicemail,
            "hangup": self._hang_up,
            "echo": lambda at, fields: Echo(self._duration(fields["echo"], "echo", Echo().seconds)),
            "music": lambda at, fields: Music(self._duration(fields["music"], "music", Music().seconds)),
        }

    def build(self, at: yaml.Node) -> Node | None:
        """One node of the flow, with every fault noted."""
        fields = self._reader.fields(at, "a node")
        kinds = [key for key in fields if key in _KEYS]
        if len(kinds) != 1:
            if isinstance(at, yaml.MappingNode):
                found = f"not {' and '.join(kinds)} together" if kinds else "none is there"
                self._reader.fault(at, f"needs exactly one of {', '.join(_KEYS)}; {found}")
            return None
        kind = kinds[0]
        required, optional = _KEYS[kind]
        self.check_keys(at, fields, (kind, *required), optional, f"a {kind} node")
        return self._kinds[kind](at, fields)

    def check_keys(
        self,
        at: yaml.Node,
        fields: Fields,
        required: Collection[str],
        optional: Collection[str],
        what: str,
    ) -> None:
        """Note keys that are missing or unknown."""
        known = [*required, *optional]
        for key, value in fields.items():
            if key not in known:
                self._reader.fault(value, f"unknown key {key!r}; {what} has: {', '.join(known)}")
        for key in required:
            if key not in fields and isinstance(at, yaml.MappingNode):
                self._reader.fault(at, f"{what} needs {key!r}")

    def _play(self, at: yaml.Node, fields: Fields) -> Play:
        barge_in = "barge_in" in fields and self._reader.flag(fields["barge_in"], "barge_in")
        return Play(self._prompts(fields["play"], "play", 1), self._next(fields, "next"), barge_in)

    def _menu(self, at: yaml.Node, fields: Fields) -> Menu:
        usual = Menu(prompts=(), choices={}, otherwise="")
        menu = Menu(
            prompts=self._prompts(fields["menu"], "menu", 1),
            choices=self._choices(fields),
            otherwise=self._next(fields, "otherwise"),
            timeout_seconds=self._timeout(fields, usual.timeout_seconds),
            retries=self._whole(fields, "retries", 0, _MOST_RETRIES, usual.retries),
            on_timeout=self._said(fields, "on_timeout", usual.on_timeout),
            on_invalid=self._said(fields, "on_invalid", usual.on_invalid),
        )
        if "on_invalid" not in fields and menu.retries:
            for prompt in usual.on_invalid:
                self._check_prompt(at, prompt, " (said after a wrong digit; on_invalid names another)")
        return menu

    def _set(self, at: yaml.Node, fields: Fields) -> Set:
        values = self._reader.fields(fields["set"], "set")
        self.check_keys(fields["set"], values, (), _SET_KEYS, "set")
        if not values and isinstance(fields["set"], yaml.MappingNode):
            self._reader.fault(
                fields["set"], "set needs at least one of language, languages, skills, priority, agent"
            )
        levels = self._reader.fields(values["skills"], "skills") if "skills" in values else {}
        skills: dict[str, int] = {}
        for skill, level in levels.items():
            if not NAME.fullmatch(skill):
                self._reader.fault(level, f"{skill!r} cannot name a skill")
            skills[skill] = self._reader.whole(level, f"the level of {skill}", 1, _HIGHEST_LEVEL)
        language = priority = None
        if "language" in values:
            language = self._reader.one_of(values["language"], "language", self._site.languages)
        languages = self._spoken(values["languages"]) if "languages" in values else None
        if languages is not None:
            if language is not None:
                self._reader.fault(values["language"], "give either language or languages, the best first")
            language = next(iter(languages), None)
        if "priority" in values:
            priority = self._reader.whole(values["priority"], "priority", 0, _HIGHEST_PRIORITY)
        agent = self._reader.text(values["agent"], "agent") if "agent" in values else None
        if agent and not NAME.fullmatch(agent):
            self._reader.fault(values["agent"], f"{agent!r} cannot name an agent")
        return Set(self._next(fields, "next"), language, skills, priority, agent, languages)

    def _spoken(self, at: yaml.Node) -> tuple[str, ...]:
        """Languages of a caller. Only the first is heard from prompts; agents may speak others."""
        listed = self._reader.items(at, "languages")
        if not 1 <= len(listed) <= _MOST_LANGUAGES:
            self._reader.fault(at, f"languages needs 1 to {_MOST_LANGUAGES} languages, the best first")
        first = [self._reader.one_of(item, "language", self._site.languages) for item in listed[:1]]
        more = [self._reader.text(item, "language") for item in listed[1:]]
        for item, word in zip(listed[1:], more, strict=True):
            if not _LANGUAGE.fullmatch(word):
                self._reader.fault(item, f"{word!r} is not a language code like 'en' or 'pt-BR'")
        return (*first, *more)

    def _queue(self, at: yaml.Node, fields: Fields) -> Queue:
        return Queue(self._reader.name(fields["queue"], "queue"))

    def _transfer(self, at: yaml.Node, fields: Fields) -> Transfer:
        to = self._reader.text(fields["transfer"], "transfer")
        if to and not _TARGET.fullmatch(to):
            wanted = "'number:' and a number of the directory, or 'extension:' and an agent's extension"
            self._reader.fault(
                fields["transfer"], f"transfer must be {wanted}, not {shown(fields['transfer'])}"
            )
        return Transfer(to, self._next(fields, "otherwise") if "otherwise" in fields else None)

    def _callback(self, at: yaml.Node, fields: Fields) -> Callback:
        queue = fields["callback"]
        usual = Callback()
        for prompt in CALLBACK_PROMPTS:
            self._check_prompt(at, prompt, " (said by a callback node)")
        return Callback(
            queue="" if is_empty(queue) else self._reader.name(queue, "callback"),
            otherwise=self._next(fields, "otherwise") if "otherwise" in fields else None,
            timeout_seconds=self._timeout(fields, usual.timeout_seconds),
            retries=self._whole(fields, "retries", 0, _MOST_RETRIES, usual.retries),
        )

    def _voicemail(self, at: yaml.Node, fields: Fields) -> Voicemail:
        box = self._reader.text(fields["voicemail"], "voicemail")
        if box and not _BOX.fullmatch(box):
            wanted = "'agent:', 'extension:', 'queue:' or 'box:' and the name of one of the directory"
            self._reader.fault(
                fields["voicemail"], f"voicemail must be {wanted}, not {shown(fields['voicemail'])}"
            )
        for prompt in VOICEMAIL_PROMPTS:
            self._check_prompt(at, prompt, " (said by a voicemail node)")
        longest = None
        if "max_seconds" in fields:
            longest = self._reader.seconds(fields["max_seconds"], "max_seconds", 3, _LONGEST_MESSAGE_SECONDS)
        return Voicemail(
            box,
            greeting=self._said(fields, "greeting", ()),
            next=self._next(fields, "next") if "next" in fields else None,
            otherwise=self._next(fields, "otherwise") if "otherwise" in fields else None,
            max_seconds=longest,
        )

    def _hang_up(self, at: yaml.Node, fields: Fields) -> HangUp:
        prompts = fields["hangup"]
        return HangUp(() if is_empty(prompts) else self._prompts(prompts, "hangup", 0))

    def _duration(self, at: yaml.Node, what: str, usual: float) -> float:
        return usual if is_empty(at) else self._reader.seconds(at, what, 1, _LONGEST_PLAY_SECONDS)

    def _timeout(self, fields: Fields, usual: float) -> float:
        if "timeout_seconds" not in fields:
            return usual
        return self._reader.seconds(fields["timeout_seconds"], "timeout_seconds", 0.5, _LONGEST_MENU_SECONDS)

    def _whole(self, fields: Fields, key: str, low: int, high: int, usual: int) -> int:
        return self._reader.whole(fields[key], key, low, high) if key in fields else usual

    def _next(self, fields: Fields, key: str) -> str:
        return self._reader.name(fields[key], key) if key in fields else ""

    def _choices(self, fields: Fields) -> dict[str, str]:
        if "choices" not in fields:
            return {}
        choices = self._reader.fields(fields["choices"], "choices")
        if not choices and isinstance(fields["choices"], yaml.MappingNode):
            self._reader.fault(fields["choices"], "choices needs at least one digit")
        for digit, target in choices.items():
            if digit not in _DIGITS:
                self._reader.fault(target, f"{digit!r} in choices is no digit; use one of 0-9, *, #, A-D")
        return {digit: self._reader.name(target, f"choice {digit}") for digit, target in choices.items()}

    def _said(self, fields: Fields, key: str, usual: tuple[str, ...]) -> tuple[str, ...]:
        return self._prompts(fields[key], key, 0) if key in fields else usual

    def _prompts(self, at: yaml.Node, what: str, least: int) -> tuple[str, ...]:
        items = self._reader.items(at, what)
        if isinstance(at, yaml.SequenceNode) and len(items) < least:
            self._reader.fault(at, f"{what} needs at least one prompt")
        prompts = tuple(self._reader.name(item, f"a prompt of {what}") for item in items)
        for item, prompt in zip(items, prompts, strict=True):
            if prompt:
                self._check_prompt(item, prompt, "")
        return prompts

    def _check_prompt(self, at: yaml.Node, prompt: str, note: str) -> None:
        missing = sorted(each for each in self._site.languages if not self._site.prompts.has(prompt, each))
        if missing:
            where = "any language" if len(missing) == len(self._site.languages) else ", ".join(missing)
            self._reader.fault(at, f"prompt {prompt!r} is not recorded in {where}{note}")


_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "play": (("next",), ("barge_in",)),
    "menu": (("choices", "otherwise"), ("timeout_seconds", "retries", "on_timeout", "on_invalid")),
    "set": (("next",), ()),
    "queue": ((), ()),
    "transfer": ((), ("otherwise",)),
    "callback": ((), ("otherwise", "timeout_seconds", "retries")),
    "voicemail": ((), ("greeting", "next", "otherwise", "max_seconds")),
    "hangup": ((), ()),
    "echo": ((), ()),
    "music": ((), ()),
}
"""Kind to the keys that it must and may have beside its own."""

TERMINAL_KINDS = frozenset({"queue", "transfer", "callback", "voicemail", "hangup", "echo", "music"})
"""Where a flow may end."""
