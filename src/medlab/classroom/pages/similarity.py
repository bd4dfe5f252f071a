"""The page of similar answers, side by side."""

from medlab.classroom.pages.template import page
from medlab.classroom.submissions.similarity import CLOSE, MOST_PAIRS, Comparison, Pair

SHOWN = 8_000  # characters of an answer


def similarity_page(pairs: list[Pair], compared: list[Comparison]) -> str:
    """Return the report as one HTML page that loads nothing and runs nothing."""
    return page(
        "similarity.html",
        pairs=pairs,
        compared=compared,
        close=CLOSE,
        most=MOST_PAIRS,
        shown=SHOWN,
    )
