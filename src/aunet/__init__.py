"""aunet finds and outlines breast masses in whole mammograms.

    >>> import aunet
    >>> segmenter = aunet.Segmenter.load("weights.onnx")  # doctest: +SKIP
    >>> segmentation = segmenter.segment(aunet.read_mammogram("mammogram.dcm"))  # doctest: +SKIP

Names are imported when they are used, so that `import aunet` is quick and needs no PyTorch.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aunet.datasets.opening import open_dataset
    from aunet.errors import AunetError
    from aunet.evaluation.run import evaluate
    from aunet.inference.segmenter import Segmentation, Segmenter
    from aunet.io.files import read_mammogram
    from aunet.sample import Mammogram, Mask, Sample
    from aunet.training.recipe import load_recipe
    from aunet.training.run import train

__version__ = version("aunet")

__all__ = [
    "AunetError",
    "Mammogram",
    "Mask",
    "Sample",
    "Segmentation",
    "Segmenter",
    "__version__",
    "evaluate",
    "load_recipe",
    "open_dataset",
    "read_mammogram",
    "train",
]

_HOMES = {
    "AunetError": "aunet.errors",
    "Mammogram": "aunet.sample",
    "Mask": "aunet.sample",
    "Sample": "aunet.sample",
    "Segmentation": "aunet.inference.segmenter",
    "Segmenter": "aunet.inference.segmenter",
    "evaluate": "aunet.evaluation.run",
    "load_recipe": "aunet.training.recipe",
    "open_dataset": "aunet.datasets.opening",
    "read_mammogram": "aunet.io.files",
    "train": "aunet.training.run",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module 'aunet' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
