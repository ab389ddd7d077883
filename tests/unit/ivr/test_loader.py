"""Flow files: what they become, and everything that can be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from ivr.flow import Echo, FlowDefinition, HangUp, Menu, Music, Play, Queue, Set, Transfer
from ivr.loader import SHIPPED_FLOWS, FlowError, read_flows
from ivr.prompts import SHIPPED_PROMPTS, PromptLibrary
from tests.support.recordings import library

PROMPTS = {
    "en": ["welcome", "choose", "invalid-choice", "goodbye", "english-only"],
    "et": ["welcome", "choose", "invalid-choice", "goodbye"],
}


class Desk:
    """A directory of flow files and the recordings that they may name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.prompts = library(root / "prompts", PROMPTS)
        self.flows = root / "flows"
        self.flows.mkdir()

    def write(self, text: str, file: str = "flow.yaml") -> Path:
        (self.flows / file).write_text(dedent(text), encoding="utf-8")
        return self.flows / file

    def load(self) -> Mapping[str, FlowDefinition]:
        return read_flows([self.flows], self.prompts)

    def problems(self) -> list[tuple[int, str, str]]:
        """Line, node and message of every problem."""
        with pytest.raises(FlowError) as raised:
            self.load()
        assert all(problem.file.parent == self.flows for problem in raised.value.problems)
        return [(problem.line, problem.node, problem.message) for problem in raised.value.problems]

    def problems_of_node(self, node: str) -> list[tuple[int, str, str]]:
        """Of a flow whose only node, on line 4, is the given one."""
        self.write(f"name: f\nstart: n\nnodes:\n  n: {node}\n  end: {{queue: billing}}\n")
        return [problem for problem in self.problems() if problem[1] == "n"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_every_kind_of_node_becomes_its_dataclass(desk: Desk) -> None:
    desk.write("""
        name: main
        start: greeting
        nodes:
          greeting: {play: [welcome], next: language, barge_in: true}
          language: {menu: [choose], choices: {1: estonian, "2": e, "*": m, 3: ext}, otherwise: bye,
                     timeout_seconds: 2.5, retries: 0, on_timeout: [welcome], on_invalid: []}
          estonian: {set: {language: et, skills: {vip: 3}, priority: 9}, next: to-billing}
          to-billing: {queue: billing}
          ext: {transfer: "extension:1001", otherwise: number}
          number: {transfer: "number:+3726000100"}
          bye: {hangup: [goodbye]}
          e: {echo: 60}
          m: {music: }
    """)
    choices = {"1": "estonian", "2": "e", "*": "m", "3": "ext"}
    assert desk.load() == {
        "main": FlowDefinition(
            "main",
            "greeting",
            {
                "greeting": Play(("welcome",), "language", barge_in=True),
                "language": Menu(("choose",), choices, "bye", 2.5, 0, ("welcome",), ()),
                "estonian": Set("to-billing", "et", {"vip": 3}, 9),
                "to-billing": Queue("billing"),
                "ext": Transfer("extension:1001", "number"),
                "number": Transfer("number:+3726000100"),
                "bye": HangUp(("goodbye",)),
                "e": Echo(60),
                "m": Music(),
            },
        )
    }


def test_what_is_left_out_has_the_usual_values(desk: Desk) -> None:
    desk.write("""
        name: f
        start: m
        nodes:
          m: {menu: [choose], choices: {1: bye}, otherwise: bye}
          bye: {hangup: }
    """)
    assert desk.load()["f"].nodes["m"] == Menu(("choose",), {"1": "bye"}, "bye")
    assert desk.load()["f"].nodes["bye"] == HangUp()


def test_all_problems_of_all_files_are_told_at_once_with_file_node_and_line(desk: Desk) -> None:
    first = desk.write(
        """\
        name: first
        start: greeting
        nodes:
          greeting:
            play: [welcome, nobody-said-this]
            next: nowhere
          lost: {queue: bilingual}
          round: {play: [welcome], next: about}
          about:
            set: {language: et}
            next: round
        """,
        "a.yaml",
    )
    second = desk.write(
        """\
        name: second
        start: m
        colour: red
        nodes:
          m: {menu: choose, choices: {1: bye}, otherwise: bye, timeout_seconds: soon, tone: high}
          bye: {hangup: [goodbye]}
        """,
        "b.yaml",
    )
    with pytest.raises(FlowError) as raised:
        desk.load()
    assert raised.value.problems == (
        (first, 5, "greeting", "prompt 'nobody-said-this' is not recorded in any language"),
        (first, 6, "greeting", "unknown node 'nowhere'"),
        (first, 7, "lost", "unreachable: no way leads here from 'greeting'"),
        (first, 8, "round", "loop without an exit: round -> about -> round; nothing there ends the flow"),
        (first, 8, "round", "unreachable: no way leads here from 'greeting'"),
        (first, 9, "about", "unreachable: no way leads here from 'greeting'"),
        (second, 3, "", "unknown key 'colour'; a flow file has: name, start, nodes, languages"),
        (second, 5, "m", "menu must be a list ([one, two]), not 'choose'"),
        (second, 5, "m", "timeout_seconds must be a number of seconds from 0.5 to 120, not 'soon'"),
        (
            second,
            5,
            "m",
            "unknown key 'tone'; a menu node has: menu, choices, otherwise, timeout_seconds, retries, "
            "on_timeout, on_invalid",
        ),
    )
    assert f"{first}:6: node 'greeting': unknown node 'nowhere'" in str(raised.value).splitlines()


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            "{}",
            "needs exactly one of play, menu, set, queue, transfer, callback, voicemail, hangup, echo, "
            "music; none is",
        ),
        ("{play: [welcome], queue: billing}", "not play and queue together"),
        ("welcome", "a node must be a mapping (key: value), not 'welcome'"),
        ("", "a node must be a mapping (key: value), not nothing"),
        ("{play: [welcome]}", "a play node needs 'next'"),
        ("{play: [], next: end}", "play needs at least one prompt"),
        ("{play: [1.5], next: end}", "a prompt of play must be text, not '1.5'"),
        ("{play: [a b], next: end}", "must be 1-64 letters, digits"),
        ("{play: [welcome], next: [end]}", "next must be text, not a list"),
        ("{play: [welcome], next: end, next: end}", "'next' is there twice"),
        ("{play: [welcome], next: end, barge_in: maybe}", "barge_in must be true or false, not 'maybe'"),
        ("{play: [english-only], next: end}", "prompt 'english-only' is not recorded in et"),
        ("{menu: [choose], otherwise: end}", "a menu node needs 'choices'"),
        ("{menu: [choose], choices: {1: end}}", "a menu node needs 'otherwise'"),
        ("{menu: [choose], choices: {}, otherwise: end}", "choices needs at least one digit"),
        ("{menu: [choose], choices: [end], otherwise: end}", "choices must be a mapping"),
        ("{menu: [choose], choices: {12: end}, otherwise: end}", "'12' in choices is no digit"),
        (
            "{menu: [choose], choices: {1: end}, otherwise: end, retries: 2.5}",
            "retries must be a whole number",
        ),
        (
            "{menu: [choose], choices: {1: end}, otherwise: end, retries: 0x2}",
            "retries must be a whole number",
        ),
        ("{menu: [choose], choices: {1: end}, otherwise: end, retries: 11}", "from 0 to 10, not '11'"),
        ("{menu: [choose], choices: {1: end}, otherwise: end, timeout_seconds: .inf}", "from 0.5 to 120"),
        ("{menu: [choose], choices: {1: end}, otherwise: end, on_timeout: [gone]}", "prompt 'gone'"),
        ("{set: {}, next: end}", "set needs at least one of language, languages, skills, priority"),
        ("{set: {language: fr}, next: end}", "unknown language 'fr'; there is: en, et"),
        (
            "{set: {language: no}, next: end}",
            "must be text, not 'no' (put it in quotes if it is meant as text)",
        ),
        (
            "{set: {skill: {vip: 1}}, next: end}",
            "unknown key 'skill'; set has: language, languages, skills, priority",
        ),
        ("{set: {skills: {vip: 11}}, next: end}", "the level of vip must be a whole number from 1 to 10"),
        ("{set: {skills: {a b: 1}}, next: end}", "'a b' cannot name a skill"),
        ("{set: {languages: [fr, en]}, next: end}", "unknown language 'fr'; there is: en, et"),
        ("{set: {languages: []}, next: end}", "languages needs 1 to 9 languages, the best first"),
        ("{set: {languages: [et, Finnish]}, next: end}", "'Finnish' is not a language code"),
        ("{set: {language: et, languages: [en]}, next: end}", "give either language or languages"),
        ("{set: {priority: 100}, next: end}", "priority must be a whole number from 0 to 99"),
        ("{queue: }", "queue must be text, not nothing"),
        ("{queue: billing, next: end}", "unknown key 'next'; a queue node has: queue"),
        ("{transfer: 'sip:x@example.com'}", "transfer must be 'number:' and a number"),
        ("{voicemail: billing}", "voicemail must be 'agent:', 'extension:', 'queue:' or 'box:' and the name"),
        ("{voicemail: 'extension:anna'}", "voicemail must be 'agent:'"),
        ("{voicemail: 'box:a', greeting: [gone]}", "prompt 'gone' is not recorded"),
        ("{voicemail: 'box:a', max_seconds: 1}", "max_seconds must be a number of seconds from 3 to 3600"),
        ("{voicemail: 'box:a', then: end}", "unknown key 'then'; a voicemail node has: voicemail, greeting,"),
        ("{voicemail: 'box:a'}", "prompt 'beep' is not recorded in any language (said by a voicemail node)"),
        ("{hangup: goodbye}", "hangup must be a list"),
        ("{echo: forever}", "echo must be a number of seconds from 1 to 14400, not 'forever'"),
        ("{music: -1}", "music must be a number of seconds from 1 to 14400, not '-1'"),
        ("{[a]: b, queue: billing}", "a node: a key must be a plain word"),
    ],
)
def test_a_faulty_node_is_named_with_what_is_wrong(desk: Desk, node: str, message: str) -> None:
    problems = desk.problems_of_node(node)
    assert [line for line, _, _ in problems] == [4] * len(problems)
    assert any(message in told for _, _, told in problems), problems


