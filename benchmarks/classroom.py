"""How fast medlab grades a class that uses torch and MONAI, beside nbgrader, otter and papermill.

    python -m benchmarks.classroom                             # everything in turn, recorded
    python -m benchmarks.classroom --only nbgrader --count 2   # to develop; recorded nowhere

What it needs is made under build/bench/classroom; the first run downloads packages.
"""

import argparse
import functools
import re

from benchmarks.classroom_parts import environments, graders, the_class
from benchmarks.classroom_parts.figures import figure, of_grader, of_many, ratio
from benchmarks.record import record
from medlab.course import load_syllabus, load_unit

FOLDER = environments.PLACE.parent
COUNT, STEPS = 20, 280  # submissions; steps of training, about 2 s of work for each
MANY, FEW_STEPS = 1000, 20
REAL, REAL_COUNT, REAL_FEW = "chest-xray-pneumonia", 100, 10  # few: for nbgrader and papermill
MEDLAB_1, MEDLAB_2 = "medlab, 1 worker", "medlab, 2 workers"
DASK_1, DASK_2 = "medlab, Dask cluster of 1", "medlab, Dask cluster of 2"
DASK = (DASK_1, DASK_2)
REAL_MEDLAB, REAL_NBGRADER, REAL_POOL = (f"{REAL}, {g}" for g in ("medlab", "nbgrader", "pool"))
POOL = "papermill, pool of 2"
WORK, KERNELS, THOUSAND = "learners' work", "kernels", "many"
IN_TURN = {
    WORK: graders.learner_work,
    "nbgrader": graders.nbgrader,
    "otter": graders.otter,
    "papermill": functools.partial(graders.papermill, processes=1),
    POOL: functools.partial(graders.papermill, processes=2),
    MEDLAB_2: functools.partial(graders.medlab, workers=2),
    MEDLAB_1: functools.partial(graders.medlab, workers=1),
    DASK_1: functools.partial(graders.medlab_on_dask, workers=1),
    DASK_2: functools.partial(graders.medlab_on_dask, workers=2),
    KERNELS: graders.kernels,
    THOUSAND: functools.partial(graders.medlab, workers=2),
    REAL_MEDLAB: functools.partial(graders.medlab, workers=2),
    REAL_NBGRADER: graders.nbgrader,
    REAL_POOL: functools.partial(graders.papermill, processes=2),
}
REAL_ONES = {REAL_MEDLAB: REAL_COUNT, REAL_NBGRADER: REAL_FEW, REAL_POOL: REAL_FEW}
COMMANDS = {
    "nbgrader": "`nbgrader autograde`",
    "otter": "`otter run` for each, on this machine without a container",
    "papermill": "papermill.execute_notebook in a loop, hidden tests as cells",
    POOL: "papermill.execute_notebook in a multiprocessing pool, hidden tests as cells",
    MEDLAB_2: "`medlab grade --jail namespaces --workers 2`, started anew",
    MEDLAB_1: "`medlab grade --jail namespaces --workers 1`, started anew",
    DASK_1: "`medlab grade --dask`, local cluster of 1 that has graded before",
    DASK_2: "`medlab grade --dask`, local cluster of 2 that has graded before",
}
WARM = "whole command; workers whose warm parents live, from a run before"
COLD = "whole command; workers that import the libraries first"
LEARNER_WORK = "mean; the cells of each notebook run in one warm Python with everything imported"
OVER_WORK = "medlab with 1 worker, whole command, to learner_work_seconds"
SITTING = "from a kernel's start to its end, as medlab reports, to learner_work_seconds"
SLOPE = "slope over 1, 2 and 4 kernels of one parent; PSS of parent, keepers and kernels"


def main():
    options = parse()
    environments.make()
    outcomes = {}
    for name in options.only or IN_TURN:
        pupils = class_for(name, options)
        print(f"{name}: {len(pupils.answers)} submissions", flush=True)
        outcomes[name] = IN_TURN[name](pupils)
        check_scores(name, outcomes[name], pupils)
        print(f"  {told(outcomes[name], len(pupils.answers))}", flush=True)
    if not options.only:
        made = figures(outcomes, options.count, options.many)
        write = record if (options.count, options.many) == (COUNT, MANY) else show
        write(__file__, made, environments.versions())


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(IN_TURN))
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--many", type=int, default=MANY)
    return parser.parse_args()


def class_for(name, options):
    """Return the class that a grader gets: of a unit of the course, of many, or the usual one."""
    if name in REAL_ONES:
        return real_class(REAL_ONES[name])
    many = name == THOUSAND
    return make_class(options.many if many else options.count, many)


def real_class(count):
    """Return a class of a unit of the course, graded in the environment that is here."""
    unit = load_unit(load_syllabus(environments.ROOT).find(REAL))
    answers = the_class.answers_of_all(unit, count)
    return graders.Class(FOLDER / REAL, environments.ROOT, unit, answers, graders.OWN)


