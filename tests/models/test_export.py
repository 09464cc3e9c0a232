"""The exported graph, and when it is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aunet.errors import CheckpointError
from aunet.inference.backends.onnxruntime import OnnxBackend
from aunet.inference.backends.torch import TorchBackend
from aunet.models import export
from aunet.models.bundle import SCALE, Bits, narrowed, widened
from aunet.models.card import CARD_KEY, ModelCard
from aunet.models.checkpoint import copy_with_card, load_checkpoint, read_card, save_checkpoint
from aunet.models.export import export_onnx
from aunet.models.factory import build_network
from aunet.models.parity import PARITY_KEY, Images, Parity, Probabilities, parity_images


def write_checkpoint(path: Path, card: ModelCard) -> None:
    """A small network with moved running statistics."""
    generator = torch.Generator().manual_seed(1)
    network = build_network(card.network, generator=generator)
    network(torch.rand(2, 1, 64, 96, generator=generator))
    save_checkpoint(path, network, card)


@pytest.fixture(scope="module")
def exported(plain_card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelCard, Parity, Path]:
    folder = tmp_path_factory.mktemp("export")
    write_checkpoint(folder / "tiny.safetensors", plain_card)
    return plain_card, export_onnx(folder / "tiny.safetensors", folder / "tiny.onnx"), folder / "tiny.onnx"


def test_the_bundle_is_one_file_that_onnx_finds_in_order(exported: tuple[ModelCard, Parity, Path]) -> None:
    _, _, path = exported

    onnx.checker.check_model(path, full_check=True)

    assert sorted(file.name for file in path.parent.iterdir()) == ["tiny.onnx", "tiny.safetensors"]


def test_the_batch_axis_is_free_and_the_others_are_fixed(exported: tuple[ModelCard, Parity, Path]) -> None:
    graph = onnx.load(exported[2]).graph

    shapes = [
        [dimension.dim_param or dimension.dim_value for dimension in end.type.tensor_type.shape.dim]
        for end in (*graph.input, *graph.output)
    ]
    assert shapes == [["batch", 1, 32, 48], ["batch", 32, 48]]


def test_the_metadata_hold_card_and_proof(exported: tuple[ModelCard, Parity, Path]) -> None:
    card, parity, path = exported

    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}

    assert ModelCard.from_json(metadata[CARD_KEY]) == card
    assert metadata[PARITY_KEY] == parity.to_json()


def test_no_path_of_this_machine_is_in_the_bundle(exported: tuple[ModelCard, Parity, Path]) -> None:
    content = exported[2].read_bytes()

    assert b".py" not in content
    assert str(Path(export.__file__).parent).encode() not in content


def test_training_can_go_on_from_the_weights_in_the_bundle(exported: tuple[ModelCard, Parity, Path]) -> None:
    card, _, path = exported

    original, _ = load_checkpoint(path.with_suffix(".safetensors"))
    network, found = load_checkpoint(path)

    assert found == card == read_card(path)
    weights = {name: tensor for name, tensor in original.state_dict().items() if "num_batches" not in name}
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(
    ("bits", "kind", "farthest"), [(16, onnx.TensorProto.FLOAT16, 0.01), (8, onnx.TensorProto.INT8, 0.05)]
)
def test_weights_of_fewer_bits_take_less_space_and_give_nearly_the_same(
    exported: tuple[ModelCard, Parity, Path], tmp_path: Path, bits: Bits, kind: int, farthest: float
) -> None:
    whole = exported[2]
    smaller = tmp_path / "smaller.onnx"

    parity = export_onnx(whole.with_suffix(".safetensors"), smaller, bits=bits)

    stored = [one for one in onnx.load(smaller).graph.initializer if not one.name.endswith(SCALE)]
    assert {one.data_type for one in stored if len(one.dims) > 1} == {kind}
    assert parity.agreement.max_difference < 1e-5
    assert 0 < np.abs(parity.samples - exported[1].samples).max() < farthest
    original, rounded = load_checkpoint(whole)[0].state_dict(), load_checkpoint(smaller)[0].state_dict()
    for name, weight in original.items():
        nearest = torch.from_numpy(widened(*narrowed(weight.numpy(), bits))) if weight.dim() > 1 else weight
        assert torch.equal(rounded[name], nearest)


def test_a_bundle_of_a_bundle_of_8_bits_has_the_same_weights(
    exported: tuple[ModelCard, Parity, Path], tmp_path: Path
) -> None:
    once, twice = tmp_path / "once.onnx", tmp_path / "twice.onnx"
    export_onnx(exported[2], once, bits=8)

    export_onnx(once, twice, bits=8)

    first, second = (load_checkpoint(path)[0].state_dict() for path in (once, twice))
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_8_bits_are_those_worked_out_by_hand() -> None:
    weights = np.array([[12.7, -6.31, 0.04], [0, 0, 0]], dtype=np.float32)

    stored, scale = narrowed(weights, 8)

    assert stored.tolist() == [[127, -63, 0], [0, 0, 0]]
    assert scale is not None
    assert scale[0] == pytest.approx(0.1, rel=2**-15)
    assert narrowed(np.full((1, 2), 1e-45, dtype=np.float32), 8)[0].tolist() == [[0, 0]]


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e3, 1e3, width=32)))
def test_8_bits_lie_within_half_a_step_and_are_narrowed_to_themselves(weights: np.ndarray) -> None:
    stored, scale = narrowed(weights, 8)
    wide = widened(stored, scale)

    again, same_scale = narrowed(wide, 8)

    assert scale is not None
    assert same_scale is not None
    assert np.all(np.abs(wide - weights) <= 0.5001 * scale + 1e-30)
    assert np.array_equal(widened(again, same_scale), wide)


def test_a_bundle_without_named_weights_is_no_start(exported: tuple[ModelCard, Parity, Path], tmp_path: Path) -> None:
    model = onnx.load(exported[2])
    for stored in model.graph.initializer:
        stored.name = f"folded.{stored.name}"
    onnx.save(model, tmp_path / "folded.onnx")

    with pytest.raises(CheckpointError, match="no weights by the network's names"):
        load_checkpoint(tmp_path / "folded.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"name": "vnet"}, "unknown network"), ({"width": 0}, "width"), ({"arguments": {"depth": 3}}, "depth")],
)
def test_a_bundle_whose_card_asks_for_no_network_is_refused_by_its_name(
    exported: tuple[ModelCard, Parity, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    model = onnx.load(exported[2])
    (entry,) = (one for one in model.metadata_props if one.key == CARD_KEY)
    card = json.loads(entry.value)
    entry.value = json.dumps({**card, "network": card["network"] | change})
    onnx.save(model, tmp_path / "changed.onnx")

    with pytest.raises(CheckpointError, match=f"changed.onnx.*{message}"):
        load_checkpoint(tmp_path / "changed.onnx")


def test_the_proof_says_what_was_compared(exported: tuple[ModelCard, Parity, Path]) -> None:
    parity = exported[1]

    assert parity.agreement.max_difference < 1e-5
    assert parity.agreement.differing_share == 0
    assert parity.lowest < parity.highest
    assert parity.samples.shape == (4, 16, 16)
    assert set(parity.versions) == {"torch", "onnx", "onnxruntime"}


def shifted(found: Probabilities) -> Probabilities:
    return found + np.float32(2e-4)


def without_a_number(found: Probabilities) -> Probabilities:
    return np.where(found == found.max(), np.float32(np.nan), found)


def with_the_last_batch_wrong(found: Probabilities) -> Probabilities:
    return np.concatenate([found[:3], found[:1]])


@pytest.mark.parametrize("wrong", [shifted, without_a_number, with_the_last_batch_wrong])
def test_a_graph_that_does_not_agree_is_not_written(
    exported: tuple[ModelCard, Parity, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[[Probabilities], Probabilities],
) -> None:
    checkpoint, graph = exported[2].with_suffix(".safetensors"), onnx.load(exported[2])
    by_onnxruntime = export._by_onnxruntime

    def wrongly(model: onnx.ModelProto, images: Images) -> Probabilities:
        return wrong(by_onnxruntime(model, images))

    monkeypatch.setattr(export, "_graph", lambda *_, **__: graph)
    monkeypatch.setattr(export, "_by_onnxruntime", wrongly)

    with pytest.raises(CheckpointError, match=r"doesn't agree with PyTorch: .*difference.*nothing was written"):
        export_onnx(checkpoint, tmp_path / "tiny.onnx")

    assert not list(tmp_path.iterdir())


def test_the_bundle_of_a_calibrated_checkpoint_gives_the_calibrated_probability(
    exported: tuple[ModelCard, Parity, Path], tmp_path: Path
) -> None:
    card, _, plain = exported
    warm = replace(card, temperature=0.2)
    copy_with_card(plain.with_suffix(".safetensors"), tmp_path / "warm.safetensors", warm)
    images = parity_images(card.input_shape)

    parity = export_onnx(tmp_path / "warm.safetensors", tmp_path / "warm.onnx")

    before = OnnxBackend(plain).probability(images).astype(np.float64)
    by_bundle = OnnxBackend(tmp_path / "warm.onnx").probability(images)
    by_checkpoint = TorchBackend(tmp_path / "warm.safetensors", "cpu").probability(images)
    by_hand = 1 / (1 + np.exp(-np.log(before / (1 - before)) / 0.2))
    assert parity.agreement.max_difference < 1e-5
    np.testing.assert_allclose(by_bundle, by_checkpoint, atol=1e-5)
    np.testing.assert_allclose(by_bundle, by_hand, atol=1e-4)
    assert np.abs(before - by_hand).max() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["deep-deep-unet", "res-res-unet", "fusionnet", "asppfcdensenet", "attention-dense-unet"]
)
def test_every_part_of_the_networks_is_exported(plain_card: ModelCard, tmp_path: Path, name: str) -> None:
    network = replace(plain_card.network, name=name)
    card = replace(plain_card, network=network, preprocessing='{"rows": 64, "columns": 96}')
    write_checkpoint(tmp_path / "tiny.safetensors", card)

    parity = export_onnx(tmp_path / "tiny.safetensors", tmp_path / "tiny.onnx")

    assert not parity.agreement.complaint()


def test_a_network_with_transposed_convolutions_is_exported_too(plain_card: ModelCard, tmp_path: Path) -> None:
    card = replace(plain_card, network=replace(plain_card.network, name="unet-deconv"))
    write_checkpoint(tmp_path / "tiny.safetensors", card)

    parity = export_onnx(tmp_path / "tiny.safetensors", tmp_path / "tiny.onnx")

    assert not parity.agreement.complaint()


@pytest.mark.parametrize(
    ("size", "message"), [('{"rows": 32, "columns": 40}', "multiples of 16"), ('{"rows": 32}', "rows and columns")]
)
def test_a_card_with_an_impossible_size_is_refused(
    plain_card: ModelCard, tmp_path: Path, size: str, message: str
) -> None:
    write_checkpoint(tmp_path / "tiny.safetensors", replace(plain_card, preprocessing=size))

    with pytest.raises(CheckpointError, match=message):
        export_onnx(tmp_path / "tiny.safetensors", tmp_path / "tiny.onnx")


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.onnx; take tiny\.onnx"):
        export_onnx(tmp_path / "tiny.safetensors", tmp_path / "tiny.pb")
