"""Which recording is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.prompts import PromptError, PromptLibrary, UnknownPrompt
from tests.support.recordings import library, write_prompts, write_recording


def test_a_recording_of_the_site_wins_over_the_one_that_ships(tmp_path: Path) -> None:
    site = write_prompts(tmp_path / "site", {"en": ["welcome"]})
    shipped = write_prompts(tmp_path / "shipped", {"en": ["welcome", "goodbye"]})
    prompts = PromptLibrary([site, shipped])
    assert prompts.resolve("welcome", "en") == site / "en" / "welcome.wav"
    assert prompts.resolve("goodbye", "en") == shipped / "en" / "goodbye.wav"


def test_a_prompt_missing_in_the_callers_language_is_played_in_the_default_language(tmp_path: Path) -> None:
    prompts = library(tmp_path, {"et": ["welcome"], "tr": ["goodbye"]}, default_language="et")
    assert prompts.resolve("welcome", "tr") == tmp_path / "et" / "welcome.wav"
    assert prompts.resolve("welcome", "xx") == tmp_path / "et" / "welcome.wav"
    assert not prompts.has("welcome", "tr")


def test_a_prompt_that_nobody_recorded_is_an_error_that_names_it(tmp_path: Path) -> None:
    prompts = library(tmp_path, {"en": ["welcome"], "tr": ["goodbye"]})
    with pytest.raises(UnknownPrompt, match=r"'goodbye'.*et nor in en"):
        prompts.resolve("goodbye", "et")


def test_names_and_languages_are_those_of_all_directories(tmp_path: Path) -> None:
    write_prompts(tmp_path / "a", {"en": ["one"], "pt-BR": ["two"], "Not a language": ["three"]})
    write_prompts(tmp_path / "b", {"et": ["one", "four"]})
    prompts = PromptLibrary([tmp_path / "a", tmp_path / "b", tmp_path / "not-there"])
    assert prompts.languages == {"en", "et", "pt-BR"}
    assert prompts.names == {"one", "two", "four"}


def test_music_is_no_language_and_the_sites_own_wins(tmp_path: Path) -> None:
    write_recording(tmp_path / "site" / "music" / "hold-music.wav")
    write_recording(tmp_path / "shipped" / "music" / "hold-music.wav")
    write_recording(tmp_path / "shipped" / "music" / "jazz.wav")
    prompts = PromptLibrary([tmp_path / "site", tmp_path / "shipped"])
    assert prompts.music() == tmp_path / "site" / "music" / "hold-music.wav"
    assert prompts.music("jazz") == tmp_path / "shipped" / "music" / "jazz.wav"
    assert prompts.languages == frozenset()
    with pytest.raises(UnknownPrompt, match=r"'rock'; there is: hold-music, jazz"):
        prompts.music("rock")


def test_later_files_do_not_change_a_library(tmp_path: Path) -> None:
    prompts = library(tmp_path, {"en": ["welcome"]})
    write_recording(tmp_path / "en" / "goodbye.wav")
    assert prompts.names == {"welcome"}


def test_every_unusable_recording_is_named_with_the_remedy(tmp_path: Path) -> None:
    write_recording(tmp_path / "en" / "fast.wav", rate=44100)
    write_recording(tmp_path / "en" / "stereo.wav", channels=2)
    write_recording(tmp_path / "en" / "coarse.wav", bits=8)
    write_recording(tmp_path / "en" / "empty.wav", frames=0)
    write_recording(tmp_path / "en" / "good.wav")
    (tmp_path / "en" / "text.wav").write_text("not audio")
    (tmp_path / "en" / "cut.wav").write_bytes(b"RIFF")
    with pytest.raises(PromptError) as raised:
        PromptLibrary([tmp_path])
    named = {Path(problem.split(": ")[0]).stem for problem in raised.value.problems}
    assert named == {"fast", "stereo", "coarse", "empty", "text", "cut"}
    assert "44100 Hz" in str(raised.value)
    assert "sox in.wav -r 8000 -c 1 -b 16 fast.wav" in str(raised.value)


def test_a_default_language_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"default language 'ee'; there is: en, et"):
        library(tmp_path, {"en": ["welcome"], "et": ["welcome"]}, default_language="ee")
