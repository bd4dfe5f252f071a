"""Boards: found, read, built for; every one runs the same application."""

import shutil

import pytest

from medlab.edge import boards
from medlab.edge.boards import hardware_labs, toolchain
from medlab.edge.boards.board import Board
from medlab.edge.boards.firmware import Firmware
from medlab.errors import BadInput

ALL = ("nrf52840", "stm32f405", "stm32h7")
HELLO = 'int main(void) { print("hello\\n"); return 0; }'


@pytest.fixture
def labs(tmp_path, monkeypatch):
    """A copy of hardware_labs that a test may spoil."""
    copy = tmp_path / "hardware_labs"
    shutil.copytree(boards.find_hardware_labs(), copy)
    monkeypatch.setenv("MEDLAB_HARDWARE_LABS", str(copy))
    return copy


def test_there_are_three_boards():
    assert boards.names() == sorted(ALL)


TELL = """
int main(void) {
  int16_t sample;
  print_unsigned(hal_clock_hz); print("\\n");
  print_hex(*(volatile uint32_t *)ID); print("\\n");
  while (hal_sense(&sample)) { print_int(sample); print(" "); }
  print("stopped");
  return 0;
}"""


@pytest.mark.parametrize("name", ALL)
def test_a_board_tells_its_clock_its_chip_and_the_samples_as_they_are(on_board, name):
    board = boards.load(name)
    samples = [0, 1, -1, 4095, -32768, 32767, 65535]
    run = on_board(TELL, name, feed=samples, defines={"ID": board.chip["at"]})
    clock, chip, heard = run.text.split("\n")
    assert int(clock) == board.clock_hz
    assert int(chip, 16) & board.chip["mask"] == board.chip["value"]
    assert heard == "0 1 -1 4095 -32768 32767 -1 stopped"
    assert (run.exit_status, run.fault, run.samples_used) == (0, None, 7)


@pytest.mark.parametrize("name", ALL)
def test_a_clock_that_does_not_start_leaves_a_slower_core_that_prints(labs, build, name):
    page = labs / "boards" / name / "board.yaml"
    page.write_text(page.read_text().replace("follows", "always: {}, follows").replace("1]", "0]"))
    text = page.read_text().replace("0x01000000, 1", "0x0, 1")
    page.write_text(text)
    board, firmware = build("int main(void) { print_unsigned(hal_clock_hz); return 0; }", name)
    slow = {"nrf52840": 64_000_000, "stm32f405": 16_000_000, "stm32h7": 64_000_000}
    assert int(board.run(firmware, budget=5_000_000).text) == slow[name]


@pytest.mark.parametrize("name", ALL)
def test_flash_and_ram_of_a_program_are_told_by_section(build, name):
    code = "int a = 7; static char b[1000]; const char c[500] = {1};\n"
    code += "int main(void) { b[a] = c[a]; return b[(int)hal_clock_hz & 15] + a; }"
    _, firmware = build(code, name)
    sizes = {section.name: section.size for section in firmware.sections}
    assert firmware.ram_bytes == sizes[".data"] + sizes[".bss"]
    assert firmware.flash_bytes == sum(sizes[s] for s in (".text", ".rodata", ".data"))
    assert sizes[".data"] == 4
    assert 1000 <= sizes[".bss"] <= 1016
    assert firmware.image()[0] == boards.load(name).flash["at"]


def test_both_compilers_give_the_same_output(on_board):
    if shutil.which(toolchain.GCC) is None:
        pytest.skip(f"{toolchain.GCC} is not installed")
    for compiler in (toolchain.find("gcc"), toolchain.find("zig")):
        run = on_board("int main(void) { print_float(-2.71828f, 4); return 3; }", compiler=compiler)
        assert (run.text, run.exit_status) == ("-2.7183", 3), compiler.name


