"""Similar answers: something to look at, never a verdict.

An answer becomes a sequence of syntax-tree tokens in which names and constants are replaced by
their kind, and the sequence a set of k-grams. Left out are those of the released stub and
of the model solution, and those that much of the class shares: what remains is an answer's own.
Likeness is the Jaccard index of two such sets. After S. Schleimer, D. Wilkerson, A. Aiken,
Winnowing: local algorithms for document fingerprinting, SIGMOD 2003; answers are short, so that
all k-grams are used instead of a sample.

Not seen: an answer rewritten with other steps, one copied from the model solution, and answers
with too little of their own to compare.
"""

import ast
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medlab.classroom.submissions.reading import Submission
from medlab.classroom.submissions.restoring import is_untouched, restore
from medlab.classroom.submissions.roster import submissions_of
from medlab.course import Syllabus, load_unit
from medlab.course.unit import Exercise, Unit

GRAM = 8  # tokens
FEWEST = 12  # k-grams of its own that an answer needs to be compared
CLOSE = 0.6  # likeness from which a pair is shown
MOST_PAIRS = 200  # shown
LONGEST = 100_000  # characters of an answer that are read


@dataclass(frozen=True)
class Pair:
    """Two students' answers to one exercise."""

    unit: str
    exercise: str
    students: tuple[str, str]
    likeness: float  # Jaccard index, 0 to 1
    sources: tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """How many answers to an exercise were compared, and how many had too little of their own."""

    unit: str
    exercise: str
    compared: int
    left_out: int


def tokens(source: str) -> list[str]:
    """Return the syntax tree of a program, outermost node first, without names and constants.

    Attributes and keyword arguments keep their names, since libraries give them; docstrings and
    annotations are left out. What is not valid Python gives no tokens.
    """
    try:
        tree = ast.parse(source[:LONGEST])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found, waiting = [], [tree]
    while waiting:  # a stack of its own, as a learner's tree may be deeper than Python's
        node = waiting.pop()
        if isinstance(node, str):
            found.append(node)
            continue
        found.append(_token(node))
        waiting += [")", *reversed(_children(node))]
    return found


def fingerprints(source: str) -> frozenset[int]:
    """Return the hashes of all k-grams of a program's tokens."""
    seen = tokens(source)
    grams = (" ".join(seen[at : at + GRAM]) for at in range(len(seen) - GRAM + 1))
    return frozenset(_hash(gram) for gram in grams)


def likeness(one: frozenset, other: frozenset) -> float:
    """Return the Jaccard index of two sets: what they share over what either has; 0 for none."""
    return len(one & other) / len(one | other) if one or other else 0.0


def own_fingerprints(
    answers: Mapping[str, str], given: Iterable[str] = ()
) -> dict[str, frozenset[int]]:
    """Return what is each student's own: not in what was given, not what much of the class has.

    A k-gram that more than a quarter of the class has, and more than three, is the exercise's.
    """
    found = {student: fingerprints(source) for student, source in answers.items()}
    common = frozenset().union(*(fingerprints(source) for source in given))
    held = Counter(itertools.chain.from_iterable(found.values()))
    most = max(3, len(found) / 4)
    common |= {gram for gram, count in held.items() if count > most}
    return {student: grams - common for student, grams in found.items()}


def compare_class(
    syllabus: Syllabus, folder: Path, slug: str = ""
) -> tuple[list[Pair], list[Comparison]]:
    """Compare the submissions in a folder, of one unit or of all; raise BadInput as both do."""
    entries = [syllabus.find(slug)] if slug else syllabus.units
    units = {entry.slug: load_unit(entry) for entry in entries}
    slugs = [entry.slug for entry in syllabus.units]
    return compare(units, submissions_of(folder, slug, slugs))


def compare(
    units: Mapping[str, Unit], submissions: Iterable[Submission]
) -> tuple[list[Pair], list[Comparison]]:
    """Compare every two answers to each exercise; return the closest pairs and what was compared.

    Submissions that could not be graded are left out.
    """
    by_unit: dict[str, list[Submission]] = {}
    for one in submissions:
        if not one.problem and one.slug in units:
            by_unit.setdefault(one.slug, []).append(one)
    pairs: list[Pair] = []
    compared = []
    for slug, found in by_unit.items():
        unit = units[slug]
        restored = {one.student: restore(unit, one.cells).notebook for one in found}
        for exercise in unit.exercises:
            answers = _answers(exercise, restored)
            own = own_fingerprints(answers, (exercise.stub, exercise.solution))
            full = {student: grams for student, grams in own.items() if len(grams) >= FEWEST}
            compared.append(Comparison(slug, exercise.name, len(full), len(answers) - len(full)))
            pairs += _pairs(slug, exercise.name, full, answers)
    closest = sorted(pairs, key=lambda pair: (-pair.likeness, pair.unit, pair.exercise))
    return closest[:MOST_PAIRS], compared


def _answers(exercise: Exercise, restored: Mapping) -> dict[str, str]:
    """Return each student's answer; one who attempted nothing has none."""
    found = {}
    for student, notebook in restored.items():
        source = next(cell.source for cell in notebook.cells if cell.id == exercise.cell_id)
        if not is_untouched(source, exercise.stub):
            found[student] = source
    return found


def _pairs(slug: str, name: str, own: Mapping, answers: Mapping[str, str]) -> Iterator[Pair]:
    places = {g: i for i, g in enumerate(sorted(frozenset().union(*own.values())))}
    # A set as the bits of one number: half a million pairs of a large class take a second.
    bits = {student: sum(1 << places[g] for g in grams) for student, grams in own.items()}
    for one, other in itertools.combinations(sorted(bits), 2):
        a, b = bits[one], bits[other]
        found = (a & b).bit_count() / (a | b).bit_count()
        if found >= CLOSE:
            yield Pair(slug, name, (one, other), found, (answers[one], answers[other]))


def _token(node: ast.AST) -> str:
    kind = f"({type(node).__name__.removeprefix('Ann')}"  # an annotation makes no other program
    if isinstance(node, ast.Attribute):
        return f"{kind}.{node.attr}"
    if isinstance(node, ast.keyword):
        return f"{kind}.{node.arg}"
    if isinstance(node, ast.Constant):
        number = isinstance(node.value, (int, float, complex)) and not isinstance(node.value, bool)
        return f"{kind}.{'number' if number else type(node.value).__name__}"
    return kind


def _children(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.arg):
        return []
    children = [c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.expr_context)]
    aside = getattr(node, "returns", None), getattr(node, "annotation", None)
    children = [child for child in children if child not in aside]
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node):
        children.remove(node.body[0])
    return children


def _hash(gram: str) -> int:
    return int.from_bytes(hashlib.blake2b(gram.encode("utf-8", "replace"), digest_size=8).digest())
