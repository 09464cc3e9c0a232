"""`aunet networks` as a user calls it."""

import json
import subprocess
import sys
from functools import partial

import pytest
import torch
import typer

from aunet.cli.app import app
from aunet.cli.networks import _devices
from aunet.models.complexity import measured


def networks(*arguments: str) -> None:
    app(["networks", *arguments], standalone_mode=False)


def test_the_table_has_our_numbers_beside_the_paper_s(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("aunet.cli.networks.NETWORK_NAMES", ("fcdensenet103", "aunet-r2", "aunet"))

    networks("--no-timing", "--size", "32")

    rows = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if line.startswith("│")}
    assert list(rows) == ["fcdensenet103", "aunet-r2", "aunet"]
    assert "75,495,162" in rows["aunet"]
    assert "44, 75.5, 32" in rows["aunet"]
    assert "13,916,258" in rows["fcdensenet103"]
    assert "103, 13.9, 27" in rows["fcdensenet103"]


def test_the_json_document_is_a_list_of_networks_with_what_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aunet.cli.networks.measured", partial(measured, at_least_s=0.0))
    monkeypatch.setattr("aunet.cli.networks.NETWORK_NAMES", ("unet", "aunet"))

    networks("--width", "1", "--size", "32", "--device", "cpu", "--json")

    listed = json.loads(capsys.readouterr().out)
    assert [network["name"] for network in listed] == ["unet", "aunet"]
    for network in listed:
        assert [speed["device"] for speed in network["measured"]] == ["cpu"]
        assert network["measured"][0]["frames_per_second"] > 0
        assert network["measured"][0]["peak_bytes"] > 4 * network["parameters"]


def test_without_timing_nothing_measured_is_claimed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aunet.cli.networks.NETWORK_NAMES", ("unet",))

    networks("--no-timing", "--json")

    unet = json.loads(capsys.readouterr().out)[0]
    assert unet == {
        "name": "unet",
        "layers": 23,
        "parameters": 34_527_106,
        "gflop": 130.703,
        "measured": [],
        "paper": {"layers": 23, "parameters_million": 34.5, "frames_per_second": 59},
    }


def test_auto_measures_on_the_cpu_and_on_a_gpu_where_there_is_one() -> None:
    assert _devices("auto") == (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
    assert _devices("cuda:1") == ["cuda:1"]


def test_a_size_that_can_not_be_halved_five_times_is_refused() -> None:
    with pytest.raises(typer.BadParameter) as caught:
        networks("--size", "112", "--no-timing")

    message = caught.value.format_message()
    assert message == "Invalid value for '--size': 112 is no multiple of 32, which some networks need; give 96 or 128"


@pytest.mark.parametrize("command", [["networks"], ["export", "tiny.safetensors", "tiny.onnx"]])
def test_without_pytorch_the_extra_is_named(command: list[str]) -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "from aunet.cli.app import main\n"
        "sys.argv[0] = 'aunet'\n"
        "main()"
    )

    result = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert "pip install 'aunet[train]'" in result.stderr
    assert "Traceback" not in result.stderr
