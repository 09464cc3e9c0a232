"""A data set whose pictures say what the segmenter is to predict, and the segmenter that reads it from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import Float32
from PIL import Image as Picture

from aunet.datasets.dataset import DataSet
from aunet.datasets.ledger import Ledger
from aunet.models.card import ModelCard
from aunet.preprocessing.pipeline import Preprocessing
from aunet.sample import MassProperties, Sample, View

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

SIDE = 48
BREAST, PREDICTED, BRIGHTEST = 60, 200, 255
AS_IS = Preprocessing(rows=SIDE, columns=SIDE, crop=False, remove_artefacts=False, face_left=False, channels=1)

Box = tuple[int, int, int, int]
"""Top, left, height, width."""


@dataclass
class Reader:
    """A segmenter that predicts what is drawn: everything brighter than the breast, save the corner pixel."""

    card: ModelCard
    preprocessing: Preprocessing
    threshold: float
    stop_after: int | None
    images_seen: int = 0

    def probability(self, images: Float32[np.ndarray, "b c h w"]) -> Float32[np.ndarray, "b h w"]:
        if self.stop_after is not None and self.images_seen >= self.stop_after:
            raise KeyboardInterrupt
        self.images_seen += len(images)
        drawn = images[:, 0].copy()
        drawn[:, 0, 0] = 0.0
        return drawn


@pytest.fixture(scope="session")
def make_reader(plain_card: ModelCard) -> Callable[..., Reader]:
    """Gives such a segmenter, which can be made to stop like a user's Ctrl-C."""

    def make(*, threshold: float = 0.5, stop_after: int | None = None) -> Reader:
        card = replace(plain_card, preprocessing=AS_IS.to_json(), threshold=threshold)
        return Reader(card, AS_IS, threshold, stop_after)

    return make


@pytest.fixture(scope="session")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., DataSet]:
    """Draw one picture for each pair of boxes (predicted, there); keywords give one value a picture."""

    def drawn(
        *pairs: tuple[Sequence[Box], Sequence[Box]],
        patients: Sequence[str] | None = None,
        views: Sequence[View | None] | None = None,
        properties: Sequence[MassProperties] | None = None,
    ) -> DataSet:
        folder = tmp_path_factory.mktemp("drawings")
        samples = tuple(
            Sample(
                case=f"image-{number}",
                image_path=_picture(folder / f"image-{number}.png", predicted, background=BREAST, level=PREDICTED),
                mask_paths=(_picture(folder / f"mask-{number}.png", there, background=0, level=BRIGHTEST),),
                patient_id=patients[number] if patients else f"Erika Mustermann {number}",
                split="test",
                laterality="L",
                view=views[number] if views else "CC",
                properties=properties[number] if properties else MassProperties(),
            )
            for number, (predicted, there) in enumerate(pairs)
        )
        return DataSet(name="drawings", root=folder, samples=samples, ledger=Ledger(()))

    return drawn


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file that stands for the segmenter's weights."""
    path = tmp_path / "best.safetensors"
    path.write_text("weights", encoding="utf-8")
    return path


def _picture(path: Path, boxes: Sequence[Box], *, background: int, level: int) -> Path:
    pixels = np.full((SIDE, SIDE), background, dtype=np.uint8)
    for top, left, height, width in boxes:
        pixels[top : top + height, left : left + width] = level
    if background:
        # Both ends of the scale, so that every picture is normalised alike.
        pixels[0, 0], pixels[-1, -1] = BRIGHTEST, 0
    Picture.fromarray(pixels).save(path)
    return path
