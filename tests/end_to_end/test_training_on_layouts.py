"""The paper's recipe on the trees of both data sets, with nothing but the path changed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aunet.cli.app import app
from aunet.phantom.cbis_ddsm_layout import write_cbis_ddsm
from aunet.phantom.inbreast_layout import write_inbreast

pytestmark = pytest.mark.slow

# The paper's network and its 120 epochs need a GPU; everything else is the recipe's own.
SMALL = (
    "network.width=2", "network.reduction=2", "preprocessing.rows=64", "preprocessing.columns=64", "training.epochs=1",
)  # fmt: skip


def aunet(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.stderr
    return done.stdout


def train(data: str, out: Path, *more: object) -> dict[str, object]:
    changes = [word for change in SMALL for word in ("--set", change)]
    said = aunet("train", "recipes/paper/aunet_r16.toml", "--data", data, "--out", out, *changes, *more, "--json")
    return dict(json.loads(said))


def test_the_recipe_of_the_paper_trains_on_the_tree_of_cbis_ddsm(tmp_path: Path) -> None:
    write_cbis_ddsm(tmp_path / "data", patients=5, seed=1, rows=128)

    run = train(f"cbis-ddsm:{tmp_path / 'data'}", tmp_path / "run")

    sides = json.loads((tmp_path / "run" / "splits.json").read_text(encoding="utf-8"))["sides"]
    assert (run["epochs"], run["train_images"]) == (1, len(sides["train"]))
    assert all(case.startswith("Mass-Training") for case in sides["train"])
    assert all(case.startswith("Mass-Test") for case in sides["test"])


def test_five_folds_run_on_the_tree_of_inbreast(tmp_path: Path) -> None:
    write_inbreast(tmp_path / "data", patients=10, seed=1, rows=128)
    data = f"inbreast:{tmp_path / 'data'}"
    summary = json.loads(aunet("inspect", data, "--out", tmp_path / "inspection", "--folds", 5, "--json"))
    scored = []
    for number in range(1, 6):
        fold = tmp_path / "inspection" / f"fold-{number}.json"

        run = train(data, tmp_path / f"run-{number}", "--splits", fold)
        out = tmp_path / f"scores-{number}"
        aunet("evaluate", run["best"], "--data", data, "--splits", fold, "--out", out)

        rows = (out / "per_image.csv").read_text(encoding="utf-8").splitlines()[1:]
        scored += [row.partition(",")[0] for row in rows]

    assert len(scored) == len(set(scored)) == summary["counts"]["read"]