def test_the_usual_prompt_of_a_menu_must_be_there_too(tmp_path: Path) -> None:
    prompts = library(tmp_path / "p", {"en": ["choose"]})
    (tmp_path / "f.yaml").write_text(
        "{name: f, start: m, nodes: {m: {menu: [choose], choices: {1: q}, otherwise: q}, q: {queue: q}}}"
    )
    with pytest.raises(FlowError, match="'invalid-choice' is not recorded in any language"):
        read_flows([tmp_path], prompts)


def test_a_flow_may_say_in_which_languages_it_is_heard(desk: Desk) -> None:
    flow = (
        "{name: f, start: p, languages: %s, nodes: {p: {play: [english-only], next: q}, q: {queue: sales}}}"
    )
    desk.write(flow % "[en]")
    assert list(desk.load()) == ["f"]
    desk.write(flow % "[en, et, fr]")
    assert [message for _, _, message in desk.problems()] == [
        "unknown language 'fr'; there is: en, et",
        "prompt 'english-only' is not recorded in et",
    ]
    desk.write(flow % "[]")
    assert desk.problems() == [(1, "", "languages needs at least one language")]


def test_a_problem_of_a_node_over_many_lines_is_at_its_name(desk: Desk) -> None:
    desk.write("""\
        name: f
        start: q
        nodes:
          q:
            queue: billing
          # a remark
          lost:

            hangup: []
    """)
    assert desk.problems() == [(7, "lost", "unreachable: no way leads here from 'q'")]


