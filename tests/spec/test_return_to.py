"""Where somebody wanted to go is kept for the one browser that asked, for ten minutes, and given back once."""

from __future__ import annotations

from ui.shell.return_to import KEPT, KEPT_S, Target, Targets


def test_a_target_is_given_back_once_and_to_its_browser_alone() -> None:
    targets = Targets()
    wanted = Target("Sweep", {"set": "x"}, 0.0)
    targets.put("one", wanted)
    assert targets.take("two", now_s=1.0) is None
    assert targets.take("one", now_s=1.0) is wanted
    assert targets.take("one", now_s=1.0) is None


def test_an_old_target_is_forgotten() -> None:
    targets = Targets()
    targets.put("one", Target("Sweep", {}, 0.0))
    assert targets.take("one", now_s=KEPT_S + 1) is None


def test_unknown_users_cannot_fill_the_memory() -> None:
    targets = Targets()
    for number in range(KEPT + 5):
        targets.put(str(number), Target("Sweep", {}, 0.0))
    assert targets.take("4", now_s=1.0) is None
    assert targets.take("5", now_s=1.0) is not None
