"""HTML and scripts in outputs, errors, code and names."""

import re

from tests.support.hostile import Attack

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)><iframe src=//x></iframe>"
OUTPUTS = f"""
from IPython.display import HTML, Javascript, display
def mean(values): raise ValueError({EVIL!r})
display(HTML({EVIL!r}), Javascript("alert(1)"))
display({{"image/svg+xml": "<svg onload=alert(1)></svg>"}}, raw=True)
display({{"image/png": '"><script>alert(1)</script>'}}, raw=True)
display({{"text/html": ["<script>", "alert(1)"], "text/plain": {EVIL!r}}}, raw=True)
display(HTML('<a href="javascript:alert(1)">x</a><style>*{{display:none}}</style>'))
print({EVIL!r})
"""
ATTACKS = {"markup": Attack({"mean": OUTPUTS})}
ACTIVE = re.compile(
    r"<(script|iframe|svg|object|embed|link|base|form)|<[^>]+( on\w+ *=|javascript:)"
)


def test_a_feedback_page_runs_nothing(graded):
    graded.holds("markup", 2)
    body = graded.pages["markup"].split("<body", 1)[1]
    assert ACTIVE.findall(body) == []
    assert "&lt;script&gt;" in body
    assert body.count("<style") == 0