@pytest.mark.parametrize(
    ("nodes", "loop"),
    [
        ("a: {play: [welcome], next: a}", "a -> a"),
        ("a: {set: {priority: 1}, next: b}, b: {play: [welcome], next: a}", "a -> b -> a"),
        ("a: {play: [welcome], next: b}, b: {menu: [choose], choices: {1: b}, otherwise: b}", "b -> b"),
        (
            "a: {menu: [choose], choices: {1: b}, otherwise: c}, b: {set: {priority: 1}, next: a}, "
            "c: {play: [welcome], next: a}",
            "a -> c -> a",
        ),
    ],
)
def test_a_loop_without_an_exit_is_refused(desk: Desk, nodes: str, loop: str) -> None:
    desk.write(f"{{name: f, start: a, nodes: {{{nodes}}}}}")
    [(_, node, message)] = desk.problems()
    assert message == f"loop without an exit: {loop}; nothing there ends the flow"
    assert node == loop[0]


def test_a_loop_with_an_exit_is_accepted(desk: Desk) -> None:
    desk.write("""
        name: f
        start: m
        nodes:
          m: {menu: [choose], choices: {1: again, 2: bye}, otherwise: again}
          again: {play: [welcome], next: m}
          bye: {hangup: }
    """)
    assert list(desk.load()) == ["f"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "is empty"),
        ("name: f\nnodes: {a: [}\n", 2, "not valid YAML: "),
        ("name: f\n---\nname: g\n", 2, "not valid YAML: but found another document"),
        ("a: *b\n", 1, "not valid YAML: found undefined alias 'b'"),
        ("name: \x01\n", 0, "not valid YAML in UTF-8"),
        ("[" * 5000, 0, "not valid YAML: nested too deeply"),
        ("[name, f]", 1, "a flow file begins with 'name:'"),
        ("start: a", 1, "a flow file begins with 'name:'"),
        ("name: [f]", 1, "a flow file begins with 'name:'"),
        ("name: f", 1, "a flow file needs 'start'"),
        ("name: f", 1, "a flow file needs 'nodes'"),
        ("name: f\nstart: b\nnodes: {a: {queue: sales}}", 2, "start: unknown node 'b'"),
        ("name: f\nstart: a\nnodes: [a]", 3, "nodes must be a mapping"),
        ("name: f\nstart: a\nnodes: {a b: {queue: sales}}", 3, "a node's name is 1-64 letters"),
    ],
)
def test_a_faulty_file_is_named(desk: Desk, text: str, line: int, message: str) -> None:
    (desk.flows / "f.yaml").write_text(text)
    problems = desk.problems()
    assert any(at == line and message in told for at, _, told in problems), problems


