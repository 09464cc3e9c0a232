"""What a user types, taken apart."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from aunet.datasets import opening as module
from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger
from aunet.datasets.opening import open_dataset
from aunet.errors import DatasetError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the readers were asked for."""
    calls: list[dict[str, object]] = []

    def read(root: Path, *, on_progress: Callable[[int, int], None] | None, **arguments: object) -> DataSet:
        calls.append({"root": root, **arguments})
        if on_progress is not None:
            on_progress(1, 2)
        return DataSet("nothing", root, (), Ledger(()))

    for name in ("read_folder", "read_cbis_ddsm", "read_inbreast"):
        monkeypatch.setattr(module, name, read)
    return calls


@pytest.mark.parametrize(
    ("spec", "arguments"),
    [
        ("folder:some/where", {}),
        ("cbis-ddsm:some/where", {"findings": "mass", "mask_policy": "resize"}),
        ("cbis-ddsm,masks=drop:some/where", {"findings": "mass", "mask_policy": "drop"}),
        ("cbis-ddsm,masks=strict,findings=both:some/where", {"findings": "both", "mask_policy": "strict"}),
        ("inbreast:some/where", {"only_with_mass": True}),
        ("inbreast,images=all:some/where", {"only_with_mass": False}),
    ],
)
def test_kind_options_and_path(spec: str, arguments: Mapping[str, object], asked: list[dict[str, object]]) -> None:
    open_dataset(spec)

    assert asked == [{"root": Path("some/where"), **arguments}]


@pytest.mark.parametrize("kind", ["folder", "cbis-ddsm", "inbreast"])
def test_whoever_asks_is_told_how_far_it_is(kind: str, asked: list[dict[str, object]]) -> None:
    told: list[tuple[int, int]] = []

    open_dataset(f"{kind}:some/where", on_progress=lambda done, total: told.append((done, total)))

    assert asked
    assert told == [(1, 2)]


def test_a_path_may_hold_colons_and_commas(asked: list[dict[str, object]]) -> None:
    open_dataset("folder:C:/films,2024")

    assert asked == [{"root": Path("C:/films,2024")}]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "cbis-ddsm,finding=both:here",
            r"'finding=both' is no option of cbis-ddsm; expected findings=mass\|calcification",
        ),
        ("cbis-ddsm,masks=guess:here", r"'masks=guess' is no option of cbis-ddsm; .*masks=resize\|strict\|drop"),
        ("folder,images=all:here", "'images=all' is no option of folder; expected none"),
        ("/data", "perhaps you mean folder:/data"),
        ("folder:", "names no folder"),
        ("ddsm:here", "'ddsm' is no known kind of data set; expected folder:PATH, cbis-ddsm:PATH, inbreast:PATH"),
    ],
)
def test_an_unknown_kind_or_option_is_named(spec: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_dataset(spec)
