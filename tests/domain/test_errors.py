import inspect
import re

import pytest

from batch_assets.domain import errors
from batch_assets.domain.errors import BatchAssetsError, StaleMove, TerminalError, TransientError

LEAF_WIDTH = 4
CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__
]


def printed_tree() -> dict[str, str | None]:
    """Each name in the module's docstring with the name it hangs from."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"([│├└─ ]*)(\w+Error|[A-Z]\w+)(?: {2,}|$)", line):
            depth = len(found[1]) // LEAF_WIDTH
            above[depth:] = [found[2]]
            parents[found[2]] = above[depth - 1] if depth else None
    return parents


def test_the_tree_printed_in_the_module_is_the_tree_of_the_classes():
    assert printed_tree() == {
        kind.__name__: None if kind is BatchAssetsError else kind.__base__.__name__
        for kind in CLASSES
    }


@pytest.mark.parametrize(
    "kind",
    [kind for kind in CLASSES if kind is not BatchAssetsError],
    ids=lambda kind: kind.__name__,
)
def test_every_error_says_by_its_type_whether_trying_again_can_help(kind):
    assert issubclass(kind, TerminalError) != issubclass(kind, TransientError)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_raised_without_words_says_what_its_class_means(kind):
    assert kind().message == kind.__doc__


def test_the_message_is_the_sentence_the_error_was_raised_with():
    assert StaleMove("batch 3 was moved", 3).message == "batch 3 was moved"