def test_files_that_are_no_text_or_too_large_are_named(desk: Desk) -> None:
    (desk.flows / "binary.yaml").write_bytes(b"name: \xff\xfe")
    (desk.flows / "large.yaml").write_bytes(b"#" * 1_000_001)
    (desk.flows / "folder.yaml").mkdir()
    assert [message for _, _, message in desk.problems()] == [
        "not valid YAML in UTF-8: 'utf-8' codec can't decode byte 0xff in position 6: invalid start byte",
        "cannot be read: Is a directory",
        "is larger than 1000000 bytes",
    ]


FLOW = "{name: %s, start: q, nodes: {q: {queue: %s}}}"


def test_two_files_of_one_directory_cannot_be_the_same_flow(desk: Desk) -> None:
    desk.write(FLOW % ("f", "sales"), "a.yaml")
    desk.write(FLOW % ("f", "sales"), "b.yml")
    assert desk.problems() == [(1, "", "flow 'f' is also in a.yaml")]


def test_a_flow_of_the_site_replaces_one_that_ships(desk: Desk, tmp_path: Path) -> None:
    desk.write(FLOW % ("f", "sales"))
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "f.yaml").write_text(FLOW % ("f", "no-such-queue"))
    (shipped / "g.yaml").write_text(FLOW % ("g", "billing"))
    (shipped / "notes.txt").write_text("not a flow")
    flows = read_flows([desk.flows, shipped, tmp_path / "not-there"], desk.prompts)
    assert {name: flow.nodes["q"] for name, flow in flows.items()} == {
        "f": Queue("sales"),
        "g": Queue("billing"),
    }


def test_the_flows_that_ship_have_all_their_recordings() -> None:
    flows = read_flows([SHIPPED_FLOWS], PromptLibrary([SHIPPED_PROMPTS]))
    assert set(flows) == {"main", "echo", "music", "callback"}


def test_examples_of_the_guide_are_right(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "flows.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in guide.split("```yaml\n")[1:]]
    assert len(blocks) >= 9
    for number, block in enumerate(blocks):
        text = block
        if "nodes:" not in block:  # one node by itself, with the nodes that the guide's examples lead to
            text = _completed(block)
        (tmp_path / f"example{number}.yaml").write_text(text, encoding="utf-8")
    flows = read_flows([tmp_path], PromptLibrary([SHIPPED_PROMPTS]))
    assert len(flows) == len(blocks)


def _completed(block: str) -> str:
    name = block.split(":")[0].strip()
    others = {"topic": "{hangup: }", "bye": "{hangup: }", "to-billing": "{queue: billing}"}
    others["to-support"] = "{queue: support}"
    used = [f"  {other}: {node}" for other, node in others.items() if f" {other}" in block]
    indented = "\n".join(f"  {line}" for line in block.splitlines())
    return f"name: example-{name}\nstart: {name}\nnodes:\n{indented}\n" + "\n".join(used) + "\n"
