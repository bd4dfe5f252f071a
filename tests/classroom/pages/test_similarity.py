import re

from medlab.classroom.pages.similarity import similarity_page
from medlab.classroom.submissions.similarity import Comparison, Pair

EVIL = "def mean(values):\n    return '<script>'\n"


def test_the_page_says_that_it_is_no_verdict_and_runs_nothing():
    pair = Pair("add-two", "mean", ("ada", "<script>"), 0.9, (EVIL, EVIL))
    made = similarity_page([pair], [Comparison("add-two", "mean", 2, 0)])
    assert "not a verdict" in made
    assert "&lt;script&gt;" in made
    assert not re.search(r"<script|<link|src=|href=|https?://", made)
