"""The project's frame: what make, the lock, the licences and the first page promise."""

import importlib.util
import json
import re
import resource
import subprocess
import sys
import tomllib
from itertools import groupby
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from medlab.course import load_syllabus

ROOT = Path(__file__).parents[1]
MEDLAB = Path(sys.executable).with_name("medlab")
HEAVY = {
    "torch",
    "monai",
    "tensorflow",
    "nbgrader",
    "mlflow",
    "shap",
    "papermill",
    "numpy",
    "matplotlib",
    "IPython",
    "sqlalchemy",
}
CONDA_NAMES = {"pytorch": "torch", "jupyter_client": "jupyter-client"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def asked_for():
    """Every requirement of pyproject.toml: core, extras and build."""
    pyproject = tomllib.loads(read("pyproject.toml"))
    project = pyproject["project"]
    groups = [*project["optional-dependencies"].values(), pyproject["dependency-groups"]["build"]]
    lines = [*project["dependencies"], *(line for group in groups for line in group)]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def locked():
    """(name, version, number of hashes) of every entry of the lock."""
    entries = re.split(r"\n(?=[a-zA-Z])", read("requirements.lock"))
    entries = [entry for entry in entries if not entry.startswith("#")]
    heads = [re.match(r"([\w.-]+)==([^\s;]+)", entry) for entry in entries]
    assert all(heads), "every entry of the lock is pinned with =="
    return [
        (head[1], head[2], entry.count("--hash=sha256:"))
        for head, entry in zip(heads, entries, strict=True)
    ]


def tracked():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name]


# --- the command line ---


