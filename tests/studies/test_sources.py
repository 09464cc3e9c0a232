from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aunet.cli.app import app
from aunet.datasets.identity import identity_of
from aunet.datasets.split_file import read_splits
from aunet.errors import DatasetError
from aunet.phantom.inbreast_layout import write_inbreast
from aunet.studies.arms import Fold
from aunet.studies.sources import open_sources


@pytest.fixture(scope="module")
def inbreast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inbreast(tmp_path_factory.mktemp("inbreast") / "data", patients=8, seed=1, rows=128)


def test_a_data_set_is_taken_for_what_its_kind_says_and_others_by_their_order(phantoms: Path, inbreast: Path) -> None:
    specs = (f"inbreast:{inbreast}", f"folder:{phantoms}")

    sources = open_sources(("cbis-ddsm", "inbreast"), specs)

    assert {name: source.dataset.root for name, source in sources.items()} == {
        "cbis-ddsm": phantoms,
        "inbreast": inbreast,
    }


def test_a_missing_data_set_is_named(phantoms: Path) -> None:
    with pytest.raises(DatasetError, match=r"needs 2 data sets \(cbis-ddsm, inbreast\), and 1 were given"):
        open_sources(("cbis-ddsm", "inbreast"), (f"folder:{phantoms}",))


def test_the_folds_test_every_image_once_and_part_no_patient(phantoms: Path) -> None:
    source = open_sources(("data",), (f"folder:{phantoms}",))["data"]

    parts = [source.part(Fold(number, 3)) for number in (1, 2, 3)]

    tested = [sample.case for part in parts for sample in part.samples if sample.split == "test"]
    assert sorted(tested) == sorted(sample.case for sample in source.dataset.samples)
    for part in parts:
        patients = {side: {one.patient_id for one in part.samples if one.split == side} for side in ("train", "test")}
        assert not patients["train"] & patients["test"]


def test_the_folds_are_those_that_inspect_writes(inbreast: Path, tmp_path: Path) -> None:
    source = open_sources(("inbreast",), (f"inbreast:{inbreast}",))["inbreast"]

    written = CliRunner().invoke(app, ["inspect", f"inbreast:{inbreast}", "--out", str(tmp_path), "--folds", "3"])

    assert written.exit_code == 0, written.stderr
    for number in (1, 2, 3):
        sides = read_splits(tmp_path / f"fold-{number}.json").sides
        part = source.part(Fold(number, 3)).samples
        assert {case: side for side in sides for case in sides[side]} == {one.case: one.split for one in part}


def test_the_identity_knows_sides_and_files(phantoms: Path) -> None:
    source = open_sources(("data",), (f"folder:{phantoms}",))["data"]
    again = open_sources(("data",), (f"folder:{phantoms}",))["data"]
    identities = [source.identity(fold) for fold in (None, Fold(1, 2), Fold(2, 2))]

    assert len(set(identities)) == 3
    assert again.identity(Fold(1, 2)) == identities[1]


def test_the_identity_knows_whose_the_images_are(phantoms: Path) -> None:
    samples = open_sources(("data",), (f"folder:{phantoms}",))["data"].dataset.samples

    assert identity_of(samples) != identity_of(replace(one, patient_id="another") for one in samples)
