"""`medlab data`: what a person sees, and what a script can rely on."""

import hashlib
import sys
import types
from pathlib import Path

import pytest

from medlab import cli
from medlab.datasets import cache, fetching, registry

MAKER = """
def make(out, *, seed=0, patients=3, noise=0.5, colour=True, scanners="AB", sizes=(8, 8), who=None):
    (out / "table.csv").write_text(repr((seed, patients, noise, colour, scanners, sizes, who)))


def verify(folder):
    if (folder / "table.csv").exists():
        return []
    return [f"{folder.name}/table.csv is missing: make the data again"]
"""
REAL = registry.Real(
    "Real stars", "CC BY 4.0", "cite the survey", "https://stars.example", "use the star tool"
)


@pytest.fixture
def stars(tmp_path, monkeypatch):
    """A data set 'stars' and an empty cache; the data set can be given files to fetch."""
    source = tmp_path / "stars_maker.py"
    source.write_text(MAKER)
    module = types.ModuleType("stars_maker")
    module.__file__ = str(source)
    exec(MAKER, module.__dict__)
    monkeypatch.setitem(sys.modules, "stars_maker", module)
    monkeypatch.setenv("MEDLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CI", "")

    def known(*files):
        real = registry.Real(*list(REAL.__dict__.values())[:5], files)
        data_set = registry.DataSet("stars", "Stars of the sky", "stars_maker", real)
        monkeypatch.setattr(registry, "DATA_SETS", (data_set,))
        return data_set

    known()
    return known


