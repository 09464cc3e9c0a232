"""What a network loses at a site with another scanner, and how much each way to unknown mammograms wins back.

    python benchmarks/new_site.py OUT [--patients 100] [--few 12] [--tested 80] [--size 96] [--reverse]

A network is trained on phantoms of one scanner (film; with --reverse, detector) and scored on the same breasts seen by
both scanners: as it is, with grey values matched to its training images, and fine-tuned on a few labelled images of the
other scanner, at two learning rates. As controls, images of the first scanner are matched as well, the fine-tuned
network is scored on its first scanner again, and a network is trained on the few images alone. One seed: differences
smaller than the intervals say nothing. OUT keeps everything; a second call with the same arguments goes on where the
first was cut off.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aunet.datasets.opening import open_dataset
from aunet.evaluation.drift import drift_of
from aunet.evaluation.run import evaluate
from aunet.evaluation.summary import Summary
from aunet.inference.segmenter import Segmenter
from aunet.phantom.layouts import write_folder
from aunet.training.recipe import load_recipe
from aunet.training.run import train

Scanner = Literal["film", "detector"]
RECIPE = Path("cpu/demo")
ROWS = 512
FEW_EPOCHS_FACTOR = 2
"""A few images make few steps an epoch, so that they are gone through more often."""
TRAINED, FEW, TESTED = 1, 2, 3
"""Seeds of the phantoms: three sets of breasts."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything lies, and how much of it there is; a fifth of the patients to train on is left out as a test."""

    out: Path
    patients: int
    few: int
    tested: int
    epochs: int
    size: int
    """Rows and columns of the network's grid."""

    def phantoms(self, seed: int, scanner: Scanner, *, patients: int) -> str:
        """Phantoms of one scanner; the same seed shows the same breasts to another one."""
        folder = self.out / f"phantoms-{seed}-{scanner}"
        write_folder(folder, patients=patients, seed=seed, rows=ROWS, acquisition=scanner)
        return f"folder:{folder}"

    def trained(self, name: str, data: str, *changes: str, epochs: int, init: Path | None = None) -> Path:
        """The weights of the last epoch, of training on the training split of a data set."""
        grid = [f"preprocessing.rows={self.size}", f"preprocessing.columns={self.size}"]
        shared = ["training.validation_fraction=0.0", f"training.epochs={epochs}", 'hardware.precision="auto"']
        recipe = load_recipe(RECIPE, [*grid, *shared, *changes])
        dataset = open_dataset(data)
        begin = time.perf_counter()
        run = train(recipe, dataset, self.out / name, init=init, resume=True, cache=self.out / "cache")
        print(
            f"{name:8} {run.train_images} images, {run.epochs} epochs, {time.perf_counter() - begin:.0f} s", flush=True
        )
        return run.last

    def scored(self, name: str, weights: Path, data: str, *, matched: bool = False) -> Summary:
        """The scores on all images of a data set."""
        segmenter = Segmenter.load(weights)
        return evaluate(
            segmenter.matching_intensity() if matched else segmenter,
            open_dataset(data),
            self.out / name,
            split="all",
            cache=self.out / "cache",
            weights=weights,
        )


def arms(site: Site, home: Scanner, away: Scanner) -> Iterator[tuple[str, Summary]]:
    """The scores of each way, one after another."""
    few = site.phantoms(FEW, away, patients=site.few)
    at_home, at_new_site = (site.phantoms(TESTED, scanner, patients=site.tested) for scanner in (home, away))
    weights = site.trained("home", site.phantoms(TRAINED, home, patients=site.patients), epochs=site.epochs)
    yield f"{home}, as trained", site.scored("score-home", weights, at_home)
    yield f"{home}, matched", site.scored("score-home-matched", weights, at_home, matched=True)
    yield f"{away}, as it is", site.scored("score-away", weights, at_new_site)
    drift = drift_of(open_dataset(at_new_site), Segmenter.load(weights).card)
    (site.out / "drift.json").write_text(drift.to_json(), encoding="utf-8")
    print(*drift.sentences, sep="\n")
    yield f"{away}, matched", site.scored("score-matched", weights, at_new_site, matched=True)
    more = FEW_EPOCHS_FACTOR * site.epochs
    for factor in (0.3, 0.1):
        rate = f"fine_tuning.learning_rate_factor={factor}"
        tuned = site.trained(f"tuned-{factor}", few, rate, epochs=more, init=weights)
        yield f"{away}, tuned at {factor}", site.scored(f"score-tuned-{factor}", tuned, at_new_site)
        yield f"{home}, tuned at {factor}", site.scored(f"score-home-tuned-{factor}", tuned, at_home)
    alone = site.trained("alone", few, epochs=more)
    yield f"{away}, the few alone", site.scored("score-alone", alone, at_new_site)


def main() -> None:
    """Print a table, and write it to OUT/new_site.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=100, help="to train on, of the first scanner")
    parser.add_argument("--few", type=int, default=12, help="labelled patients of the other scanner")
    parser.add_argument("--tested", type=int, default=80, help="patients to test on, seen by both scanners")
    parser.add_argument("--epochs", type=int, default=16, help="of the first training")
    parser.add_argument("--size", type=int, default=96, help="rows and columns of the network's grid")
    parser.add_argument("--reverse", action="store_true", help="train on detector images, test on film")
    asked = parser.parse_args()
    begin = time.perf_counter()
    site = Site(asked.out, asked.patients, asked.few, asked.tested, asked.epochs, asked.size)
    rows = list(arms(site, "detector", "film") if asked.reverse else arms(site, "film", "detector"))
    at_home, as_it_is = (rows[position][1].metrics["dsc"].mean for position in (0, 2))
    new_site = rows[2][0].partition(",")[0]
    print(f"\n{'':24} mean DSC  95 % interval      n  missed  elsewhere  of the drop won back")
    table = []
    for name, summary in rows:
        score, counts = summary.metrics["dsc"], summary.overall.counts
        back = (score.mean - as_it_is) / (at_home - as_it_is) if name.startswith(new_site) else None
        print(
            f"{name:24} {score.mean:8.3f}  {score.ci95[0]:.3f} to {score.ci95[1]:.3f}  {score.n:3}  {counts.missed:6}"
            f"  {counts.no_overlap:9}  {'' if back is None else f'{back:8.0%}'}"
        )
        table.append({
            "arm": name,
            "dsc": score.mean,
            "ci95": score.ci95,
            "n": score.n,
            "missed": counts.missed,
            "no_overlap": counts.no_overlap,
            "won_back": back,
        })
    (asked.out / "new_site.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(f"{time.perf_counter() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
