"""A bundle made by hand for the command line to run."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from aunet.datasets.opening import open_dataset
from aunet.models.card import CARD_KEY, ModelCard
from aunet.preprocessing.cache import PreparedCache
from aunet.preprocessing.pipeline import Preprocessing
from aunet.preprocessing.population import population_of, profile_of


@pytest.fixture(scope="session")
def write_reduction() -> Callable[..., Path]:
    """Writes a bundle of a card that reduces the channels of an image to one by an operator of ONNX."""
    return _write_reduction


@pytest.fixture(scope="session")
def record_of() -> Callable[[str, Preprocessing], str]:
    """Gives what a model card says of training on all images of a data set."""

    def record(data: str, settings: Preprocessing) -> str:
        cache = PreparedCache(None, settings)
        return population_of(profile_of(cache.load(one), settings) for one in open_dataset(data).samples).to_json()

    return record


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
