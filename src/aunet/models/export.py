"""From a checkpoint to a bundle that needs no PyTorch: one ONNX file with model card and parity proof inside."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Float
from torch import Tensor, nn

from aunet.errors import CheckpointError
from aunet.models.bundle import SCALE, Bits, narrowed, widened
from aunet.models.card import CARD_KEY
from aunet.models.checkpoint import load_checkpoint, write_whole
from aunet.models.encoder_decoder import mass_probability
from aunet.models.parity import (
    BATCHES,
    PARITY_KEY,
    Images,
    Parity,
    Probabilities,
    agreement,
    on_lattice,
    parity_images,
)

INPUT = "images"
OUTPUT = "probability"

logger = logging.getLogger(__name__)


def export_onnx(checkpoint: Path, out: Path, *, bits: Bits = 32) -> Parity:
    """Write a checkpoint as an ONNX bundle, whole or not at all.

    The graph takes prepared images (b c h w), b free, and gives the probability of mass (b h w). ONNX Runtime has to
    agree with PyTorch on the images of `parity_images` before anything is written. The weights keep their names, so
    that training can go on from a bundle.

    Args:
        checkpoint: A file that `save_checkpoint` wrote.
        out: The file to write, ending in ".onnx"; an existing one is replaced.
        bits: Round convolutions' weights to so many bits and store them so. They are computed with in 32 bits all the
            same, by PyTorch in the proof as well.

    Returns:
        The proof, as it stands in the bundle.

    Raises:
        ValueError: The file to write doesn't end in ".onnx".
        CheckpointError: The checkpoint can't be used, or ONNX Runtime doesn't agree with PyTorch.
    """
    if out.suffix != ".onnx":
        msg = f"{out}: a bundle's name ends in .onnx; take {out.with_suffix('.onnx').name}"
        raise ValueError(msg)
    network, card = load_checkpoint(checkpoint)
    _round(network, bits)
    images = parity_images(card.input_shape)
    try:
        model = _graph(network, images, temperature=card.temperature)
    except (RuntimeError, ValueError, torch.onnx.OnnxExporterError) as error:
        msg = f"{checkpoint}: PyTorch can't export it with images of {card.input_shape}: {error}"
        raise CheckpointError(msg) from error
    _store(model, bits)
    expected = _by_pytorch(network, images, temperature=card.temperature)
    found = _by_onnxruntime(model, images)
    parity = Parity(
        agreement=agreement(expected, found, threshold=card.threshold),
        lowest=float(expected.min()),
        highest=float(expected.max()),
        samples=on_lattice(expected),
        mass_pixels=tuple(int(count) for count in (expected >= card.threshold).sum(axis=(1, 2))),
        versions={library.__name__: library.__version__ for library in (torch, onnx, onnxruntime)},
    )
    if complaint := parity.agreement.complaint():
        msg = f"{checkpoint}: ONNX Runtime doesn't agree with PyTorch: {complaint}; nothing was written"
        raise CheckpointError(msg)
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json(), PARITY_KEY: parity.to_json()})
    write_whole(out, model.SerializeToString())
    logger.info("wrote %s, %d bytes", out, out.stat().st_size)
    return parity


class _MassProbability(nn.Module):
    """A network with temperature and softmax after it, so that the bundle's output needs no explanation."""

    def __init__(self, network: nn.Module, *, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
        """Probability of mass."""
        return mass_probability(self.network(images), temperature=self.temperature)


def _graph(network: nn.Module, images: Images, *, temperature: float) -> onnx.ModelProto:
    """The network as an ONNX model with a free batch axis."""
    with _quiet_exporter():
        # Typed as perhaps None: that is for exports straight to a file.
        program = cast(
            "torch.onnx.ONNXProgram",
            torch.onnx.export(
                _MassProbability(network, temperature=temperature).eval(),
                (torch.from_numpy(images[BATCHES[0]]),),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
                dynamo=True,
                external_data=False,
                verbose=False,
                # It would fold batch normalisation into the convolutions, which ONNX Runtime does on loading.
                optimize=False,
            ),
        )
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    onnx.checker.check_model(model)
    return model


def _round(network: nn.Module, bits: Bits) -> None:
    """Give the weights that have rows and columns the nearest values of fewer bits; statistics and biases stay."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.from_numpy(widened(*narrowed(weight.numpy(), bits))))


def _store(model: onnx.ModelProto, bits: Bits) -> None:
    """Store the rounded weights in fewer bits, under their names, and widen them in the graph."""
    if bits == 32:
        return
    graph, widening, scales, wide = model.graph, [], [], {}
    for stored in graph.initializer:
        if len(stored.dims) < 2 or stored.data_type != onnx.TensorProto.FLOAT:
            continue
        name = stored.name
        values, scale = narrowed(onnx.numpy_helper.to_array(stored), bits)
        stored.CopyFrom(onnx.numpy_helper.from_array(values, name))
        wide[name] = f"{name}.float32"
        unscaled = wide[name] if scale is None else f"{name}.unscaled"
        widening.append(onnx.helper.make_node("Cast", [name], [unscaled], to=onnx.TensorProto.FLOAT))
        if scale is not None:
            scales.append(onnx.numpy_helper.from_array(scale, name + SCALE))
            widening.append(onnx.helper.make_node("Mul", [unscaled, name + SCALE], [wide[name]]))
    graph.initializer.extend(scales)
    for node in graph.node:
        node.input[:] = [wide.get(name, name) for name in node.input]
    nodes = [*widening, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    # Types of the weights may be noted there, too.
    del graph.value_info[:]
    onnx.checker.check_model(model)


def _strip(model: onnx.ModelProto) -> None:
    """Take out the exporter's notes: they hold stack traces with the paths of this machine."""
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output, graph, model):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hold back what PyTorch's exporter says about itself: torchvision is not there, its own use of pytrees is old."""
    exporter_logger = logging.getLogger("torch.onnx")
    level = exporter_logger.level
    exporter_logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, message=r".*LeafSpec")
            yield
    finally:
        exporter_logger.setLevel(level)


def _by_pytorch(network: nn.Module, images: Images, *, temperature: float) -> Probabilities:
    """Probabilities by PyTorch on the CPU."""
    with torch.inference_mode():
        batches = [
            mass_probability(network(torch.from_numpy(images[batch])), temperature=temperature).numpy()
            for batch in BATCHES
        ]
    return np.concatenate(batches)


def _by_onnxruntime(model: onnx.ModelProto, images: Images) -> Probabilities:
    """Probabilities by ONNX Runtime on the CPU."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run([OUTPUT], {INPUT: images[batch]})[0] for batch in BATCHES])
