"""`medlab board`, as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MEDLAB = Path(sys.executable).with_name("medlab")


def board(*arguments, **environment):
    command = [MEDLAB, "board", *map(str, arguments)]
    environment = os.environ | {"MEDLAB_TOOLCHAIN": "zig", "COLUMNS": "160"} | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def app(tmp_path):
    """Write an application of one file; return its folder."""

    def writing(body, within="."):
        folder = tmp_path / within / "app"
        folder.mkdir(parents=True)
        (folder / "main.c").write_text(
            f'#include "hal.h"\n#include "print.h"\nint main(void) {{ {body} }}'
        )
        return folder

    return writing


def test_list_names_boards_and_compiler():
    done = board("list")
    assert done.returncode == 0
    for said in (
        "stm32f405:",
        "nrf52840:",
        "stm32h7:",
        "cortex-m7 at 400 MHz",
        "compiler: ziglang",
    ):
        assert said in done.stdout


def test_run_prints_what_the_firmware_sends(tmp_path):
    (tmp_path / "feed.txt").write_text("1 2 6")
    done = board("run", "hello", "--board", "stm32h7", "--feed", tmp_path / "feed.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "hello from a core at 400 MHz\n3 samples, mean 3.00\n"


def test_build_tells_file_sizes_and_compiler(app, tmp_path):
    done = board("build", app("return 0;"), "--out", tmp_path / "a.elf")
    assert done.returncode == 0
    assert (tmp_path / "a.elf").is_file()
    assert "bytes flash" in done.stdout
    assert "compiler: ziglang" in done.stdout


def test_two_applications_of_one_name_do_not_share_a_file(app):
    first, second = board("build", app("return 1;", "a")), board("build", app("return 2;", "b"))
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout.splitlines()[0] != second.stdout.splitlines()[0]


def test_profile_gives_every_figure_its_kind(app):
    done = board("profile", app("print_int(7); return 0;"), "--watch", "print_int")
    assert done.returncode == 0
    rows = [row.split("│")[1:-1] for row in done.stdout.splitlines() if row.startswith("│")]
    kinds = {what.strip(): kind.strip() for what, _, _, kind, _ in rows if kind.strip()}
    assert kinds.pop("time, without sleep") == "estimated"
    assert set(kinds.values()) == {"exact"}
    assert {"flash", ".text", "instructions", "main", "stack, at most"} <= set(kinds)
    assert "print_int with all it calls" in kinds


@pytest.mark.parametrize(
    ("body", "arguments", "says"),
    [
        ("for (;;) {}", ("--budget", 10_000), "did not return within 10,000 instructions"),
        ("*(volatile int *)0x60000000 = 1; return 0;", (), "at 0x60000000, where there is nothing"),
        ("return nowhere;", (), "error"),
        ("return 0;", ("--feed", "nix.txt"), "cannot read the feed"),
        ("return 0;", ("--board", "pico"), "no board pico"),
    ],
)
def test_what_goes_wrong_is_one_line_and_status_two(app, body, arguments, says):
    done = board("run", app(body), *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("medlab: ")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_firmware_that_ends_with_a_status_says_so(app):
    done = board("run", app('print("bad\\n"); return 7;'))
    assert (done.returncode, done.stdout) == (1, "bad\n")
    assert done.stderr == "medlab: the firmware ended with status 7\n"


def test_an_application_that_is_not_there_is_one_line_with_those_there_are(tmp_path):
    said = board("run", "nix").stderr
    assert "no application nix: name a folder with C files, or bench, ecg_monitor, hello," in said
    assert "lib" not in said.split(", ")
    assert "holds no C file" in board("run", tmp_path).stderr


@pytest.mark.parametrize("out", ["folder", "/proc/a.elf", "file/a.elf"])
def test_a_file_that_cannot_be_written_is_one_line_and_status_two(app, tmp_path, out):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    done = board("build", app("return 0;"), "--out", tmp_path / out)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("medlab: ")
    assert "name another" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob(".building-*"))


def test_an_application_for_a_model_asks_for_one():
    done = board("build", "bench")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "medlab: bench needs a model: name its .tflite file with --model\n"


def test_a_run_without_samples_that_prints_nothing_says_how_to_give_some(app):
    done = board("run", app("return 0;"))
    assert (done.returncode, done.stdout) == (0, "")
    assert "give the sensor samples with --feed" in done.stderr


def test_flash_dry_run_prints_the_commands(app):
    done = board("flash", app("return 0;"), "--board", "stm32h7", "--dry-run")
    assert done.returncode == 0
    asks, writes = done.stdout.splitlines()
    assert asks.startswith("pyocd commander")
    assert writes.startswith("pyocd flash")


def test_flash_without_a_tool_is_one_line(app):
    done = board("flash", app("return 0;"), PATH="/nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("medlab: no flash tool: install")


def test_run_takes_an_electrode_off(app, tmp_path):
    (tmp_path / "feed.txt").write_text("1 2 3 4")
    body = "int16_t x; while (hal_sense(&x)) print_int(hal_lead_off()); return 0;"
    done = board("run", app(body), "--feed", tmp_path / "feed.txt", "--lead-off", "1:3")
    assert (done.returncode, done.stdout) == (0, "0110")
