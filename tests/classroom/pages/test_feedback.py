"""The page that a learner gets back, read as a browser would read it."""

from html.parser import HTMLParser

import nbformat
import pytest

from medlab.classroom.pages.feedback import feedback_page
from medlab.classroom.results import ExerciseResult, Grade, Status, TestResult
from medlab.course import load_unit
from medlab.course.audience import answered

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
LOADS = ("src", "srcset", "data", "poster", "background", "action", "formaction")
TestResult.__test__ = False


class Page(HTMLParser):
    """What a page holds: its tags with attributes, its text, and whether tags match up."""

    VOID = ("meta", "img", "br", "hr", "link", "input")

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.text, self.open, self.matched = [], "", [], True
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.matched = self.matched and bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data

    @property
    def valid(self):
        return self.matched and not self.open

    @property
    def harmless(self):
        """No script, no handler, and nothing that loads by itself but inline pictures."""
        for tag, attributes in self.tags:
            if tag in ("script", "iframe", "object", "embed", "link", "form", "base", "svg"):
                return False
            for name, value in attributes.items():
                if name.startswith("on") or "javascript:" in (value or "").lower():
                    return False
                if name in LOADS and not value.startswith("data:image/"):
                    return False
        return True


def grade(**changed) -> Grade:
    made = Grade("ada", "add-two", "0" * 12, "a" * 64, 0, "a.ipynb", max=5)
    test = TestResult("negative numbers", 0, 2, Status.FAILED, "negative numbers keep their sign")
    made.take(
        [
            ExerciseResult("add", "exercise", 0, 2, Status.FAILED, test.message, [test]),
            ExerciseResult("mean", "exercise", 3, 3, Status.PASSED, ""),
            ExerciseResult(
                "why",
                "written",
                None,
                2,
                Status.NEEDS_GRADING,
                "your instructor grades this answer",
            ),
        ],
        ["cell 'check-add' was edited and was put back"],
    )
    for name, value in changed.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def handed_in(tiny_unit):
    return answered(tiny_unit, {"add": "def add(a, b):\n    return abs(a) + abs(b)"})


def page(unit, notebook, **changed) -> Page:
    return Page(feedback_page(grade(**changed), unit, notebook))


def with_output(notebook, **output):
    cell = next(cell for cell in notebook.cells if cell.id == "exercise-add")
    cell.outputs = [nbformat.from_dict(output)]
    return notebook


def shown(unit, notebook, data) -> Page:
    return page(unit, with_output(notebook, output_type="display_data", data=data, metadata={}))


def test_a_page_tells_the_score_and_why_points_were_lost(tiny_unit, handed_in):
    made = page(tiny_unit, handed_in)
    assert "3 of 5 points" in made.text
    assert "negative numbers keep their sign" in made.text
    assert "cell 'check-add' was edited and was put back" in made.text
    assert "return abs(a) + abs(b)" in made.text
    assert made.valid
    assert made.harmless


def test_a_page_holds_no_hidden_test_and_no_solution(tiny_unit, handed_in):
    text = page(tiny_unit, handed_in).text
    for exercise in tiny_unit.exercises:
        for test in exercise.hidden:
            lines = [line.strip() for line in test.source.splitlines() if line.strip()]
            assert not [line for line in lines if line in text]
    assert "np.nanmean" not in text
    assert tiny_unit.written[0].model_answer not in text


