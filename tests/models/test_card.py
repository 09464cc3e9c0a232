"""The model card as JSON text, and its use without PyTorch."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aunet.errors import CheckpointError
from aunet.models.card import ModelCard, NetworkSettings, card_of

CARD = ModelCard(
    network=NetworkSettings(name="aunet", in_channels=1, width=4, reduction=2, arguments={"act": ["relu", {"x": 1}]}),
    preprocessing='{"rows": 32, "columns": 48}',
    recipe='name = "tiny"\n',
    threshold=0.5,
    versions={"aunet": "0.1.0"},
    licence="Apache-2.0",
    data_source="phantoms",
    trained="2026-01-01",
    notes="",
)


def entries_of_network() -> dict[str, object]:
    return asdict(CARD.network)


def entries() -> dict[str, object]:
    content = json.loads(CARD.to_json())
    assert isinstance(content, dict)
    return content


def test_a_card_comes_back_from_its_text() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD


def test_a_card_of_an_earlier_version_says_nothing_of_its_training_images() -> None:
    content = {key: value for key, value in entries().items() if key != "training_images"}

    assert ModelCard.from_json(json.dumps(content)).training_images == ""


def test_a_card_of_an_earlier_version_is_not_calibrated_and_drops_no_region() -> None:
    later = {"temperature", "smallest_mass_px", "lowest_score", "flips", "scales", "calibration", "results"}
    content = {key: value for key, value in entries().items() if key not in later}

    card = ModelCard.from_json(json.dumps(content))

    assert (card.temperature, card.smallest_mass_px, card.lowest_score) == (1.0, 0, 0.0)
    assert (card.scales, card.calibration, card.results) == ((), "", "")


def test_temperature_and_operating_point_come_back() -> None:
    card = replace(
        CARD,
        temperature=1.75,
        smallest_mass_px=12,
        lowest_score=0.25,
        flips="both",
        scales=(0.9, 1.1),
        calibration="{}",
        results="[]",
    )

    assert ModelCard.from_json(card.to_json()) == card


@given(notes=st.text(), threshold=st.floats(0.001, 0.999), versions=st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_text_and_number_in_a_card_comes_back(notes: str, threshold: float, versions: dict[str, str]) -> None:
    card = replace(CARD, notes=notes, threshold=threshold, versions=versions)

    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize("name", ["network", "preprocessing", "recipe", "threshold", "versions", "trained"])
def test_a_missing_entry_is_named(name: str) -> None:
    content = {key: value for key, value in entries().items() if key != name}

    with pytest.raises(CheckpointError, match=f"{name} missing"):
        ModelCard.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"owner": "x"}, "unknown entries owner"),
        ({"threshold": "half"}, "threshold is 'half'"),
        ({"threshold": True}, "threshold is True"),
        ({"threshold": 1.5}, r"threshold is 1\.5"),
        ({"temperature": 0}, r"temperature is 0\.0; expected a finite number above 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"flips": "sideways"}, "flips are 'sideways'; expected one of none, vertical"),
        ({"scales": [0.9, 1]}, r"scales are \[0\.9, 1\]; expected different numbers from 0\.5 to 2, none of them 1"),
        ({"scales": [0.9, 0.9]}, "scales are"),
        ({"scales": [0.4]}, "scales are"),
        ({"scales": ["0.9"]}, "scales are"),
        ({"scales": [True]}, "scales are"),
        ({"scales": [[0.9]]}, "scales are"),
        ({"scales": 0.9}, r"scales is 0\.9; expected"),
        ({"lowest_score": -0.1}, r"lowest score is -0\.1; expected from 0 to 1"),
        ({"smallest_mass_px": -1}, "smallest mass is -1 pixels"),
        ({"smallest_mass_px": 1.5}, r"smallest_mass_px is 1\.5"),
        ({"network": {"name": "aunet"}}, "classes, in_channels, reduction, width missing"),
        ({"network": None}, "network is None"),
        ({"network": entries_of_network() | {"arguments": ["x"]}}, r"arguments is \['x'\]; expected"),
        ({"recipe": 3}, "recipe is 3"),
    ],
)
def test_a_wrong_entry_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        ModelCard.from_json(json.dumps(entries() | change))


@given(text=st.text() | st.from_regex(r"\A[\[{].{0,20}\Z"))
def test_any_other_text_is_a_checkpoint_error(text: str) -> None:
    with pytest.raises(CheckpointError):
        ModelCard.from_json(text)


def test_a_card_from_before_there_were_arguments_has_none() -> None:
    content = entries()
    network = content["network"]
    assert isinstance(network, dict)
    del network["arguments"]

    assert ModelCard.from_json(json.dumps(content)).network == replace(CARD.network, arguments={})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (NetworkSettings(width=16, reduction=8), "aunet, width 16, r 8"),
        (NetworkSettings(name="unet"), "unet, width 64"),
        (NetworkSettings(name="monai.networks.nets:UNet"), "monai.networks.nets:UNet"),
    ],
)
def test_settings_are_said_by_what_matters_to_the_network(settings: NetworkSettings, text: str) -> None:
    assert str(settings) == text


def test_the_input_shape_is_that_of_the_preprocessing() -> None:
    assert CARD.input_shape == (1, 32, 48)


@pytest.mark.parametrize("preprocessing", ["", "[]", "{}", '{"rows": 32}', '{"rows": 0, "columns": 32}', "3"])
def test_a_preprocessing_without_a_size_is_refused(preprocessing: str) -> None:
    with pytest.raises(CheckpointError, match="rows"):
        _ = replace(CARD, preprocessing=preprocessing).input_shape


def test_a_file_without_card_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"other\.onnx: holds no model card"):
        card_of({}, path=Path("other.onnx"))


def test_the_card_needs_no_pytorch() -> None:
    code = "import sys; sys.modules['torch'] = None; import aunet.models, aunet.models.card; print('imported')"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.stdout == "imported\n", result.stderr