def imported_by(*arguments):
    """Top-level modules that the real entry point loads."""
    command = [sys.executable, "-X", "importtime", MEDLAB, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = re.findall(r"^import time:.*\|\s*(\S+)$", done.stderr, flags=re.MULTILINE)
    assert "medlab.cli" in names
    return {name.split(".")[0] for name in names}


def cpu_seconds(*command):
    """Processor time: the clock on the wall also counts the neighbours."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_loads_nothing_heavy():
    assert not imported_by("--help") & HEAVY


def test_reading_a_notebook_makes_no_parser():
    """Some versions of jsonschema import one that takes seconds: in every program, every time."""
    code = "import nbformat, sys; print('rfc3987_syntax' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_importing_medlab_loads_nothing_heavy():
    code = "import sys, medlab; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & (HEAVY | {"rich", "typer"})


def test_help_costs_less_than_fifteen_bare_starts_of_python():
    # In turns and the best of seven: both meet the same machine in the same state.
    bare, helps = zip(
        *(
            (cpu_seconds(sys.executable, "-c", "pass"), cpu_seconds(MEDLAB, "--help"))
            for _ in range(7)
        ),
        strict=True,
    )
    assert min(helps) < 15 * min(bare)


# --- the lock, pyproject and conda ---


def test_the_lock_holds_a_fitting_version_of_everything_pyproject_asks_for():
    versions = {}
    for name, version, _hashes in locked():
        versions.setdefault(name, []).append(version)
    for name, requirement in asked_for().items():
        assert name in versions, f"{name} is not locked: make lock"
        assert all(requirement.specifier.contains(v) for v in versions[name]), name


def test_every_locked_package_has_hashes():
    assert [name for name, _version, hashes in locked() if not hashes] == []


def test_the_lock_says_how_it_is_made_and_names_no_index_and_no_path():
    lock = read("requirements.lock")
    assert "make lock" in lock.split("\n")[1]
    for line in lock.splitlines():
        assert "://" not in line
        assert " @ " not in line
        assert not re.match(r"\s*(-i|--index|--extra|--find|-f|-e|/|\.)", line), line


def test_conda_gets_the_same_packages_with_the_same_bounds():
    conda = yaml.safe_load(read("environment.yml"))["dependencies"]
    lines = [line for line in conda if isinstance(line, str)]
    bounds = {name: bound for name, _, bound in (line.partition(" ") for line in lines)}
    assert bounds.pop("python") == ">=3.11"
    bounds.pop("pip")
    by_pip = [Requirement(line) for line in conda[-1]["pip"] if not line.startswith("--")]
    bounds |= {requirement.name: str(requirement.specifier) for requirement in by_pip}
    ours = {name: str(requirement.specifier) for name, requirement in asked_for().items()}
    assert {CONDA_NAMES.get(name, name): bound for name, bound in bounds.items()} == ours


# --- pytest ---


def test_the_tests_of_a_file_run_in_one_process(request):
    """Or what they share is made in each; pytest-xdist names the group behind a test's name."""
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@test_frame.py")


# --- make ---


def make(*arguments):
    done = subprocess.run(
        ["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    "target", ["demo", "test", "test-changed", "lab", "build", "bench", "lint", "setup"]
)
def test_a_target_sets_up_first(target):
    assert make(target).startswith("tools/setup.sh")


def test_make_alone_lists_every_target():
    listing = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):(?!=)", read("Makefile"), flags=re.MULTILINE)
    assert {f"make {target}" for target in targets} == {
        " ".join(line.split()[:2]) for line in listing.splitlines()
    }


def test_the_lab_shows_learners_no_menus_of_nbgrader():
    config = json.loads(read("tools/jupyter/labconfig/page_config.json"))
    assert config["disabledExtensions"]["@jupyter/nbgrader"]
    assert "JUPYTER_CONFIG_PATH" in read("Makefile")


def test_ci_runs_what_a_person_runs():
    commands = [line for line in read(".ci/run").splitlines() if line.startswith("make")]
    assert commands == ["make test"]


def test_a_setup_that_is_up_to_date_does_nothing(checkout_of_tools):
    prepared(checkout_of_tools)
    done = setup(checkout_of_tools)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_setup_after_a_changed_lock_starts_again(checkout_of_tools):
    prepared(checkout_of_tools)
    (checkout_of_tools / "requirements.lock").write_text("# another\n")
    assert "setting up" in setup(checkout_of_tools).stdout


def test_a_setup_that_was_interrupted_starts_again(checkout_of_tools):
    failed = setup(checkout_of_tools, PIP_FAILS="1")
    assert failed.returncode != 0
    prepared(checkout_of_tools)


def test_a_setup_after_a_changed_pyproject_installs_medlab_alone(checkout_of_tools):
    prepared(checkout_of_tools)
    (checkout_of_tools / "pyproject.toml").write_text("# another\n")
    said = setup(checkout_of_tools).stdout
    assert re.fullmatch(
        r"medlab: 4 of 4: medlab itself\nmedlab: .venv is ready after \d+ s\n", said
    )


def test_setup_gives_uv_the_index_that_pip_uses(checkout_of_tools):
    prepared(checkout_of_tools)
    assert (checkout_of_tools / "uv.log").read_text().splitlines() == [
        "file:///nearby|a b|pip sync --require-hashes requirements.lock",
        "file:///nearby|a b|pip install --quiet --no-deps --no-build-isolation --editable .",
    ]


LOCK = """# a comment
nvidia-cublas==13.4 ; sys_platform == 'linux' \\
    --hash=sha256:1
torch==2.15.0 \\
    --hash=sha256:2
    # via medlab-course
torchmetrics==1.0 \\
    --hash=sha256:3
triton==3.9 \\
    --hash=sha256:4
"""


def test_setup_with_cpu_builds_holds_all_but_torch_to_hashes_and_keeps_that_choice(
    checkout_of_tools,
):
    (checkout_of_tools / "requirements.lock").write_text(LOCK)
    assert setup(checkout_of_tools, MEDLAB_TORCH="cpu").returncode == 0
    synced, torch, _medlab = (checkout_of_tools / "uv.log").read_text().splitlines()
    assert synced.endswith("pip sync --require-hashes .venv/rest.lock")
    assert torch.endswith("pip install --no-deps --torch-backend cpu -r .venv/torch.txt")
    rest = (checkout_of_tools / ".venv/rest.lock").read_text()
    assert rest == "torchmetrics==1.0 \\\n    --hash=sha256:3\n"
    assert (checkout_of_tools / ".venv/torch.txt").read_text() == "torch==2.15.0\n"
    assert setup(checkout_of_tools).stdout == ""
    assert "setting up" in setup(checkout_of_tools, MEDLAB_TORCH="").stdout


def test_setup_with_unknown_builds_of_torch_says_so_in_one_line(checkout_of_tools):
    done = setup(checkout_of_tools, MEDLAB_TORCH="tpu")
    assert done.returncode == 2
    assert done.stderr == "medlab: MEDLAB_TORCH=tpu is not known: use cpu, or leave it empty\n"


def test_a_setup_with_something_that_is_no_python_says_so_in_one_line(checkout_of_tools):
    done = setup(checkout_of_tools, PYTHON="/bin/false")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "medlab: PYTHON=/bin/false is not Python 3.11 or newer; name another"
    ]


