"""The figures of the classroom benchmark, from what the graders took."""

import statistics

from benchmarks.classroom_parts.meter import HOW_CPU, HOW_PSS
from medlab.figures import Figure

WINDOW = 0.1  # of the submissions: memory is the median over a window, since kernels come and go


def figure(name, value, unit, how, kind="host"):
    return Figure(name, round(value, 4), unit, kind, how)


def of_grader(name, outcome, count, how):
    """Return the raw figures of one grader."""
    m, how = outcome.measured, f"{how}; {count} submissions, whole command"
    return [
        figure(f"seconds_{name}", m.seconds / count, "s", f"{how}, wall time for each"),
        figure(f"cpu_seconds_{name}", m.cpu_seconds / count, "s", f"{how}, for each; {HOW_CPU}"),
        figure(f"peak_pss_mb_{name}", m.peak_pss_mb, "MB", f"{how}; {HOW_PSS}, the largest"),
    ]


def ratio(name, above, below, how):
    return figure(name, above / below, "1", how)


def memory_at(outcome, place):
    """Return the median PSS while the submissions around a place were graded, in MB."""
    half = WINDOW / 2 * max(done for done, _ in outcome.measured.weighed)
    near = [pss for done, pss in outcome.measured.weighed if abs(done - place) <= half]
    return statistics.median(near)


def of_many(outcome, count, how):
    """Return throughput and memory over a long run."""
    early, late = memory_at(outcome, count / 10), memory_at(outcome, count * (1 - WINDOW / 2))
    window = f"{how}; {HOW_PSS}; median over {WINDOW:.0%} of the submissions"
    return [
        figure("submissions_per_minute_1000", 60 * count / outcome.measured.seconds, "1", how),
        figure("memory_mb_at_100", early, "MB", f"{window}, around the {count // 10}th"),
        figure("memory_mb_at_1000", late, "MB", f"{window}, up to the {count}th"),
        figure("memory_growth_1000_mb", late - early, "MB", "memory_mb_at_1000 less _at_100"),
    ]
