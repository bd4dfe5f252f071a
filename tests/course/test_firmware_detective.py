"""The four firmwares of firmware-detective fail where their unit says, and not before."""

from pathlib import Path

import pytest

from medlab.course import find_course, load_syllabus, load_unit

pytest.importorskip("unicorn")
FIRST_BAD = {"heap": 4, "stack": 4, "layer": 2, "stream": 5}


@pytest.fixture(scope="module")
def unit():
    """What the unit's plain cells and its solution define."""
    found = load_unit(load_syllabus(find_course(Path(__file__).parent)).find("firmware-detective"))
    names = {"SEED": 0}
    for cell in found.cells:
        if cell.role == "exercise" or (cell.role == "code" and "def " in cell.source):
            exec(cell.source, names)
    return names


def misbehaves(unit, case, text):
    trigger = unit[f"{case}_trigger"]()
    if case == "stream":
        return unit["depends_on_later"](text, trigger)
    seen = unit["run"](text, unit["heap_feed"](trigger) if case == "heap" else trigger)
    if case == "layer":
        return int(seen.text) != unit["right_classes"](trigger)[0]
    return seen.exit_status != 0


@pytest.mark.parametrize("case", FIRST_BAD)
def test_every_change_stands_in_the_newest_text_once(unit, case):
    text = unit["versions"](case)[-1]
    for change in reversed(unit["HISTORY"][case]):
        assert text.count(change["now"]) == 1, change["title"]
        text = text.replace(change["now"], change["was"])
    assert len(set(unit["versions"](case))) == 6


@pytest.mark.parametrize("case", FIRST_BAD)
def test_a_firmware_is_well_before_its_first_bad_version_and_not_from_then_on(unit, case):
    texts, first = unit["versions"](case), FIRST_BAD[case]
    tried = {0, first - 1, first, 5}
    assert {n: misbehaves(unit, case, texts[n]) for n in tried} == {n: n >= first for n in tried}


def test_bisection_blames_the_archive_but_the_stack_was_eaten_two_versions_before(unit):
    run, texts = unit["run"], unit["versions"]("stack")
    window = unit["stack_trigger"]()
    assert run(texts[1], window).stack_bytes < 1000
    assert run(texts[2], window).stack_bytes > 10_000
    assert "archive" in unit["HISTORY"]["stack"][FIRST_BAD["stack"] - 1]["title"]


def test_a_fault_names_neither_address_nor_compiler_in_the_notebook(unit):
    feed = unit["heap_feed"](unit["heap_trigger"]())
    said = unit["ending"](unit["run"](unit["versions"]("heap")[-1], feed))
    assert said.startswith("crashed in ")
    assert said.endswith(": write of 2 bytes at address 0")
    assert "0x" not in said
    said = unit["ending"](unit["run"](unit["versions"]("stack")[-1], unit["stack_trigger"]()))
    assert said.endswith("bytes, where there is nothing")
    assert "0x" not in said


def test_a_firmware_that_returns_another_status_than_0_did_not_end_well(unit):
    text = unit["versions"]("layer")[-1].replace("  return 0;\n", "  return 3;\n")
    assert unit["ending"](unit["run"](text, [])) == "ended with status 3, not 0"


def test_the_feed_refuses_what_the_phone_never_does(unit):
    with pytest.raises(ValueError, match="store 0: store into empty slots"):
        unit["heap_feed"]([("store", 0, [1]), ("store", 0, [1])])
    with pytest.raises(ValueError, match="take 3: store into empty slots"):
        unit["heap_feed"]([("take", 3)])


def test_the_stack_grows_into_what_is_being_sorted(unit):
    """The unit's text says that `sorted` lies just below the stack."""
    elf = unit["built"]({"main.c": unit["versions"]("stack")[-1]})
    firmware = unit["Firmware"].from_bytes(elf, "stm32f405")
    large = [symbol for symbol in firmware.objects if symbol.size >= 1024]
    highest = max(large, key=lambda symbol: symbol.address)
    assert highest.name == "sorted"
    assert firmware.symbols["__stack_limit"] - (highest.address + highest.size) < 16
