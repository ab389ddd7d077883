"""What a node takes for news, and what for a call that nobody has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from routing.engine import Ear, sort_out
from routing.model import NodeMessage, Offer, OfferWithdrawn, WrapupTaken

NONE: frozenset[str] = frozenset()


def test_what_is_read_again_is_heard_once() -> None:
    ear = Ear()
    offers: list[NodeMessage] = [Offer("c1", "anna", "billing", token, 0) for token in (1, 2)]
    wrapups: list[NodeMessage] = [WrapupTaken("anna", "billing", 5, token) for token in (1, 2)]
    heard = [message for message in (*offers, *wrapups, *offers, *wrapups) if ear.is_news(message)]
    assert heard == [*offers, *wrapups]


def test_a_withdrawal_is_heard_each_time() -> None:
    ear, gone = Ear(), OfferWithdrawn("c1", "anna", 1)
    assert [ear.is_news(gone), ear.is_news(gone)] == [True, True]


def test_a_call_that_nobody_has_at_two_looks_is_a_ghost() -> None:
    stored, live = ["c1", "c2"], {"c1"}
    ghosts, suspects = sort_out(stored, NONE, live.__contains__)
    assert ghosts == []
    ghosts, suspects = sort_out(stored, suspects, live.__contains__)
    assert ghosts == ["c2"]


def test_a_ghost_whose_taking_out_was_lost_is_one_at_the_next_look() -> None:
    _, suspects = sort_out(["c1"], NONE, NONE.__contains__)
    for _ in range(2):
        ghosts, suspects = sort_out(["c1"], suspects, NONE.__contains__)
        assert ghosts == ["c1"]


def test_a_call_that_ends_between_the_looks_is_none() -> None:
    _, suspects = sort_out(["c1"], NONE, {"c1"}.__contains__)
    ghosts, _ = sort_out(["c1"], suspects, NONE.__contains__)
    assert ghosts == []


looks = st.lists(st.tuples(st.frozensets(st.sampled_from("abcd")), st.frozensets(st.sampled_from("abcd"))))


@given(looks)
def test_nothing_that_is_live_or_was_at_the_look_before_is_taken_out(
    seen: list[tuple[frozenset[str], frozenset[str]]],
) -> None:
    suspects, unknown_before = NONE, NONE
    for stored, live in seen:
        ghosts, suspects = sort_out(sorted(stored), suspects, live.__contains__)
        assert set(ghosts) <= (stored - live) & unknown_before
        unknown_before = stored - live
