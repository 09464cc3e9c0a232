import json
import shutil
from pathlib import Path

from aunet.datasets.opening import open_dataset
from aunet.phantom.layouts import write_folder
from aunet.studies.demo import Layout
from aunet.studies.demo_page import write_page


def test_the_page_says_that_it_is_for_research(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_folder(layout.phantoms, patients=5, seed=5, rows=128)
    for folder in (layout.inspection, layout.run, layout.evaluation, layout.segmented / "masks"):
        folder.mkdir(parents=True)
    for sample in open_dataset(f"folder:{layout.phantoms}").samples:
        (mask,) = sample.mask_paths
        shutil.copy(mask, layout.segmented / "masks" / f"{sample.image_path.stem}.png")
    (layout.inspection / "ledger.json").write_text('{"counts": {"read": 10}}')
    (layout.run / "metrics.csv").write_text("epoch,train_loss,validation_loss,validation_dsc\n1,2.0,2.0,0.1\n")
    summary = {"n": 2, "missed": 1, "false_positive_images": 0, "metrics": {}}
    (layout.evaluation / "summary.json").write_text(json.dumps(summary))

    page = write_page(layout, [], films_missing="none installed")

    assert "<p>For research use only, not a medical device.</p>" in page.read_text("utf-8")
