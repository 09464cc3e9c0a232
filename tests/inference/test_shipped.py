"""The models that come with this package, and what a user may write in place of a file of weights."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from aunet.errors import CheckpointError, DownloadError
from aunet.inference import shipped
from aunet.inference.backends.onnxruntime import verify_bundle
from aunet.inference.shipped import DEFAULT, default_weights, resolve_weights, shipped_models, shipped_names
from aunet.models.card import ModelCard

MAX_BYTES = 20 * 10**6
SHA256 = "5f" * 32


@pytest.fixture
def folder(
    plain_card: ModelCard, write_reduction: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of two models, which stands for that of the package."""
    found = tmp_path / "weights"
    found.mkdir()
    write_reduction(found / "films-1.onnx", plain_card, operator="ReduceMean")
    card = replace(plain_card, licence="CC BY 4.0", data_source="films", threshold=0.25, notes="For tests.")
    write_reduction(found / "films-2.onnx", card, operator="ReduceMax")
    (found / "README.md").write_text("No model.")
    monkeypatch.setattr(shipped, "FOLDER", found)
    monkeypatch.setattr(shipped, "DEFAULT", "films-2")
    return found


def test_each_bundle_is_a_model_and_one_is_the_default(folder: Path) -> None:
    assert shipped_names() == ("films-1", "films-2")
    assert [(model.name, model.is_default) for model in shipped_models()] == [("films-1", False), ("films-2", True)]
    assert default_weights() == folder / "films-2.onnx"


def test_a_model_is_described_by_its_card_and_its_file(folder: Path) -> None:
    _, model = shipped_models()

    content = (folder / "films-2.onnx").read_bytes()
    assert (model.path, model.size_bytes) == (folder / "films-2.onnx", len(content))
    assert model.sha256 == hashlib.sha256(content).hexdigest()
    assert (model.network, model.licence, model.data_source) == ("aunet, width 2, r 2", "CC BY 4.0", "films")
    assert (model.trained, model.threshold, model.notes) == ("2026-01-01", 0.25, "For tests.")


@pytest.mark.parametrize("act", [shipped_models, default_weights])
def test_an_installation_without_its_weights_says_so(folder: Path, act: Callable[[], object]) -> None:
    (folder / "films-2.onnx").unlink()

    with pytest.raises(CheckpointError, match=r"films-2\.onnx: this installation lacks .* install it again"):
        act()


def test_a_damaged_model_is_an_error_that_names_it(folder: Path) -> None:
    (folder / "films-1.onnx").write_bytes(b"\x08\x08damaged")

    with pytest.raises(CheckpointError, match=r"films-1\.onnx: not a whole ONNX file"):
        shipped_models()


def test_a_name_is_the_file_that_ships(folder: Path) -> None:
    assert resolve_weights("films-1") == folder / "films-1.onnx"


def test_a_file_is_taken_before_a_model_of_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films-1").mkdir()
    beside_a_folder = resolve_weights("films-1")
    (tmp_path / "films-1").rmdir()
    (tmp_path / "films-1").write_text("weights of the user")

    assert beside_a_folder == folder / "films-1.onnx"
    assert resolve_weights("films-1") == Path("films-1")


def test_an_address_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = Mock(return_value=Path("kept.onnx"))
    monkeypatch.setattr(shipped, "fetch", fetched)

    path = resolve_weights(f"https://host/model.onnx#sha256={SHA256}")

    fetched.assert_called_once_with(f"https://host/model.onnx#sha256={SHA256}")
    assert path == Path("kept.onnx")


@pytest.mark.parametrize("text", [f"http://host/model.onnx#sha256={SHA256}", "https://host/model.onnx"])
def test_an_address_that_is_not_safe_is_refused_and_taken_for_no_file(text: str) -> None:
    with pytest.raises(DownloadError, match="host/model"):
        resolve_weights(text)


@pytest.mark.usefixtures("folder")
def test_what_is_neither_file_nor_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(CheckpointError, match=r"fims-2: no such file.*did you mean films-2\?.*films-1, films-2$"):
        resolve_weights("fims-2")
    with pytest.raises(CheckpointError, match=r"^my/best\.onnx: no such file") as refused:
        resolve_weights("my/best.onnx")
    assert "did you mean" not in str(refused.value)


def test_a_name_can_not_lead_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.onnx").write_bytes((folder / "films-1.onnx").read_bytes())

    with pytest.raises(CheckpointError, match="no such file"):
        resolve_weights("../outside")


def test_listing_the_models_imports_no_pytorch(folder: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from aunet.inference import shipped\n"
        "shipped.FOLDER, shipped.DEFAULT = Path(sys.argv[1]), 'films-1'\n"
        "print(len(shipped.shipped_models()))"
    )

    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)

    assert done.stdout == "2\n", done.stderr


def test_the_default_model_is_there_and_one_alone_is_it() -> None:
    assert [model.name for model in shipped_models() if model.is_default] == [DEFAULT]


def test_no_model_is_larger_than_20_mb() -> None:
    assert [model.name for model in shipped_models() if model.size_bytes > MAX_BYTES] == []


def test_every_model_computes_here_what_it_computed_when_it_was_written() -> None:
    complaints = [verify_bundle(model.path, threads=1).complaint() for model in shipped_models()]

    assert set(complaints) == {""}


def test_the_default_model_names_its_data_and_its_licence() -> None:
    (default,) = (model for model in shipped_models() if model.is_default)

    assert default.data_source.startswith("CBIS-DDSM")
    assert "CC BY 3.0" in default.data_source
    assert default.licence not in {"", "not stated"}
