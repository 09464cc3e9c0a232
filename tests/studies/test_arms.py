from pathlib import Path

import pytest

from aunet.errors import RecipeError
from aunet.studies.arms import Entry, Fold, Study, arms_of, with_pretraining

FIRST = Entry("first", ("network.name=unet",), data="films")
TUNED = Entry("tuned", ("network.name=unet",), data="detector", folds=2, pretraining=FIRST)


def test_an_entry_has_an_arm_for_every_seed_and_fold() -> None:
    arms = arms_of(TUNED, seeds=2)

    assert [(arm.seed, arm.fold) for arm in arms] == [(0, (1, 2)), (0, (2, 2)), (1, (1, 2)), (1, (2, 2))]
    assert str(arms[3]) == "tuned on detector, seed 1, fold 2 of 2"


def test_an_arm_starts_from_the_weights_of_its_own_seed() -> None:
    first, *_, last = arms_of(TUNED, seeds=2)

    assert first.init is not None
    assert last.init is not None
    assert (first.init.seed, last.init.seed) == (0, 1)
    assert (first.init.data, first.init.fold, first.depth) == ("films", None, 1)


def test_what_an_arm_starts_from_comes_before_it() -> None:
    arms = arms_of(TUNED, seeds=1)

    order = [(arm.name, arm.fold) for arm in with_pretraining(arms)]

    assert order == [("first", None), ("tuned", Fold(1, 2)), ("first", None), ("tuned", Fold(2, 2))]


def test_changes_for_all_hold_after_the_own_ones_and_for_what_it_starts_from() -> None:
    (arm, _) = arms_of(TUNED, seeds=1, changes=["network.name=aunet", "network.width=8"])

    assert arm.init is not None
    for one in (arm, arm.init):
        assert (one.recipe.network.name, one.recipe.network.width) == ("aunet", 8)


def test_a_study_names_its_data_sets_those_to_pretrain_on_first() -> None:
    scratch = Entry("scratch", data="detector")

    assert Study("s", "title", (scratch, TUNED)).data == ("films", "detector")
    assert Study("s", "title", (scratch, TUNED), kind="complexity").data == ()


@pytest.mark.parametrize("change", ["hardware.devices=2", "hardware.num_nodes=2"])
def test_an_arm_on_several_devices_is_refused(change: str) -> None:
    with pytest.raises(RecipeError, match=r"tuned: .* an arm of a study is trained on one; set hardware\.devices"):
        arms_of(TUNED, seeds=1, changes=[change])


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.toml: no such recipe"):
        arms_of(Entry("x", recipe=str(tmp_path / "absent.toml")), seeds=1)