def make_class(count, many):
    """Write the course and return a class of it; that of many works less for each submission."""
    folder = FOLDER / ("many" if many else "class")
    course = folder / "course"
    unit = the_class.write_course(course, FEW_STEPS if many else STEPS)
    return graders.Class(folder, course, unit, the_class.answers_of_all(unit, count))


def check_scores(name, outcome, pupils):
    """Stop where a grader does not give the points that the unit promises."""
    expected = the_class.expected_scores(pupils.unit, pupils.answers)
    if outcome.scores is not None and outcome.scores != expected:
        wrong = {s: (outcome.scores.get(s), e) for s, e in expected.items()}
        wrong = {s: pair for s, pair in wrong.items() if pair[0] != pair[1]}
        raise SystemExit(f"{name}: got and expected points differ: {wrong}")


def told(outcome, count):
    if outcome.measured is None:
        return str(outcome.more)
    m = outcome.measured
    return (
        f"{m.seconds / count:.2f} s, {m.cpu_seconds / count:.2f} CPU s per submission "
        f"(rusage {m.cpu_by_rusage:.1f}, /proc {m.cpu_by_proc:.1f} in all), "
        f"peak {m.peak_pss_mb:.0f} MB, {outcome.more or ''}"
    )


def figures(outcomes, count, many):
    """Return all figures: those asked for first, then what they are made of."""
    counts = dict.fromkeys(COMMANDS, count) | REAL_ONES
    raw = [
        one
        for name, n in counts.items()
        for one in of_grader(plain(name), outcomes[name], n, COMMANDS.get(name, name))
    ]
    of_all = [*ratios(outcomes, count), *real_ratios(outcomes)]
    return [*of_all, *others(outcomes, count, many), *raw]


def ratios(outcomes, count):
    seconds = {name: outcomes[name].measured.seconds for name in COMMANDS}
    cpu = {name: outcomes[name].measured.cpu_seconds for name in COMMANDS}
    work, alone = outcomes[WORK].more["seconds"], outcomes[MEDLAB_1].more["sitting_seconds"]
    two = "with 2 workers; one run of each, in turn, on the same class"
    return [
        ratio("speedup_vs_nbgrader", seconds["nbgrader"], seconds[MEDLAB_2], f"medlab {two}"),
        ratio("cpu_ratio_vs_nbgrader", cpu["nbgrader"], cpu[MEDLAB_2], f"medlab {two}"),
        ratio("speedup_vs_otter", seconds["otter"], seconds[MEDLAB_2], f"medlab {two}"),
        ratio("speedup_vs_papermill_pool", seconds[POOL], seconds[MEDLAB_2], f"medlab {two}"),
        ratio("time_over_learner_work", seconds[MEDLAB_1] / count, work, OVER_WORK),
        ratio("sitting_over_learner_work", alone, work, SITTING),
        ratio("dask_two_over_one", seconds[DASK_1], seconds[DASK_2], WARM),
        ratio("dask_two_over_one_cold", *(outcomes[d].more["cold_seconds"] for d in DASK), COLD),
    ]


def real_ratios(outcomes):
    """Return how much faster medlab is on a class of a unit of the course, for each submission."""
    each = {name: outcomes[name].measured.seconds / n for name, n in REAL_ONES.items()}
    how = f"{REAL}: medlab with 2 workers on {REAL_COUNT} submissions, the other on {REAL_FEW}"
    return [
        ratio(f"chest_xray_{REAL_COUNT}_speedup_vs_{other}", each[name], each[REAL_MEDLAB], how)
        for other, name in (("nbgrader", REAL_NBGRADER), ("papermill_pool", REAL_POOL))
    ]


def others(outcomes, count, many):
    weights, few = outcomes[KERNELS].more, outcomes[THOUSAND]
    by_nbgrader, by_medlab = outcomes["nbgrader"].scores, outcomes[MEDLAB_2].scores
    same = sum(by_nbgrader[student] == by_medlab[student] for student in by_nbgrader)
    long = f"{COMMANDS[MEDLAB_2]}; {many} submissions, {FEW_STEPS} steps instead of {STEPS} in each"
    return [
        figure("same_scores_as_nbgrader", same, "1", f"students of {count}", kind="exact"),
        figure("learner_work_seconds", outcomes[WORK].more["seconds"], "s", LEARNER_WORK),
        figure("pss_per_kernel_mb", weights["imported"], "MB", f"{SLOPE}, after the imports"),
        figure("pss_per_kernel_worked_mb", weights["worked"], "MB", f"{SLOPE}, after all cells"),
        *of_many(few, many, long),
        *of_grader("medlab_many", few, many, long),
    ]


def plain(name):
    """Return a name in which only letters, digits and underscores are left."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def show(_, made, versions):
    """Print the figures of a run too small to be recorded."""
    for one in made:
        print(f"  {one.name:<44} {one.value:>10.4g} {one.unit}")
    print(f"  {versions}")


if __name__ == "__main__":
    main()
