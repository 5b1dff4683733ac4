"""Choosing a label for a text by plain keywords: a poor classifier, on purpose.

The point is answers of real and unimpressive accuracy, so that coverage, drift and costs of a
demonstration are not invented. The table knows the labels of the example corpus, dictionary
glosses sorted by WordNet's lexicographer files (wordnet.princeton.edu, lexnames(5WN)); any other
label is looked for by its own name only.
"""

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache

WORD = re.compile(r"[a-z]+")

KEYWORDS = {
    "animal": "genus fish fishes bird birds insect insects mammal mammals dog horse snake wings "
    "tail larvae moth breed extinct marine species legs",
    "artifact": "device worn instrument building machine equipment tool vehicle garment designed "
    "used drug ship room fabric cloth metal holding structure",
    "body": "body bone muscle nerve artery vein blood tissue organ cell gland skin brain cavity",
    "communication": "language languages spoken written words book music letter statement message "
    "document speech writing text symbol program",
    "feeling": "feeling feelings emotion desire fear love joy intense sadness anger pleasure",
    "food": "food sauce meat cooked dish bread cheese wine drink flavored served sweet sugar "
    "eaten edible cream baked fruit flesh",
    "person": "person someone who man woman writer born member leader worker one inhabitant his "
    "mythology king noted",
    "place": "city town region river island country capital located area state port where republic",
    "plant": "plant tree shrub herb flowers leaves perennial flower evergreen wood fern fungus "
    "grass herbs plants trees shrubs cultivated edible fungi bearing",
    "substance": "substance acid mineral element compound crystalline liquid metallic chemical "
    "salt gas colorless oil material alloy obtained occurs",
}
SYNONYMS = {"location": "place", "people": "person", "object": "artifact", "emotion": "feeling"}


def choose_label(labels: Sequence[str], text: str) -> str:
    """The label with the most keywords in `text`; ties and silence are settled by a hash."""
    words = set(WORD.findall(text.lower()))
    scores = [len(_keywords(label) & words) for label in labels]
    best = max(scores)
    tied = [label for label, score in zip(labels, scores, strict=True) if score == best]
    return tied[zlib.crc32(text.encode("utf-8", "replace")) % len(tied)]


@lru_cache(maxsize=4096)
def _keywords(label: str) -> frozenset[str]:
    own = WORD.findall(label.lower())
    known = [
        KEYWORDS[SYNONYMS.get(word, word)] for word in own if SYNONYMS.get(word, word) in KEYWORDS
    ]
    return frozenset(own).union(*(keywords.split() for keywords in known))
