"""What the units of the imaging track reach on generated data: medians over seeds.

    python -m benchmarks.imaging                    # every unit of the track, seeds 0 to 4
    python -m benchmarks.imaging --unit SLUG        # one unit; the others' figures stay
    python -m benchmarks.imaging --unit SLUG --seeds 0 1   # to develop; recorded nowhere
    MEDLAB_SCALE=laptop python -m benchmarks.imaging --unit SLUG --seeds 0   # recorded as @laptop

Runs each solution as the builder does, and reads the mapping FIGURES that its last cell sets.
"""

import argparse
import datetime
import json
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata

import nbformat
from papermill.parameterize import parameterize_notebook

from benchmarks.record import record, recorded
from medlab.course import Syllabus, find_course, load_syllabus, load_unit
from medlab.course.audience import INSTRUCTOR, notebook
from medlab.course.execute import execute
from medlab.figures import Figure
from medlab.scale import scale

TRACK, SEEDS = "imaging", (0, 1, 2, 3, 4)
PACKAGES = ("torch", "torchvision", "monai", "scikit-learn", "numpy", "grad-cam", "shap")
SAID = "the unit's figures: "
TELL = f"import json; print({SAID!r} + json.dumps({{k: float(v) for k, v in FIGURES.items()}}))"


def main():
    options = parse()
    slugs = options.unit or slugs_with_figures(load_syllabus(find_course()))
    runs = [(slug, seed) for slug in slugs for seed in options.seeds]
    found = {slug: [] for slug in slugs}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for (slug, seed), said in zip(runs, pool.map(run, runs), strict=True):
            print(f"{slug}, seed {seed}: {said}", flush=True)
            found[slug].append(said)
    made = [figure for slug in slugs for figure in figures(slug, found[slug], options.seeds)]
    if tuple(options.seeds) == SEEDS or scale() != "ci":
        record(__file__, others(slugs) + made, {name: metadata.version(name) for name in PACKAGES})
    else:
        print(json.dumps({f.name: f.value for f in made}, indent=2))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--unit", action="append")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    return parser.parse_args()


def slugs_with_figures(syllabus: Syllabus) -> list[str]:
    """Return the track's units whose source sets FIGURES."""
    entries = [entry for entry in syllabus.units if entry.track == TRACK]
    return [e.slug for e in entries if "FIGURES = {" in e.source.read_text(encoding="utf-8")]


def run(wanted: tuple[str, int]) -> dict[str, float]:
    """Execute one solution with one seed; return its figures."""
    slug, seed = wanted
    made = notebook(load_unit(load_syllabus(find_course()).find(slug)), INSTRUCTOR)
    made.metadata.papermill = {}  # parameterize_notebook expects what papermill itself puts there
    for cell in made.cells:
        cell.metadata.setdefault("tags", [])
    made = parameterize_notebook(made, {"SEED": seed})
    made.cells.append(nbformat.v4.new_code_cell(TELL))
    [text] = [o.text for o in execute(made, slug).cells[-1].outputs if o.output_type == "stream"]
    return json.loads(text.strip().removeprefix(SAID))


def figures(slug: str, found: list[dict[str, float]], seeds: list[int]) -> list[Figure]:
    """Return one figure for each name that the unit gives: the median, with the range told."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    said = f"median of seeds {', '.join(map(str, seeds))}; generated data, {scale()} scale, {today}"
    made = []
    for name in found[0]:
        values = [of_seed[name] for of_seed in found]
        how = f"{said}; from {min(values):.3f} to {max(values):.3f}"
        value = round(statistics.median(values), 4)
        full = f"{slug}/{name}{at_scale()}"
        made.append(Figure(full, value, "1", "host", how))
    return made


def at_scale() -> str:
    """Return what a figure's name ends in when it was not made at the ci scale."""
    return "" if scale() == "ci" else f"@{scale()}"


def others(slugs: list[str]) -> list[Figure]:
    """Return the recorded figures that a run of these units at this scale does not replace."""
    replaced = [(slug, at_scale()) for slug in slugs]
    return [f for f in recorded(__file__) if place(f.name) not in replaced]


def place(name: str) -> tuple[str, str]:
    """Return the unit and the ending of a figure's name."""
    slug, _, figure = name.partition("/")
    return slug, figure[figure.find("@") :] if "@" in figure else ""


if __name__ == "__main__":
    main()