def test_a_written_answer_is_on_the_page_as_it_was_meant(tiny_unit, handed_in):
    cell = next(cell for cell in handed_in.cells if cell.id == "written-why")
    cell.source = (
        "A **missing** value <script>alert(1)</script> [x](javascript:alert(1)) "
        "![x](http://x.test/a.png) [source](https://doi.org/1)"
    )
    made = page(tiny_unit, handed_in)
    assert ("strong", {}) in made.tags
    assert "https://doi.org/1" in [attributes.get("href") for _, attributes in made.tags]
    assert made.valid
    assert made.harmless


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<img src='http://x.test/track.png'><img src='//x.test/a'><img srcset='http://x.test/a'>",
        "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
        "<a href='javascript:alert(1)' onclick='alert(1)'>x</a>",
        "<svg onload=alert(1)><style>@import 'http://x.test'</style></svg>",
        "<iframe src='http://x.test'></iframe><form action='http://x.test'><input></form>",
        "<link rel=stylesheet href='http://x.test'><base href='http://x.test'>",
        "<meta http-equiv=refresh content='0;url=http://x.test'>",
        "</pre></div></details></section></body><script>alert(1)</script>",
        "<table><tr><td background='http://x.test' style='background:url(http://x.test)'>1",
        "<div>" * 3000,
    ],
)
def test_html_in_an_output_neither_runs_nor_loads_anything(tiny_unit, handed_in, html):
    made = shown(tiny_unit, handed_in, {"text/html": html})
    assert made.harmless
    assert made.valid
    assert [tag for tag, _ in made.tags].count("meta") == 3


def test_tables_and_pictures_in_an_output_are_shown(tiny_unit, handed_in):
    table = shown(tiny_unit, handed_in, {"text/html": "<table><tr><td>0.75</td></tr></table>"})
    assert "0.75" in table.text
    picture = shown(tiny_unit, handed_in, {"image/png": PIXEL + "\n"})
    [image] = [attributes for tag, attributes in picture.tags if tag == "img"]
    assert image["src"] == f"data:image/png;base64,{PIXEL}"
    assert image["alt"]


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "stream", "name": "stdout", "text": "<b>\x1b[31m\0\ud800"},
        {"output_type": "stream", "name": "stdout", "text": ["a", 3]},
        {"output_type": "stream"},
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": "no list"},
        {"output_type": "error", "traceback": [1, None]},
        {"output_type": "display_data", "data": {"image/png": 'x"><script>alert(1)</script>'}},
        {"output_type": "display_data", "data": {"text/html": 3, "text/plain": {"a": 1}}},
        {"output_type": "display_data", "data": ["text/plain"]},
        {"output_type": "display_data"},
    ],
)
def test_an_output_that_a_kernel_made_up_is_shown_or_left_out(tiny_unit, handed_in, output):
    made = feedback_page(grade(), tiny_unit, with_output(handed_in, **output))
    made.encode("utf-8")
    assert Page(made).harmless
    assert Page(made).valid


def test_an_endless_output_is_cut(tiny_unit, handed_in):
    endless = with_output(handed_in, output_type="stream", name="stdout", text="x" * 10**7)
    made = feedback_page(grade(), tiny_unit, endless)
    assert len(made) < 100_000
    assert "[cut here]" in made


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}",
        "O'Brien & Söhne",
    ],
)
def test_a_student_may_be_called_anything(tiny_unit, handed_in, name):
    made = page(tiny_unit, handed_in, student=name, file=name, message=name)
    assert name in made.text
    assert made.valid
    assert made.harmless


def test_a_file_that_is_no_notebook_has_a_page_that_says_what_to_do(tiny_unit):
    told = {"status": Status.NOT_A_NOTEBOOK, "message": "the file is empty", "exercises": []}
    made = page(tiny_unit, None, **told)
    assert "not a notebook" in made.text
    assert "the file is empty" in made.text
    assert made.valid


def test_a_page_forbids_everything_but_its_own_pictures_and_styles(tiny_unit, handed_in):
    policy = next(a["content"] for _, a in page(tiny_unit, handed_in).tags if "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_page_says_that_demonstrations_were_not_run(tiny_syllabus):
    entry = tiny_syllabus.find("add-two")
    told = "Demonstrations, such as long training, were not run for grading"
    assert told not in feedback_page(grade(), load_unit(entry), None)
    shown = '# %% tags=["demonstration"]\nprint("trained")\n\n# %% [markdown]\n# The end\n'
    entry.source.write_text(entry.source.read_text() + "\n" + shown)
    assert told in feedback_page(grade(), load_unit(entry), None)
