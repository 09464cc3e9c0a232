"""`aunet segment` as a user calls it, on a bundle that takes brightness for probability."""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image as PillowImage

from aunet.cli import segment
from aunet.cli.app import app
from aunet.errors import CheckpointError
from aunet.inference import shipped
from aunet.models.card import ModelCard, NetworkSettings
from aunet.preprocessing.pipeline import Preprocessing


@pytest.fixture
def bundle(plain_card: ModelCard, write_reduction: Callable[..., Path], tmp_path: Path) -> Path:
    """An ONNX file whose probability is the mean over the channels of the prepared image."""
    settings = Preprocessing(rows=64, columns=48)
    card = replace(plain_card, network=NetworkSettings(), preprocessing=settings.to_json(), threshold=0.8)
    return write_reduction(tmp_path / "bright.onnx", card, operator="ReduceMean")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of two pictures, one with a bright rectangle at rows 90 to 114."""
    row, column = np.mgrid[:200, :150]
    image = np.where((row - 100) ** 2 + column**2 < 85**2, 1000, 0).astype(np.uint16)
    image[90:114, 30:60] = 4000
    folder = tmp_path / "films"
    folder.mkdir()
    PillowImage.fromarray(image).save(folder / "a.png")
    PillowImage.fromarray(image[::-1].copy()).save(folder / "b.png")
    return folder


def call(*arguments: object) -> int:
    """The exit status."""
    try:
        result = app(["segment", *map(str, arguments)], standalone_mode=False)
    except typer.Exit as error:
        return error.exit_code
    return int(result or 0)


def test_a_folder_is_segmented(bundle: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"

    status = call(films, "--weights", bundle, "--out", out)

    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert status == 0
    assert [(row["name"], row["n_masses"]) for row in rows] == [("a", "1"), ("b", "1")]
    assert (out / "masks" / "a.png").is_file()
    assert (out / "overlays" / "b.png").is_file()
    said = capsys.readouterr().out
    assert "2 images: 2 segmented (0 of them before), 0 failed; a mass in 2" in said
    assert str(out / "results.csv") in said


def test_a_second_run_says_what_was_there(
    bundle: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(films, "--weights", bundle, "--out", tmp_path / "out")
    capsys.readouterr()

    status = call(films, "--weights", bundle, "--out", tmp_path / "out")

    assert status == 0
    assert "2 segmented (2 of them before)" in capsys.readouterr().out


def test_results_of_other_weights_in_the_folder_are_mentioned(
    bundle: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(films / "a.png", "--weights", bundle, "--out", tmp_path / "out")
    other = tmp_path / "other.onnx"
    # Field 2 of the format, the producer's name, once more: the same network in another file.
    other.write_bytes(bundle.read_bytes() + b"\x12\x01x")

    call(films / "b.png", "--weights", other, "--out", tmp_path / "out")

    assert "holds 1 results of former runs with other weights" in capsys.readouterr().out


def test_an_input_that_fails_is_named_and_the_exit_status_is_one(
    bundle: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (films / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"nothing more")
    (films / "readme.txt").write_text("")

    status = call(films, "--weights", bundle, "--out", tmp_path / "out")

    said = capsys.readouterr().out
    assert status == 1
    assert "3 images: 2 segmented (0 of them before), 1 failed" in said
    assert f"failed  {films / 'broken.dcm'}" in said
    assert f"passed over  {films / 'readme.txt'}" in said


def test_json_prints_one_document_and_nothing_else(
    bundle: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = call(films / "a.png", "--weights", bundle, "--out", tmp_path / "out", "--json")

    document = json.loads(capsys.readouterr().out)
    (result,) = document["results"]
    (mass,) = result["masses"]
    assert status == 0
    assert result["input"] == (films / "a.png").as_posix()
    assert mass["box"][0] == pytest.approx(90, abs=3)
    assert mass["area_px"] == pytest.approx(24 * 30, rel=0.15)


@pytest.fixture
def default(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the default model, which is the bundle here."""
    monkeypatch.setattr(shipped, "FOLDER", bundle.parent)
    monkeypatch.setattr(shipped, "DEFAULT", bundle.stem)
    monkeypatch.setattr(segment, "DEFAULT", bundle.stem)
    return bundle.stem