def test_a_person_without_rights_gets_the_line_to_run(tmp_path):
    done = subprocess.run(
        ["/bin/bash", ROOT / "tools/apt.sh", "a reason", "a-package"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == "medlab: a reason. Run: sudo apt-get install a-package\n"


@pytest.fixture
def checkout_of_tools(tmp_path):
    """A checkout whose lock is empty and whose package is a stand-in, so that setup is quick."""
    (tmp_path / "tools").mkdir()
    for name in ("setup.sh", "python.sh", "apt.sh", "clock.sh"):
        (tmp_path / "tools" / name).write_text(read(f"tools/{name}"))
        (tmp_path / "tools" / name).chmod(0o755)
    (tmp_path / "requirements.lock").write_text("")
    (tmp_path / "pyproject.toml").write_text("")
    for name, text in {"python": STAND_IN, "pip": PIP, "uv": UV}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


# Answers as python does: -c succeeds, -V prints, -m venv makes a python with this pip and a uv.
STAND_IN = """#!/bin/bash
case "$*" in
-V) echo Python 3.11.0 ;;
*venv*--clear*)
    rm -rf .venv
    mkdir -p .venv/bin
    cp pip .venv/bin/python
    cp uv .venv/bin/uv
    ;;
esac
"""
PIP = """#!/bin/bash
case "$*" in
*"config list") echo "global.index-url='file:///nearby'"; echo "global.extra-index-url='a\\nb'" ;;
*install*) exit ${PIP_FAILS:-0} ;;
esac
"""
UV = """#!/bin/bash
echo "$UV_DEFAULT_INDEX|$UV_INDEX|$*" >>uv.log
"""


def setup(checkout, **environment):
    environment = {"PYTHON": str(checkout / "python"), "PATH": "/usr/bin:/bin"} | environment
    return subprocess.run(
        [checkout / "tools/setup.sh"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def prepared(checkout):
    done = setup(checkout)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("medlab: setting up .venv")
    assert done.stdout.splitlines()[-1].startswith("medlab: .venv is ready")


# --- pages, licences, hosts ---


def test_the_first_page_is_short():
    assert len(read("README.md").splitlines()) <= 150


def tracks_of_the_first_page():
    """(title, slugs, hours, points) of each track on the first page."""
    row = r"^\| ([^|`]+) \| (\[`[^|]+) \| ([\d.]+) \| (\d+) \|$"
    return [
        (title, re.findall(r"`([\w-]+)`", slugs), float(hours), int(points))
        for title, slugs, hours, points in re.findall(row, read("README.md"), re.MULTILINE)
    ]


def test_the_first_page_lists_the_units_of_the_syllabus():
    tracks = groupby(load_syllabus(ROOT).units, key=lambda unit: unit.track_title)
    wanted = [
        (
            title,
            [unit.slug for unit in units],
            sum(unit.hours for unit in units),
            sum(unit.points for unit in units),
        )
        for title, units in ((title, list(units)) for title, units in tracks)
    ]
    assert tracks_of_the_first_page() == wanted


def test_the_first_page_glosses_folders_that_exist():
    tree = re.search(r"(?s)## Folders\n\n```\n(.*?)```", read("README.md"))[1]
    named = re.findall(r"(?m)^( *)(\S+)", tree)
    folders = [f"src/medlab/{name}" if indent else name for indent, name in named]
    made_by_use = {"work/", "build/"}
    assert [
        name for name in folders if name not in made_by_use and not (ROOT / name).exists()
    ] == []
    top = {path.relative_to(ROOT).parts[0] for path in tracked() if path.parent != ROOT}
    glossed = {name.split("/")[0] for name in folders}
    assert {name for name in top if not name.startswith(".")} <= glossed


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", read(page))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_licence_texts_are_whole():
    assert read("LICENSE") == read("LICENSES/Apache-2.0.txt")
    assert "END OF TERMS AND CONDITIONS" in read("LICENSE")
    assert "Section 8 -- Interpretation" in read("LICENSES/CC-BY-4.0.txt")
    assert "CC0 1.0 Universal" in read("LICENSES/CC0-1.0.txt")
    table = read("LICENSES/README.md")
    assert all(name in table for name in ("Apache-2.0", "CC-BY-4.0", "CC0-1.0"))


def test_no_tracked_file_names_a_registry_host():
    # Put together from halves, or this file would name them.
    halves = [("py", "pi.org"), ("python", "hosted.org"), ("npm", "js.org"), ("deb.", "debian.org")]
    halves += [("anaconda", ".org"), ("archive.", "ubuntu.com"), ("crates", ".io")]
    hosts = re.compile("|".join(re.escape(a + b) for a, b in halves).encode())
    guilty = [path for path in tracked() if path.is_file() and hosts.search(path.read_bytes())]
    assert guilty == []


def test_nothing_advises_to_install_the_other_medlab():
    # PyPI has one of another kind; this one's distribution has another name.
    advice = re.compile(rb"(pip|uv) (install|add) [^\n]{0,40}\bmedlab(?!-course)\b(?![/.])", re.I)
    guilty = [path for path in tracked() if path.is_file() and advice.search(path.read_bytes())]
    assert guilty == [
        Path(__file__)
    ]  # the demonstration that the pattern finds it: pip install medlab


# --- benchmarks ---


def recorder():
    spec = importlib.util.spec_from_file_location("record", ROOT / "benchmarks/record.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RESULTS = sorted((ROOT / "benchmarks/results").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_committed_result_matches_the_page(path):
    assert recorder().faults_of(json.loads(path.read_text())) == []
    assert (ROOT / "benchmarks" / f"{path.stem}.py").is_file()


def test_the_page_names_every_kind_of_figure():
    page = read("benchmarks/README.md")
    assert all(f"| `{kind}` |" in page for kind in recorder().KINDS)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"kind": "guessed"}, "kind"),
        ({"value": float("nan")}, "finite"),
        ({"value": "fast"}, "finite"),
        ({"unit": ""}, "unit is empty"),
        ({"note": "more"}, "keys"),
    ],
)
def test_a_figure_that_does_not_match_the_page_is_refused(change, fault):
    figure = {"name": "help", "value": 0.2, "unit": "s", "kind": "host", "how": "once"} | change
    result = {
        "date": "2026-11-21",
        "machine": "a laptop",
        "versions": {"python": "3.11", "medlab": "0.1"},
        "figures": [figure],
    }
    assert fault in "; ".join(recorder().faults_of(result))
