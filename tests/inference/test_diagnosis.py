"""What is found out about a machine, on made-up machines."""

from pathlib import Path

import pytest

from aunet.inference import diagnosis
from aunet.inference.diagnosis import Space, diagnose
from aunet.io import dicom_pixels
from aunet.io.decoders import PYDICOM, list_decoders


def test_the_decoders_are_those_that_reading_asks_for() -> None:
    found = {decoder.transfer_syntax_uid: decoder.plugin for decoder in list_decoders()}

    compressed = {syntax: plugin for syntax, plugin in found.items() if plugin != PYDICOM}
    assert compressed == dicom_pixels._DECODERS
    assert found.keys() - compressed.keys() == dicom_pixels._UNCOMPRESSED


def test_a_container_s_limit_counts_for_more_than_the_machine_s_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("900000000\n")
    (tmp_path / "memory.stat").write_text("anon 400000000\ninactive_file 500000000\n")  # files read before
    container = diagnosis.container_memory(tmp_path)
    monkeypatch.setattr(diagnosis, "container_memory", lambda: container)

    found = diagnose()

    assert found.memory == Space(total=1_000_000_000, free=600_000_000)
    assert any("0.6 GiB of memory" in problem for problem in found.problems)


def test_a_container_without_a_limit_says_nothing(tmp_path: Path) -> None:
    for name, text in (("memory.max", "max\n"), ("memory.current", "400000000\n"), ("memory.stat", "")):
        (tmp_path / name).write_text(text)

    assert diagnosis.container_memory(tmp_path) is None
    assert diagnosis.container_memory(tmp_path / "none") is None


def test_control_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("700\n")
    (tmp_path / "memory" / "memory.stat").write_text("cache 600\ntotal_inactive_file 500\n")

    assert diagnosis.container_memory(tmp_path) == Space(total=1000, free=800)


def test_the_machine_s_memory_is_read_in_kibibytes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(
        "MemTotal:       2048 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\nHugePages: 0\n"
    )

    found = diagnosis._machine_memory(tmp_path / "meminfo")

    assert found == Space(total=2048 * 1024, free=1024 * 1024)
    assert diagnosis._machine_memory(tmp_path / "none") is None


def test_without_the_extra_training_is_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"torch", "lightning"}
    version = diagnosis._version
    monkeypatch.setattr(diagnosis, "_version", lambda name: None if name in absent else version(name))
    monkeypatch.setattr(diagnosis, "find_spec", lambda _: None)

    found = diagnose()

    assert found.problems == ()
    assert found.gpus == ()
    assert any("torch, lightning missing; pip install 'aunet[train]'" in remark for remark in found.remarks)


def test_little_shared_memory_is_remarked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_space", lambda _: Space(total=64 * 2**20, free=63 * 2**20))

    found = diagnose()

    assert any("63 MiB free" in remark for remark in found.remarks)
    assert found.problems == ()
