"""Checkpoints: what is written comes back, and what is damaged is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from aunet.errors import CheckpointError
from aunet.models.card import CARD_KEY, ModelCard, NetworkSettings
from aunet.models.checkpoint import ENTRY, copy_with_card, load_checkpoint, read_card, save_checkpoint
from aunet.models.factory import build_network


@pytest.fixture
def card(plain_card: ModelCard) -> ModelCard:
    """A card whose free text has letters of two bytes."""
    return replace(plain_card, preprocessing='{"rows": 32, "columns": 32}', notes="Gewebe, dicht und größer")


def trained(card: ModelCard) -> nn.Module:
    """A network whose running statistics have moved."""
    generator = torch.Generator().manual_seed(1)
    network = build_network(card.network, generator=generator)
    network(torch.rand(2, 1, 32, 32, generator=generator))
    return network


def entry(card: ModelCard) -> dict[str, str]:
    """Metadata with a card and no digest."""
    return {ENTRY: json.dumps({CARD_KEY: card.to_json()})}


@pytest.fixture
def checkpoint(card: ModelCard, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, trained(card), card)
    return path


def test_a_loaded_network_gives_the_very_same_logits(card: ModelCard, checkpoint: Path) -> None:
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2))

    network, loaded_card = load_checkpoint(checkpoint)

    assert loaded_card == card
    assert not network.training
    with torch.inference_mode():
        assert torch.equal(network(images), trained(card).eval()(images))


def test_a_copy_with_another_card_has_the_same_weights_to_the_bit(
    card: ModelCard, checkpoint: Path, tmp_path: Path
) -> None:
    warm = replace(card, temperature=2.0, lowest_score=0.3)

    copy_with_card(checkpoint, tmp_path / "copy.safetensors", warm)

    before, after = load_file(checkpoint), load_file(tmp_path / "copy.safetensors")
    assert read_card(tmp_path / "copy.safetensors") == warm
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_loaded_network_can_be_trained_on(checkpoint: Path) -> None:
    network, _ = load_checkpoint(checkpoint)

    torch.autograd.backward(network.train()(torch.rand(2, 1, 32, 32)).square().mean())

    assert all(weight.grad is not None for weight in network.parameters())


def test_weights_in_channels_last_are_kept_alike(card: ModelCard, checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"

    network = trained(card)

    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # lacking in PyTorch's annotations
    save_checkpoint(path, network, card)

    assert path.read_bytes() == checkpoint.read_bytes()


def test_the_card_is_read_alone(card: ModelCard, checkpoint: Path) -> None:
    assert read_card(checkpoint) == card


def test_nothing_but_the_checkpoint_is_left_in_the_folder(checkpoint: Path) -> None:
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_a_failed_write_leaves_the_checkpoint_before_it(
    card: ModelCard, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = checkpoint.read_bytes()

    def full_disk(self: Path, data: bytes) -> int:
        with self.open("wb") as half:
            half.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)

    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(checkpoint, trained(card), card)

    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_a_network_unlike_its_card_is_not_written(card: ModelCard, tmp_path: Path) -> None:
    other = replace(card, network=replace(card.network, name="unet"))

    with pytest.raises(ValueError, match="not the 'unet' that its card describes"):
        save_checkpoint(tmp_path / "tiny.safetensors", trained(card), other)


def test_a_checkpoint_cut_off_anywhere_is_refused(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()

    for length in [0, 1, 7, 8, 9, 100, 2000, *range(3000, len(content), len(content) // 20), len(content) - 1]:
        checkpoint.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"tiny\.safetensors"):
            load_checkpoint(checkpoint)


def test_a_checkpoint_with_any_byte_changed_is_refused(card: ModelCard, checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    rng = np.random.default_rng(5)

    for place in [0, 3, 7, 8, 9, *rng.integers(0, 4000, 60).tolist(), *rng.integers(0, len(content), 60).tolist()]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(0, 8))
        checkpoint.write_bytes(damaged)
        try:
            _, loaded_card = load_checkpoint(checkpoint)
        except CheckpointError:
            continue
        assert loaded_card != card, f"byte {place}"  # a letter of the card's free text


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file", b"\x80\x02 a pickle", b"\xff" * 64, b"{}" * 40])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["missing.safetensors", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {ENTRY: "{"}, {ENTRY: "3"}, {ENTRY: "{}"}])
def test_weights_without_a_card_are_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata)

    with pytest.raises(CheckpointError, match=r"holds no model card|not a whole"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (NetworkSettings(name="aunet", in_channels=1, width=4, reduction=2), "is expected"),
        (NetworkSettings(name="unet", in_channels=1, width=2), "missing|not part"),
        (NetworkSettings(name="vnet", in_channels=1, width=2), "unknown network"),
        (NetworkSettings(name="aunet", in_channels=1, width=2, arguments={"depth": 3}), "depth"),
        (NetworkSettings(name="aunet", in_channels=1, width=2, reduction=-1), "reduction"),
        (NetworkSettings(name="aunet", in_channels=1, width=10**6, reduction=2), "is expected"),
        (NetworkSettings(name="aunet", in_channels=1, width=10**30, reduction=2), "can't be used"),
        (NetworkSettings(name="aunet", in_channels=-1, width=2, reduction=2), "at least 1"),
    ],
)
def test_a_card_that_does_not_fit_the_weights_is_refused(
    card: ModelCard, checkpoint: Path, settings: NetworkSettings, message: str
) -> None:
    weights = load_file(checkpoint)
    save_file(weights, checkpoint, metadata=entry(replace(card, network=settings)))

    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(checkpoint)


def test_weights_of_half_precision_are_refused(card: ModelCard, checkpoint: Path) -> None:
    weights = {name: weight.half() for name, weight in load_file(checkpoint).items()}
    save_file(weights, checkpoint, metadata=entry(card))

    with pytest.raises(CheckpointError, match=r"torch\.float16"):
        load_checkpoint(checkpoint)


def test_weights_other_than_those_written_are_refused(card: ModelCard, checkpoint: Path) -> None:
    weights = load_file(checkpoint)
    weights["classifier.bias"] += 1
    save_file(weights, checkpoint, metadata=entry(card))

    with pytest.raises(CheckpointError, match="not those that were written"):
        load_checkpoint(checkpoint)
