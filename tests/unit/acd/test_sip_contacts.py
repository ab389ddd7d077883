"""Registered contacts by agent, flow and deadline."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from acd.sip.contacts import Binding, ContactTable
from acd.sip.core.events import Flow


def binding(agent: str, key: str, port: int = 5060, at: float = 0.0) -> Binding:
    return Binding(
        agent=agent,
        key=key,
        contact=f"sip:{agent}@h",
        listens=("h", 5060),
        target=f"sip:{agent}@h",
        flow=Flow("udp", ("127.0.0.1", 5060), ("192.0.2.1", port)),
        call_id="c",
        cseq=1,
        registered_at=at,
        expires_at=at + 60,
    )


def test_newest_contact_comes_first() -> None:
    table = ContactTable()
    for at, key in enumerate(("old", "middle", "new")):
        table.put(binding("anna", key, at=float(at)), 60.0)
    assert [one.key for one in table.of("anna")] == ["new", "middle", "old"]
    table.put(binding("anna", "old", at=9.0), 60.0)
    assert [one.key for one in table.of("anna")] == ["old", "new", "middle"]


def test_renewed_contact_is_over_at_its_new_deadline_only() -> None:
    table = ContactTable()
    table.put(binding("anna", "a"), 60.0)
    table.put(binding("anna", "a", at=30.0), 90.0)
    assert table.due(60.0) == ()
    assert table.next_deadline() == 90.0
    assert [one.key for one in table.due(90.0)] == ["a"]


def test_renewals_do_not_pile_up() -> None:
    table = ContactTable()
    for number in range(10_000):
        table.put(binding("anna", "a", at=float(number)), number + 60.0)
    assert len(table._heap) < 200
    assert len(table) == 1


def test_flow_and_host_know_their_contacts_until_the_last_goes() -> None:
    table = ContactTable()
    one, other = binding("anna", "a"), binding("bela", "b")
    table.put(one, 1.0)
    table.put(other, 1.0)
    assert set(table.on_flow(one.flow)) == {one, other}
    table.remove("anna", "a")
    assert table.on_flow(one.flow) == (other,)
    assert table.has_host("192.0.2.1")
    assert table.remove("bela", "b")
    assert not table.remove("bela", "b")
    assert not table.has_host("192.0.2.1")
    assert table.next_deadline() is None


Step = tuple[str, str, int, float]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "remove", "due"]),
            st.sampled_from(["a", "b", "c"]),
            st.integers(1, 3),
            st.floats(0, 100),
        )
    )
)
def test_table_agrees_with_a_plain_dictionary(steps: list[Step]) -> None:
    table, model = ContactTable(), dict[tuple[str, str], tuple[float, Binding]]()
    for what, agent, number, at in steps:
        key = str(number)
        if what == "put":
            made = msgspec.structs.replace(binding(agent, key, port=5000 + number), registered_at=at)
            table.put(made, at)
            model[agent, key] = (at, made)
        elif what == "remove":
            assert table.remove(agent, key) is (model.pop((agent, key), None) is not None)
        else:
            due = {(one.agent, one.key) for one in table.due(at)}
            assert due == {name for name, (deadline, _) in model.items() if deadline <= at}
            for name in due:
                table.remove(*name)
                del model[name]
        assert len(table) == len(model)
        assert table.next_deadline() == min((deadline for deadline, _ in model.values()), default=None)
        for port in (5001, 5002, 5003):
            flow = binding("a", "1", port=port).flow
            expected = {id(one) for _, one in model.values() if one.flow == flow}
            assert {id(one) for one in table.on_flow(flow)} == expected