def test_hardware_labs_is_found_from_the_checkout_that_medlab_is_installed_from(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("MEDLAB_HARDWARE_LABS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert (boards.find_hardware_labs() / "lib" / "hal.h").is_file()


def test_hardware_labs_above_the_working_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDLAB_HARDWARE_LABS", raising=False)
    (tmp_path / "hardware_labs" / "boards").mkdir(parents=True)
    assert boards.find_hardware_labs(tmp_path) == tmp_path / "hardware_labs"


def test_an_installed_wheel_brings_hardware_labs_beside_its_packages(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDLAB_HARDWARE_LABS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wheel" / "medlab" / "hardware_labs" / "boards").mkdir(parents=True)
    place = tmp_path / "wheel/medlab/edge/boards/hardware_labs.py"
    monkeypatch.setattr(hardware_labs, "__file__", str(place))
    assert boards.find_hardware_labs() == tmp_path / "wheel/medlab/hardware_labs"


def test_an_environment_variable_that_names_no_hardware_labs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDLAB_HARDWARE_LABS", str(tmp_path))
    with pytest.raises(BadInput, match=r"MEDLAB_HARDWARE_LABS names .* no boards/"):
        boards.names()


def test_an_unknown_board_is_refused_with_the_names_of_those_there_are():
    with pytest.raises(BadInput, match="no board pico: there are nrf52840, stm32f405, stm32h7"):
        boards.load("pico")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text + "\nextra: 1\n", "must have the keys"),
        (lambda text: text.replace("cortex-m4", "z80"), "core 'z80'"),
        (lambda text: text.replace("title:", "title: ["), "not valid YAML"),
        (lambda text: text.replace("size: 0x20000}", "bytes: 1}"), "ram must have at, size"),
        (lambda text: text.replace("  mask: 0xFFF\n", ""), "chip must have at, mask, value"),
        (lambda text: text.replace("model: serial,", "model: radio,"), "emulation of serial"),
    ],
)
def test_a_bad_board_file_is_one_line(labs, build, spoil, says):
    _, firmware = build(HELLO)
    page = labs / "boards" / "stm32f405" / "board.yaml"
    page.write_text(spoil(page.read_text()))
    with pytest.raises(BadInput, match=says) as told:
        boards.load("stm32f405").run(firmware)
    assert "\n" not in str(told.value)
    assert "board.yaml" in str(told.value)


def test_a_program_that_does_not_compile_is_one_line_with_file_and_reason(build):
    with pytest.raises(BadInput, match=r"main\.c:5.*error.*nowhere") as told:
        build("int main(void) { return nowhere; }")
    assert "\n" not in str(told.value)


FILES = {
    "main.c": '#include "print.h"\n#include "twice.h"\nint main(void) { return twice(21); }\n',
    "twice.c": '#include "twice.h"\nint twice(int x) { return N * x; }\n',
    "twice.h": "int twice(int x);\n",
}


def test_firmware_is_built_from_text_into_bytes_that_run(zig):
    board = boards.load("stm32f405")
    elf = board.build_text(FILES, {"N": 2}, zig)
    firmware = Firmware.from_bytes(elf, board.name, zig.name)
    assert board.run(firmware).exit_status == 42
    assert board._build_text(FILES, {"N": 2}, zig) == elf


def test_the_same_text_is_compiled_once(zig, monkeypatch):
    compiled = []
    make = Board._build_text
    monkeypatch.setattr(Board, "_build_text", lambda *given: compiled.append(given) or make(*given))
    board = boards.load("stm32f405")
    texts = [FILES, FILES | {"new.c": "int new_one;\n"}, FILES]
    first, _, third = (board.build_text(text, {"N": 3}, zig) for text in texts)
    assert first == third
    assert len(compiled) == 2
    assert board.build_text(FILES, {"N": 4}, zig) != first
    assert boards.load("nrf52840").build_text(FILES, {"N": 3}, zig) != first


def test_what_is_wrong_in_a_text_is_one_line_with_its_name_and_without_a_folder(zig):
    spoilt = FILES | {"twice.c": "int twice(int x) { return y; }\n"}
    with pytest.raises(BadInput, match=r": twice\.c:1:27: error: .*'y'") as told:
        boards.load("stm32f405").build_text(spoilt, compiler=zig)
    assert "firmware-" not in str(told.value)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no C files"),
        ({"a.h": ""}, "no C files"),
        ({"../a.c": ""}, "'../a.c' is not a C file's name"),
        ({"a.txt": ""}, "'a.txt' is not a C file's name"),
        ({"a.c": None}, "a.c must be text, not NoneType"),
    ],
)
def test_text_without_a_proper_name_is_refused(zig, files, says):
    with pytest.raises(BadInput, match=says):
        boards.load("stm32f405").build_text(files, compiler=zig)


def test_bytes_that_are_no_firmware_are_one_line():
    with pytest.raises(BadInput, match="not an ELF file"):
        boards.load("stm32f405").run(Firmware.from_bytes(b"not an ELF file", "stm32f405"))


@pytest.mark.parametrize("module", ["unicorn", "capstone"])
def test_an_emulator_that_is_not_installed_is_one_line(build, monkeypatch, module):
    board, firmware = build(HELLO)
    find_spec = boards.importlib.util.find_spec
    monkeypatch.setattr(
        boards.importlib.util, "find_spec", lambda name: None if name == module else find_spec(name)
    )
    with pytest.raises(BadInput, match=rf"{module} is not installed: pip install {module}"):
        board.run(firmware)


def test_a_place_that_cannot_be_written_is_one_line(build, tmp_path):
    board, _ = build(HELLO)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot make the folder"):
        board.build([tmp_path / "main.c"], tmp_path / "file" / "a.elf")


def test_a_program_larger_than_the_flash_is_one_line(build):
    code = "const char big[2000000] = {1}; int main(void) { return big[(int)hal_clock_hz]; }"
    with pytest.raises(BadInput, match="cannot build") as told:
        build(code)
    assert "\n" not in str(told.value)
