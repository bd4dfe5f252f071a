"""Asserts removed, and numbers changed, by transformers of the syntax tree."""

from tests.support.hostile import Attack

TRANSFORM = """
import ast

class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()

class OneIsZero(ast.NodeTransformer):
    def visit_Call(self, node):
        return ast.Constant(True)

get_ipython().ast_transformers += [NoAsserts(), OneIsZero()]
get_ipython().input_transformers_cleanup.append(lambda lines: ["pass"])
"""
ATTACKS = {
    "ast-transformers": Attack(
        {"mean": "def mean(values): return 0"}, added=(("medlab-setup", TRANSFORM),)
    ),
}


def test_transformers_only_change_the_learners_own_code(graded):
    # Their own answer to add is turned into nothing, too.
    graded.holds("ast-transformers", 0)
