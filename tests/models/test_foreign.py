"""Networks of other libraries by their dotted names: what is called and what is refused, and that they serve."""

import importlib
import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from aunet.errors import CheckpointError
from aunet.models.card import ModelCard, NetworkSettings
from aunet.models.checkpoint import load_checkpoint, save_checkpoint
from aunet.models.complexity import complexity
from aunet.models.export import export_onnx
from aunet.models.factory import build_network

MONAI = NetworkSettings(
    name="monai.networks.nets:AttentionUnet",
    in_channels=1,
    arguments={"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [2, 4, 8], "strides": [2, 2]},
)

MODULE = """
import torch
from torch import nn

calls = []


def function(**arguments):
    calls.append("function")


class NoNetwork:
    def __init__(self, **arguments):
        calls.append("NoNetwork")


instance = nn.Identity()


class Halves(nn.Module):
    def forward(self, images):
        return images[..., ::2]


class Named(nn.Module):
    def forward(self, images):
        return {"out": images}


class Keeps(nn.Module):
    def __init__(self, **arguments):
        super().__init__()
        self.arguments = arguments
        self.first = nn.Conv2d(1, 2, 1)

    def forward(self, images):
        return self.first(images)
"""


@pytest.fixture(scope="module")
def card(plain_card: ModelCard) -> ModelCard:
    return replace(plain_card, network=MONAI)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module with networks and other things."""
    (tmp_path / "networks_of_others.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "networks_of_others", raising=False)
    return "networks_of_others"


def build(settings: NetworkSettings, *, seed: int = 1) -> nn.Module:
    return build_network(settings, generator=torch.Generator().manual_seed(seed))


def test_a_network_of_monai_maps_images_to_logits_on_their_grid() -> None:
    assert build(MONAI)(torch.zeros(2, 1, 16, 24)).shape == (2, 2, 16, 24)


def test_the_generator_decides_the_weights_and_leaves_pytorch_s_own_alone() -> None:
    before = torch.get_rng_state()

    first, again, other = (build(MONAI, seed=seed).state_dict() for seed in (1, 1, 2))

    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_network_of_monai_comes_back_from_a_checkpoint_and_is_exported(card: ModelCard, tmp_path: Path) -> None:
    network = build(MONAI)
    network(torch.rand(2, 1, 32, 48))
    images = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(2))

    save_checkpoint(tmp_path / "monai.safetensors", network, card)
    loaded, loaded_card = load_checkpoint(tmp_path / "monai.safetensors")
    parity = export_onnx(tmp_path / "monai.safetensors", tmp_path / "monai.onnx")

    assert loaded_card == card
    assert torch.equal(loaded(images), network.eval()(images))
    assert not parity.agreement.complaint()


def test_a_network_of_monai_is_counted() -> None:
    counted = complexity(MONAI, rows=32, columns=32)

    assert counted.parameters == sum(weight.numel() for weight in build(MONAI).parameters())
    assert counted.flop > 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("monai.networks.nets:", "is no dotted name"),
        (":AttentionUnet", "is no dotted name"),
        ("monai/networks:Net", "is no dotted name"),
        ("monai.networks.nets:AttentionUnet.__init__", "is no dotted name"),
        ("no.such.module:Net", r"module no\.such\.module can't be imported"),
        ("monai.networks.nets:NoSuchNet", "has nothing of that name there"),
        ("os:system", "expected a class that is a torch.nn.Module"),
        ("builtins:eval", "expected a class that is a torch.nn.Module"),
        ("torch:load", "expected a class that is a torch.nn.Module"),
        ("torch.hub:load", "expected a class that is a torch.nn.Module"),
    ],
)
def test_a_name_of_something_else_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(replace(MONAI, name=name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 / 0", "fails (ZeroDivisionError: division by zero)"),
        ("raise SystemExit(3)", "fails (SystemExit: 3)"),
        ("class Net(", "fails (SyntaxError: "),
        ("import no_such_package", "can't be imported (No module named 'no_such_package')"),
    ],
)
def test_a_module_that_fails_on_import_is_named_with_its_error(
    module: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / f"{module}.py").write_text(content)

    with pytest.raises(ValueError, match=f"network '{module}:Net': .*{module} {re.escape(message)}"):
        build(NetworkSettings(name=f"{module}:Net"))


@pytest.mark.parametrize("name", ["function", "NoNetwork", "instance"])
def test_nothing_but_a_network_s_class_is_called(module: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"expected a class that is a torch\.nn\.Module"):
        build(NetworkSettings(name=f"{module}:{name}"))

    assert importlib.import_module(module).calls == []


def test_a_checkpoint_from_elsewhere_calls_nothing_but_a_network_s_class(
    module: str, card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "elsewhere.safetensors"
    evil = json.loads(card.to_json()) | {"network": asdict(NetworkSettings(name=f"{module}:function"))}
    monkeypatch.setattr(ModelCard, "to_json", lambda _: json.dumps(evil))
    save_checkpoint(path, build(MONAI), card)

    with pytest.raises(CheckpointError, match=r"expected a class that is a torch\.nn\.Module"):
        load_checkpoint(path)

    assert importlib.import_module(module).calls == []


def test_arguments_that_do_not_suit_are_named() -> None:
    with pytest.raises(ValueError, match=r"can't be built with the arguments .*depth.*set network\.arguments"):
        build(replace(MONAI, arguments={"depth": 3}))


def test_the_text_none_is_none_anywhere_among_the_arguments(module: str) -> None:
    arguments = {"norm": "None", "act": {"name": "relu", "slope": "None"}, "kernels": [3, "None"]}

    network = build(NetworkSettings(name=f"{module}:Keeps", in_channels=1, arguments=arguments))

    kept = {"norm": None, "act": {"name": "relu", "slope": None}, "kernels": [3, None]}
    assert getattr(network.network, "arguments") == kept  # noqa: B009  (mypy takes a module's attributes for tensors)


@pytest.mark.parametrize(
    ("name", "channels", "message"),
    [
        ("Halves", 2, r"maps images \('b', 2, 8, 8\) to \('b', 2, 8, 4\); expected \('b', 2, 8, 8\)"),
        ("Named", 2, r"gives a dict; expected a tensor of logits \('b', 2, 8, 8\)"),
        ("Keeps", 3, r"can't take images of 3 x 8 x 8 .*: .*set network\.arguments"),
    ],
)
def test_a_network_that_does_not_map_images_to_logits_is_refused(
    module: str, name: str, channels: int, message: str
) -> None:
    network = build(NetworkSettings(name=f"{module}:{name}"))

    with pytest.raises(ValueError, match=message):
        network(torch.zeros(1, channels, 8, 8))


@pytest.mark.encoders
def test_a_network_of_segmentation_models_pytorch_serves_as_ours_do(plain_card: ModelCard, tmp_path: Path) -> None:
    arguments = {"encoder_name": "resnet18", "encoder_weights": "None", "in_channels": 1, "classes": 2}
    settings = NetworkSettings(name="segmentation_models_pytorch:Unet", in_channels=1, arguments=arguments)
    card = replace(plain_card, network=settings, preprocessing='{"rows": 32, "columns": 64}')
    network = build(settings)
    torch.autograd.backward(network(torch.rand(2, 1, 32, 64)).square().mean())
    images = torch.rand(1, 1, 32, 64, generator=torch.Generator().manual_seed(2))

    save_checkpoint(tmp_path / "smp.safetensors", network, card)
    loaded, _ = load_checkpoint(tmp_path / "smp.safetensors")
    parity = export_onnx(tmp_path / "smp.safetensors", tmp_path / "smp.onnx")

    assert all(weight.grad is not None for weight in network.parameters())
    assert torch.equal(loaded(images), network.eval()(images))
    assert not parity.agreement.complaint()
