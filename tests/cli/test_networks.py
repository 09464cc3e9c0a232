"""`aunet networks` as a user calls it."""

import json
import subprocess
import sys
from functools import partial

import pytest

from aunet.cli.app import app
from aunet.models.complexity import measured


def networks(*arguments: str) -> None:
    app(["networks", *arguments], standalone_mode=False)


def test_the_table_has_the_paper_s_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")

    networks("--no-timing", "--size", "16")

    rows = {
        line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "aunet" in line or "basic" in line
    }
    assert "44" in rows["aunet"]
    assert "75,495,162" in rows["aunet"]
    assert "34,527,106" in rows["basic-basic"]


def test_the_json_document_stands_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aunet.cli.networks.measured", partial(measured, at_least_s=0.0))

    networks("--width", "1", "--size", "16", "--device", "cpu", "--json")

    document = json.loads(capsys.readouterr().out)
    assert document["width"] == 1
    assert [network["name"] for network in document["networks"]][-1] == "aunet"
    assert all(network["images_per_second"] > 0 for network in document["networks"])


def test_without_timing_no_speed_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    networks("--width", "8", "--size", "16", "--no-timing", "--json")

    document = json.loads(capsys.readouterr().out)
    assert {network["images_per_second"] for network in document["networks"]} == {None}


def test_a_size_that_can_not_be_halved_four_times_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        networks("--size", "100", "--no-timing")


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
