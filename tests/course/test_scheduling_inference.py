"""The unit's scheduler beside its simulation and qemu, and its bound beside what was measured."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from medlab.course import find_course, load_syllabus, load_unit
from medlab.edge.boards import toolchain

ROOT = find_course(Path(__file__).parent)
SLUG = "scheduling-inference"
QEMU = "qemu-system-arm"
PLAIN = (
    "TASKS = [",
    "def build(shared",
    "LAB = ",
    "THEIR_INFER = ",
    "def build_monitor",
    "JOBS = ",
)


@pytest.fixture(scope="module")
def unit():
    """The names that the unit's imports, answers and helpers define."""
    names = {"SEED": 0}
    for cell in load_unit(load_syllabus(ROOT).find(SLUG)).cells:
        plain = cell.role in ("code", "needs") and any(words in cell.source for words in PLAIN)
        if cell.role == "exercise" or plain:
            exec(cell.source, names)
    return names


def some_tasks(rng, count):
    """Tasks for slots with a utilisation of about .8."""
    tasks = []
    for priority in rng.permutation(count):
        period = int(rng.integers(4, 25))
        length = max(1, round(0.8 / count * period))
        first = int(rng.integers(0, period))
        tasks.append(
            {"priority": int(priority), "period": period, "first": first, "length": length}
        )
    return tasks


def test_the_emulated_core_gives_each_slot_to_whom_the_simulation_gives_it(unit):
    rng = np.random.default_rng(3)
    elf = unit["build_slots"]()
    for count in (1, 2, 3, 4, 5, 6, 7, 8):
        tasks = some_tasks(rng, count)
        assert unit["on_the_core"](elf, tasks, 100) == unit["simulate"](tasks, 100)


@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")
def test_qemu_gives_each_slot_to_the_same_task(unit, tmp_path):
    tasks = some_tasks(np.random.default_rng(4), 5)
    feed = [60, 0, 0, 0, 0, len(tasks)]
    for task in tasks:
        feed += [task[key] for key in ("priority", "period", "first", "length")]
    given = (
        f"static const int16_t given[] = {{{', '.join(map(str, feed))}}};\n"
        "static int next_given(int16_t *to) { static int at; *to = given[at++]; return 1; }\n"
        "static uint32_t next_number(void) {"
    )
    files = {name: (unit["LAB"] / name).read_text() for name in unit["KERNEL"]}
    slots = (unit["LAB"] / "slots.c").read_text()
    slots = slots.replace("static uint32_t next_number(void) {", given)
    slots = slots.replace("hal_sense(", "next_given(")
    files |= {"slots.c": slots, "scheduler.c": unit["scheduler_c"]()}
    # qemu's STM32F405 has no clock controller: it stays at the clock of reset.
    defines = {"HAL_CLOCK_OF_RESET": 1}
    elf = unit["BOARD"].build_text(files, defines, toolchain.find("zig"))
    (tmp_path / "slots.elf").write_bytes(elf)
    command = [QEMU, "-M", "netduinoplus2", "-kernel", tmp_path / "slots.elf", "-display", "none"]
    command += [
        "-serial",
        "null",
        "-serial",
        "stdio",
        "-monitor",
        "none",
        "-icount",
        "shift=0,sleep=off",
    ]
    command += ["-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.returncode) == (unit["simulate"](tasks, 60), 0)
    assert unit["emulate"](elf).check().text == done.stdout


def first_responses(tasks):
    """When each task's first job ends if all are released at once, slot by slot."""
    found, left = {}, [0] * len(tasks)
    for now in range(max(task["deadline"] for task in tasks) + 1):
        for number, task in enumerate(tasks):
            left[number] += task["work"] * (now % task["period"] == 0)
        running = next((number for number, amount in enumerate(left) if amount), None)
        if running is not None:
            left[running] -= 1
            if not left[running]:
                found.setdefault(tasks[running]["name"], now + 1)
    return found


def test_response_times_are_those_of_the_moment_in_which_all_tasks_are_released():
    names = {}
    for cell in load_unit(load_syllabus(ROOT).find(SLUG)).cells:
        if cell.role == "exercise" and cell.name == "response_times":
            exec(cell.source, names)
    rng = np.random.default_rng(6)
    for _ in range(100):
        tasks = []
        for number in range(int(rng.integers(1, 6))):
            period = int(rng.integers(5, 200))
            work = int(rng.integers(1, max(2, period // 3)))
            tasks.append({"name": number, "work": work, "period": period, "locked": 0})
            tasks[-1]["deadline"] = int(rng.integers(work, period + 1))
        tasks.sort(key=lambda task: task["deadline"])
        shown = first_responses(tasks)
        for task in tasks:
            ends = shown.get(task["name"], task["deadline"] + 1)
            wanted = ends if ends <= task["deadline"] else None
            assert names["response_times"](tasks)[task["name"]] == wanted


def test_the_bound_holds_for_the_mended_monitor_and_is_not_far_from_what_was_seen(unit):
    _run, rises, found = unit["measure"](unit["build_monitor"](), 40)
    bound = unit["response_times"](budgeted(unit, 1_000))["alarm"]
    assert found["missed"] == 0
    assert len(rises) == 39
    assert bound / 2 < found["worst"] <= bound


def test_the_bound_finds_the_fault_and_the_mean_does_not(unit):
    theirs = unit["build"](
        unit["MONITOR"], scheduler=unit["scheduler_c"](), infer=unit["THEIR_INFER"]
    )
    _run, _rises, found = unit["measure"](theirs, 40)
    assert unit["response_times"](budgeted(unit, 50_000))["alarm"] is None
    assert found["missed"] >= 3
    assert found["mean"] < 20_000 < found["worst"] / 2


def budgeted(unit, locked):
    """The unit's tasks, with an inference that locks others out for so long."""
    return [
        task | {"locked": locked if task["name"] == "inference" else 0} for task in unit["TASKS"]
    ]


def test_what_the_unit_budgets_for_a_job_is_enough_for_it(unit):
    theirs = unit["build"](
        unit["MONITOR"], scheduler=unit["scheduler_c"](), infer=unit["THEIR_INFER"]
    )
    rng = np.random.default_rng(5)
    names = {
        "sample": "sampler",
        "give_alarm": "alarm",
        "send_telemetry": "telemetry",
        "infer": "inference",
    }
    rises = [640_000 + 160_000 * job + 140_000 for job in range(10)]
    seen = unit["emulate"](
        theirs, feed=unit["signal"](10, rng), rises=rises, watch=list(names)
    ).check()
    kernel = sum(
        count
        for name, count in seen.by_function.items()
        if name.startswith(("kernel_", "SysTick", "PendSV", "EXTI0", "pick_", "release_"))
    )
    per_tick = kernel / seen.text.count(".")
    work = {task["name"]: task["work"] for task in unit["TASKS"]}
    for function, name in names.items():
        assert min(seen.calls[function]) + per_tick < work[name], name