def test_without_weights_the_default_is_used_and_named_with_what_it_is_for(
    bundle: Path, default: str, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = call(films / "a.png", "--out", tmp_path / "out")

    document = json.loads((tmp_path / "out" / "results.json").read_text())
    used = {"name": "bright.onnx", "sha256": hashlib.sha256(bundle.read_bytes()).hexdigest()}
    assert status == 0
    assert capsys.readouterr().out.startswith(
        f"Weights: {default} (the default; trained on phantoms). For research use only, not a medical device.\n"
    )
    assert document["weights"] == [used]
    assert document["use"] == "For research use only, not a medical device."
    assert document["results"][0]["key"]["weights_sha256"] == used["sha256"]


def test_with_json_the_weights_are_named_on_the_standard_error(
    default: str, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(films / "a.png", "--out", tmp_path / "out", "--json")

    said = capsys.readouterr()
    assert json.loads(said.out)["weights"][0]["name"] == f"{default}.onnx"
    assert f"Weights: {default} (the default" in said.err


def test_weights_of_one_s_own_are_named_as_they_are(
    bundle: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(films / "a.png", "--weights", bundle, "--out", tmp_path / "out")

    assert "Weights: bright.onnx. For research use only, not a medical device.\n" in capsys.readouterr().out


def test_a_model_that_ships_is_taken_by_its_name(default: str, films: Path, tmp_path: Path) -> None:
    status = call(films / "a.png", "--weights", default, "--out", tmp_path / "out")

    assert status == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["weights"][0]["name"] == "bright.onnx"


def test_weights_that_are_none_are_an_error(films: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04")

    with pytest.raises(CheckpointError, match="neither a checkpoint"):
        call(films, "--weights", tmp_path / "weights.pt", "--out", tmp_path / "out")


def test_a_device_that_is_not_here_is_refused_for_a_bundle_too(bundle: Path, films: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device 'cuda:99' is not on this machine"):
        call(films, "--weights", bundle, "--out", tmp_path / "out", "--device", "cuda:99")


def test_matching_is_part_of_what_a_result_depends_on(
    plain_card: ModelCard, write_reduction: Callable[..., Path], films: Path, tmp_path: Path
) -> None:
    settings, level = Preprocessing(rows=64, columns=48), [0.4] * 33
    record = {"images": 1, "patients": 1, "grey": level, "features": {}}
    card = replace(
        plain_card,
        network=NetworkSettings(),
        preprocessing=settings.to_json(),
        threshold=0.8,
        training_images=json.dumps(record),
    )
    weights = write_reduction(tmp_path / "bright.onnx", card, operator="ReduceMean")

    counts = []
    for option in ((), ("--match-intensity",)):
        assert call(films, "--weights", weights, "--out", tmp_path / "out", *option) == 0
        results = json.loads((tmp_path / "out" / "results.json").read_text())["results"]
        counts.append([(len(one["masses"]), one["key"]["matches_intensity"]) for one in results])

    # All of the breast becomes one grey, which min-max makes the brightest there is: the whole breast is "mass".
    assert counts == [[(1, False)] * 2, [(1, True)] * 2]
    areas = [mass["area_px"] for one in results for mass in one["masses"]]
    assert min(areas) > 5 * 24 * 30


def test_several_weights_are_an_ensemble_and_named_by_their_hashes(
    bundle: Path, write_reduction: Callable[..., Path], plain_card: ModelCard, films: Path, tmp_path: Path
) -> None:
    card = replace(
        plain_card, network=NetworkSettings(), preprocessing=Preprocessing(rows=64, columns=48).to_json(), threshold=0.8
    )
    darkest = write_reduction(tmp_path / "darkest.onnx", card, operator="ReduceMin")
    out = tmp_path / "out"

    status = call(
        films, "--weights", bundle, "--weights", darkest, "--flips", "vertical", "--scales", "0.9,1.1", "--out", out
    )

    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (bundle, darkest)]
    assert status == 0
    assert {(row["weights_sha256"], row["flips"], row["scales"], row["n_masses"]) for row in rows} == {
        (";".join(hashes), "vertical", "0.9 1.1", "1")
    }


@pytest.mark.parametrize("scales", ["", "1", "0.9,0.9", "0.9;1.1", "3", "nan"])
def test_scales_that_are_none_are_refused_by_what_is_expected(
    bundle: Path, films: Path, tmp_path: Path, scales: str
) -> None:
    with pytest.raises(typer.BadParameter, match=r"expected none, or such as 0\.9,1\.1"):
        call(films, "--weights", bundle, "--scales", scales, "--out", tmp_path / "out")


def test_results_without_flips_do_not_stand_for_those_with_them(bundle: Path, films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call(films, "--weights", bundle, "--out", out)

    call(films, "--weights", bundle, "--flips", "both", "--out", out)

    with (out / "results.csv").open(newline="") as file:
        assert [row["flips"] for row in csv.DictReader(file)] == ["both", "both"]