@pytest.fixture
def data(stars, monkeypatch, capsys, tmp_path):
    """Run `medlab data ...` in tmp_path; return exit status, output and error lines."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["medlab", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


def put_real(stars):
    folder = fetching.real_folder(stars())
    folder.mkdir(parents=True)
    return folder


# --- list ---


def test_list_tells_what_is_here(data, stars):
    status, out, _ = data("list")
    assert status == 0
    assert "stars: Stars of the sky\n  stand-in: not made\n  real: Real stars, not fetched" in out
    assert "card: datasets/stars.md" in out
    cache.folder("stars")
    cache.folder("stars", patients=4)
    (put_real(stars) / "table.csv").write_text("real")
    out = data("list")[1]
    assert "stand-in: made with 2 settings" in out
    assert "Real stars, fetched" in out


def test_list_names_every_registered_data_set_and_its_card_exists(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["medlab", "data", "list"])
    with pytest.raises(SystemExit):
        cli.main()
    out = capsys.readouterr().out
    for data_set in registry.DATA_SETS:
        assert f"{data_set.name}: {data_set.title}" in out
        assert (Path(__file__).parents[1] / data_set.card).is_file()


# --- make ---


def test_make_writes_to_the_cache_that_notebooks_use(data):
    status, out, _ = data("make", "stars", "--set", "patients=7")
    assert status == 0
    assert Path(out.strip()) == cache.folder("stars", patients=7)


def test_settings_have_the_type_of_their_default(data):
    words = ["patients=4", "noise=1", "colour=no", "scanners=12", "sizes=(3,4)", "who=Vega"]
    status, _, _ = data("make", "stars", "--out", "sky", *[w for s in words for w in ("--set", s)])
    assert status == 0
    assert Path("sky/table.csv").read_text() == "(0, 4, 1.0, False, '12', (3, 4), 'Vega')"
    assert Path("sky", cache.LABEL).is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("make star", "no data set 'star': did you mean stars?"),
        ("make stars --set size=3", "no setting 'size': choose from seed, patients"),
        ("make stars --set out=3", "no setting 'out'"),
        ("make stars --set patients", "write it as name=value"),
        ("make stars --set =3", "write it as name=value"),
        ("make stars --set seed=1 --set seed=2", "'seed' is set twice"),
        ("make stars --set patients=many", "patients=many: expected a whole number"),
        ("make stars --set patients=1.5", "patients=1.5: expected a whole number"),
        ("make stars --set noise=x", "noise=x: expected a number"),
        ("make stars --set colour=7", "colour=7: expected true or false"),
        ("make stars --set sizes=a,b", "values in brackets"),
        ("make stars --out full", "full exists and is not empty"),
        ("make stars --out full/mine.txt", "exists and is not empty"),
        ("make stars --out /proc/nosuch", "/proc/nosuch cannot be written"),
        ("fetch star", "did you mean stars?"),
        ("verify star", "did you mean stars?"),
        ("verify nosuch/folder", "nosuch/folder is not a folder"),
        ("verify full", "full has no label with its data set: add --as NAME (stars)"),
        ("verify full --as star", "did you mean stars?"),
        ("verify stars", "no data of 'stars' yet: 'medlab data make stars'"),
    ],
)
def test_what_a_person_got_wrong_is_one_line(data, tmp_path, arguments, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    status, out, err = data(*arguments.split())
    assert status == 2
    assert out == ""
    assert err.startswith("medlab: ")
    assert err.count("\n") == 1
    assert said in err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


# --- fetch ---


@pytest.fixture
def offered(stars, monkeypatch):
    """Let the owner offer one file; return what was asked of the owner."""
    import pooch

    content, asked = b"Vega", []
    checksum = "sha256:" + hashlib.sha256(content).hexdigest()
    stars(registry.File("table.csv", "https://stars.example/table.csv", checksum, megabytes=1200))

    def owner(self, url, output_file, *_, **__):
        asked.append(url)
        Path(output_file).write_bytes(content)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", owner)
    return asked


def test_fetch_shows_licence_and_terms_and_does_nothing_unless_agreed(data, offered):
    status, out, err = data("fetch", "stars")
    assert status == 2
    for part in ("CC BY 4.0", "cite the survey", "https://stars.example", "about 1,200 MB"):
        assert part in out
    assert err == "medlab: no terminal to confirm on: read the terms, then pass --agree\n"
    assert offered == []


@pytest.mark.parametrize(("answer", "downloads"), [("y\n", 1), ("n\n", 0)])
def test_a_person_is_asked(data, offered, monkeypatch, answer, downloads):
    import io

    keyboard = io.StringIO(answer)
    keyboard.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", keyboard)
    status, out, err = data("fetch", "stars")
    assert "Do you agree" in out
    assert len(offered) == downloads
    assert (status, err) == ((0, "") if downloads else (2, err))
    assert downloads or err == "medlab: not agreed, nothing was downloaded\n"


def test_fetch_verifies_what_came_and_fetches_once(data, offered, stars):
    status, out, _ = data("fetch", "stars", "--agree")
    assert status == 0
    assert "nothing wrong found" in out
    status, out, _ = data("fetch", "stars", "--agree")
    assert (status, len(offered)) == (0, 1)
    assert "Already downloaded" in out


def test_fetch_in_ci_is_refused(data, offered, monkeypatch):
    monkeypatch.setenv("CI", "true")
    status, _, err = data("fetch", "stars", "--agree")
    assert (status, offered) == (2, [])
    assert "does not run in CI" in err


def test_data_behind_an_account_name_the_owners_tool_and_the_place(data, stars):
    status, out, _ = data("fetch", "stars")
    assert status == 1  # for scripts: nothing was fetched
    assert "use the star tool" in out
    assert f"folder   {fetching.real_folder(stars())}" in out
    assert "datasets/stars.md" in out


# --- verify ---


def test_verify_a_name_looks_at_all_there_is(data, stars):
    made = cache.folder("stars")
    real = put_real(stars)
    (real / "readme.txt").write_text("no table")
    status, out, _ = data("verify", "stars")
    assert status == 1
    assert f"{made}: nothing wrong found" in out
    assert f"{real}: 1 fault\n  stars/table.csv is missing: make the data again" in out


def test_verify_a_folder_knows_by_its_label_what_it_holds(data):
    data("make", "stars", "--out", "sky")
    assert data("verify", "sky")[0] == 0
    Path("sky/table.csv").unlink()
    status, out, _ = data("verify", "sky")
    assert status == 1
    assert "sky/table.csv is missing" in out


def test_verify_an_unlabelled_folder_needs_a_name(data, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "table.csv").write_text("mine")
    assert data("verify", "mine")[0] == 2
    assert data("verify", "mine", "--as", "stars")[0] == 0


def test_a_folder_that_has_a_data_sets_name_is_written_with_a_slash(data, tmp_path):
    (tmp_path / "stars").mkdir()
    assert "no data of 'stars' yet" in data("verify", "stars")[2]
    assert "has no label with its data set" in data("verify", "./stars")[2]
