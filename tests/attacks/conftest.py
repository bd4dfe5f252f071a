"""All attackers of this folder in one class, graded once for all test processes."""

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.support.hostile import Attack, Class, Graded, grade_class

from medlab.errors import BadInput
from medlab.sandbox import isolation

HERE = Path(__file__).parent


def jail_or_skip() -> str:
    """Return the jail that would be used; skip where there is none but limits."""
    try:
        kind = isolation.choose(os.environ.get("MEDLAB_JAIL", isolation.AUTO))
    except BadInput as problem:
        pytest.skip(str(problem))
    if kind == isolation.LIMITS:
        pytest.skip("limits are no jail: attacks are not tried under them")
    return kind


@pytest.fixture(autouse=True)
def jail() -> str:
    return jail_or_skip()


@pytest.fixture(scope="session")
def graded(request, tmp_path_factory) -> Graded:
    """The class of all attackers in the files that were collected."""
    jail_or_skip()
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "attacks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = shared / "attacks.json"
        if not known.exists():
            done = grade_class(shared / "attacks", _attacks(request.session.items))
            known.write_text(json.dumps(asdict(done)))
    return Graded(**json.loads(known.read_text()))


@pytest.fixture
def small_class(tmp_path):
    """A class of one's own, with an honest student before and one after what is handed in."""
    made = Class(tmp_path / "k")
    made.hand_in("a-honest", Attack())
    made.hand_in("z-honest", Attack())
    yield made
    made.close()


def _attacks(items: list) -> dict[str, Attack]:
    modules = {item.module for item in items if item.path.parent == HERE}
    found: dict[str, Attack] = {}
    for module in sorted(modules, key=lambda module: module.__name__):
        for name, attack in getattr(module, "ATTACKS", {}).items():
            assert name not in found, f"two attacks are called {name}"
            found[name] = attack
    return found
