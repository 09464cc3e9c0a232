import subprocess
import sys

import aunet


def test_every_public_name_can_be_imported() -> None:
    missing = [name for name in aunet.__all__ if not hasattr(aunet, name)]

    assert missing == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(aunet, "segmentor")


def test_importing_the_package_loads_no_heavy_library() -> None:
    heavy = {"torch", "pandas", "matplotlib", "pydicom", "scipy", "onnxruntime"}
    program = "import aunet, sys; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert heavy.isdisjoint(loaded.split())


def test_the_command_lists_every_verb_without_importing_any() -> None:
    program = (
        "import sys; sys.argv = ['aunet', '--help']\n"
        "from aunet.cli import app\n"
        "try:\n    app.main()\nexcept SystemExit: pass\n"
        "print('LOADED', *(name for name in sys.modules if name.startswith('aunet.')))"
    )

    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    help_text, loaded = printed.split("LOADED")
    assert all(verb in help_text for verb in ("demo", "train", "evaluate", "segment", "inspect", "export"))
    assert set(loaded.split()) == {"aunet.cli", "aunet.cli.app", "aunet.errors"}
