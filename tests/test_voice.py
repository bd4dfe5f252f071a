"""Texts and names use the words of the reader's other tools: none on the left of WORDS."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = (
    "src/medlab/**/*.py",
    "src/medlab/**/*.html",
    "src/medlab/**/*.jinja",
    "src/medlab/**/*.json",
    "src/medlab/**/*.c",
    "src/medlab/**/*.md",
    "tools/*",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "datasets/*.md",
    "hardware_labs/**/*.md",
    "benchmarks/README.md",
)

# (pattern, what to write instead, a line in which the pattern is found). Case does not count, and
# an underscore is read as a space, so that names in code are words too.
WORDS = (
    (r"\btold\b(?! apart)", "reported, printed, shown", "The user is told why."),
    (r"\bsaid\b", "reported; of a variable: value, text, message", "if said not in SCALES:"),
    (r"\bmend(s|ed|ing)?\b", "fix, correct", "unknown marker: mend it"),
    (r"\banew\b", "again, from scratch", "progress starts anew"),
    (r"\b(from|of) nothing\b", "from scratch", "a network from nothing"),
    (
        r"(?<!there)(?<=\w) (is|are) no (?!longer|more|guarantee|evidence)",
        "is not a X, is not valid X",
        "this file is no notebook",
    ),
    (r"\bthere twice\b", "duplicate", "the name is there twice"),
    (r"\b(stands?|stood)\b(?![ -](ins?|for|out)\b)", "is, are", "the marker stands first"),
    (r"\bbe had\b", "available, not available", "no compiler is to be had"),
    (r"\bmake room\b", "free disk space", "make room and try again"),
    (r"\bawaits (a|the)\b", "waits for; needs manual grading", "awaits a person"),
    (r"\bnobody is here\b", "no terminal to confirm on", "nobody is here to agree"),
    (r"\b(another seed|other random numbers)\b", "random seed of the hidden tests", "another seed"),
    (r"\bgraded before\b", "regrade everything", "grade also what was graded before"),
    (r"\bturn(s|ed)? round\b", "invert", "MONOCHROME1 is turned round"),
    (r"\bfilms?\b", "X-ray, radiograph", "a film without a window"),
    (r"(?<!--)\bpictures?\b", "image, figure", "pictures of a chest"),
    (r"\bpersons?\b(?![\\{<])", "patient, student, instructor, user", "a person gives the points"),
    (r"\bdoes not get on\b", "timed out", "the kernel does not get on"),
    (r"\blost its way\b", "jumped to invalid memory", "the program lost its way"),
    (r"\bdid not survive\b", "crashed", "the child did not survive"),
    (r"\bexplained back\b", "feedback", "every answer explained back"),
    (r"\bhow (hard|telling)\b", "difficulty, discrimination", "how hard an exercise is"),
    (r"\bany of the two\b", "either", "any of the two will do"),
    (r"\bthe dearer\b", "the more expensive", "the dearer of both"),
    (r"\bwas expected\b", "expected X, got Y", "a tensor was expected, a list came"),
    (r"\bexpected, .* came\b", "expected X, got Y", "(64, 64) expected, (8,) came"),
    (r"\brefused by name\b", "raises ERROR naming X", "a file without it is refused by name"),
)

# (file, part of the line): why the word is right there.
EXCEPTIONS = {
    ("src/medlab/classroom/gradebook/tables.py", f'"{old}"'): "old gradebooks hold this status"
    for old in ("awaits a person", "scored by a person")
}


def find_words(line):
    """Return (word, what to write instead) for every word of a line that is in WORDS."""
    text = line.replace("_", " ")
    return [
        (match.group().strip(), instead)
        for pattern, instead, _ in WORDS
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]


def lines_with_place(sources):
    """Yield (path from the root, line number, line) of the files that match a pattern."""
    for path in sorted(path for path in ROOT.glob(sources) if path.is_file()):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield path.relative_to(ROOT).as_posix(), number, line


@pytest.mark.parametrize(("pattern", "instead", "example"), WORDS)
def test_pattern_finds_its_example(pattern, instead, example):
    assert instead in [found for _, found in find_words(example)]


@pytest.mark.parametrize(
    "line",
    [
        "a generated stand-in; STAND_IN = 1; the level that it stands for",
        "there is no board of this name; it is no longer used",
        "I understand the standard; book.standing(student)",
        "real and generated data are told apart",
        "medlab edge inspect MODEL --picture plan.png",
        "person<N>_bacteria_<k>: a file name of the real data set",
    ],
)
def test_usual_words_pass(line):
    assert find_words(line) == []


@pytest.mark.parametrize("sources", SOURCES)
def test_sources_use_the_readers_words(sources):
    hits = [
        f"{path}:{number}: {word} -> {instead}"
        for path, number, line in lines_with_place(sources)
        for word, instead in find_words(line)
        if not any(path == file and part in line for file, part in EXCEPTIONS)
    ]
    assert not hits, "\n".join(hits)


@pytest.mark.parametrize(("file", "part"), EXCEPTIONS)
def test_every_exception_is_needed(file, part):
    assert any(part in line and find_words(line) for _, _, line in lines_with_place(file))
