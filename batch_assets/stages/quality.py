"""quality: what is measured of a partition's results as they are stored, and how they compare.

Everything comes from the results and the request set's manifests, so that checks are made again
at any time, without a call.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_assets.domain.checks import OFF, Check, Rule
from batch_assets.domain.errors import ArtifactError, DeclarationError
from batch_assets.domain.outcome import Outcome
from batch_assets.domain.quality import Evaluation, Measured, Repeats, evaluate
from batch_assets.files import Files, RequestSetLayout
from batch_assets.files.layout import results_path
from batch_assets.files.manifest import Manifest, read_manifest
from batch_assets.files.parquet import stream_parquet
from batch_assets.files.results import request_set_of_results
from batch_assets.ledger import Ledger
from batch_assets.prompt.answer_fields import LabelField, has_free_text, label_fields
from batch_assets.stages.counts import outcomes_in
from batch_assets.stages.plan import tokens_per_request
from batch_assets.stages.recipe import Recipe
from batch_assets.stages.results import MOST_REASONS, OTHER_REASONS

#: Answers that are held against each other; 8 bytes each.
_MOST_COMPARED = 1_000_000

#: Repeated texts that are shown.
_MOST_SHOWN = 5

#: Partitions before one in which results to compare with are looked for.
_LOOKED_BACK = 100

_COLUMNS = ["outcome", "error_code", "error_message", "executions", "input_tokens", "wave"]
_COLUMNS += ["reused_from"]


def rules_of(recipe: Recipe) -> Sequence[Rule]:
    """The checks that are made of the inference's results.

    Raises DeclarationError where one is set that its answers have nothing for.
    """
    lacking = {}
    if not _compares_answers(recipe):
        lacking["duplicate_answers"] = "the answers have no free text that could be compared"
    if not _label_fields(recipe):
        lacking["label_drift"] = "the answers have no field with declared labels"
    for name, why in lacking.items():
        if getattr(recipe.checks, name) not in (Check(), OFF):
            raise DeclarationError(
                f"checks: {name} cannot be made: {why}; leave it out", setting="checks"
            )
    return [rule for rule in recipe.checks.rules if rule.name not in lacking]


class Examination:
    """Makes the checks of one inference, partition by partition."""

    def __init__(
        self,
        ledger: Ledger,
        files: Files,
        recipe: Recipe,
        partition_keys: Callable[[], Sequence[str]],
    ) -> None:
        """`partition_keys` gives all of the inference's, in their order."""
        self._ledger = ledger
        self._files = files
        self._recipe = recipe
        self._partition_keys = partition_keys
        self._rules = {rule.name: rule for rule in rules_of(recipe)}
        self._fields = _label_fields(recipe) if "label_drift" in self._rules else ()
        self._order: Sequence[str] = ()
        self._places: Mapping[str, int] = {}
        #: Of results that were read in this run, by partition: the request set and its labels.
        self._labels: dict[str, tuple[str, Mapping[str, Counter[str]]]] = {}

    def has_results(self, partition_key: str) -> bool:
        """Whether there is something to examine."""
        return self._files.exists(results_path(self._recipe.inference, partition_key))

    def of(self, partition_key: str) -> Sequence[Evaluation]:
        """What each check says of the partition's results as they stand.

        Raises ArtifactError where they, or the manifest of their request set, are missing.
        """
        files, inference = self._files, self._recipe.inference
        path = results_path(inference, partition_key)
        digest = request_set_of_results(files, path)
        if digest is None:
            raise ArtifactError(f"{files.url(path)} is missing: materialize the results first")
        layout = RequestSetLayout(inference=inference, partition_key=partition_key, digest=digest)
        manifest = read_manifest(files, layout.manifest)
        count = _Count(self._fields, compares="duplicate_answers" in self._rules)
        for rows in stream_parquet(files, path, columns=count.columns):
            count.take(rows)
        if self._fields:
            self._labels[partition_key] = (digest, count.labels)
        repeats = self._repeats(count, path)
        partition_before, labels_before = self._before(partition_key)
        measured = Measured(
            expected=manifest.items,
            items=count.items,
            outcomes=count.outcomes,
            executions=count.executions,
            input_tokens=count.input_tokens,
            estimated_tokens=_estimate(files, manifest, count),
            reasons=count.reasons,
            repeats=repeats,
            labels=count.labels if self._fields else None,
            labels_before=labels_before,
            partition_before=partition_before,
        )
        return evaluate(self._recipe.checks, measured)

    def _repeats(self, count: "_Count", path: str) -> Repeats | None:
        rule = self._rules.get("duplicate_answers")
        if rule is None:
            return None
        answers, times = np.unique(np.frombuffer(count.answers, np.int64), return_counts=True)
        compared, repeated = len(count.answers), int(times[times > 1].sum())
        if not compared or rule.holds(repeated / compared):
            return Repeats(compared=compared, repeated=repeated)
        order = np.argsort(-times, kind="stable")[:_MOST_SHOWN]
        most = dict(zip(answers[order].tolist(), times[order].tolist(), strict=True))
        texts = _texts_of(self._files, path, set(most))
        shown = [(texts.get(each, ""), times) for each, times in most.items() if times > 1]
        return Repeats(compared=compared, repeated=repeated, most=shown)

    def _before(
        self, partition_key: str
    ) -> tuple[str, Mapping[str, Counter[str]]] | tuple[None, None]:
        """The nearest partition before this one that has results, and its labels."""
        if not self._fields:
            return None, None
        if partition_key not in self._places:
            self._order = self._partition_keys()
            self._places = {key: place for place, key in enumerate(self._order)}
        place = self._places.get(partition_key, 0)
        for before in reversed(self._order[max(0, place - _LOOKED_BACK) : place]):
            labels = self._labels_of(before)
            if labels is not None:
                return before, labels
        return None, None

    def _labels_of(self, partition_key: str) -> Mapping[str, Counter[str]] | None:
        inference, files = self._recipe.inference, self._files
        # The ledger is asked first: it is faster than a store far away.
        current = self._ledger.request_sets.current(inference, partition_key)
        if current is None or current.resolved_at is None:
            return None
        digest, labels = self._labels.get(partition_key, ("", None))
        if labels is not None and digest == current.digest:
            return labels
        path = results_path(inference, partition_key)
        if not files.exists(path):
            return None
        count = _Count(self._fields, compares=False)
        for rows in stream_parquet(files, path, columns=["outcome", *count.label_columns]):
            count.take_labels(rows)
        self._labels[partition_key] = (current.digest, count.labels)
        return count.labels


class _Count:
    """What the rows of results add up to."""

    def __init__(self, fields: Sequence[LabelField], *, compares: bool) -> None:
        self._fields = fields
        self._compares = compares
        self.label_columns = sorted({".".join(["output", *field.path]) for field in fields})
        self.columns = [*_COLUMNS, *self.label_columns]
        if compares:
            self.columns += ["answer", "is_duplicate"]
        self.items = self.executions = self.input_tokens = self.reused = self.last_wave = 0
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.labels: dict[str, Counter[str]] = {field.name: Counter() for field in fields}
        #: A hash of each answer that is compared.
        self.answers = array("q")

    def take(self, rows: pa.RecordBatch) -> None:
        """Take in rows with all of `columns`."""
        self.items += rows.num_rows
        self.outcomes += outcomes_in(rows)
        self.executions += pc.sum(rows.column("executions")).as_py() or 0
        self.input_tokens += pc.sum(rows.column("input_tokens")).as_py() or 0
        self.last_wave = max(self.last_wave, pc.max(rows.column("wave")).as_py() or 0)
        self.reused += rows.num_rows - rows.column("reused_from").null_count
        is_ok = _is_ok(rows)
        self._take_reasons(rows.filter(pc.invert(is_ok)))
        if self._compares and len(self.answers) < _MOST_COMPARED:
            ok = pc.and_not(is_ok, rows.column("is_duplicate"))
            texts = rows.column("answer").filter(ok).drop_null().to_pylist()
            self.answers.extend(map(hash, texts))
        self.take_labels(rows)

    def take_labels(self, rows: pa.RecordBatch) -> None:
        """Take in the labels of rows that have them; earlier results may be of another type."""
        if not self._fields or "output" not in rows.schema.names:
            return
        output = rows.column("output").filter(_is_ok(rows))
        for field in self._fields:
            values = _values_of(output, field.path)
            if values is None:
                continue
            for each in pc.value_counts(values).to_pylist():
                self.labels[field.name][_label(each["values"])] += each["counts"]

    def _take_reasons(self, failed: pa.RecordBatch) -> None:
        columns = ("outcome", "error_code", "error_message")
        for outcome, code, message in zip(
            *(failed.column(name).to_pylist() for name in columns), strict=True
        ):
            reason = (outcome, code or message or "")
            if reason not in self.reasons and len(self.reasons) >= MOST_REASONS:
                reason = (outcome, OTHER_REASONS)
            self.reasons[reason] += 1


def _is_ok(rows: pa.RecordBatch) -> pa.BooleanArray:
    return pc.equal(rows.column("outcome"), Outcome.OK.value)


def _values_of(output: pa.Array, path: tuple[str, ...]) -> pa.Array | None:
    """The labels of a field, of lists each element; None where these answers have no such field."""
    for name in path:
        output = _flat(output)
        if not pa.types.is_struct(output.type) or output.type.get_field_index(name) < 0:
            return None
        output = pc.struct_field(output, name)
    return _flat(output)


def _flat(values: pa.Array) -> pa.Array:
    while pa.types.is_list(values.type):
        values = pc.list_flatten(values)
    return values


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _texts_of(files: Files, path: str, hashes: set[int]) -> Mapping[int, str]:
    """The answers that have these hashes."""
    found: dict[int, str] = {}
    for rows in stream_parquet(files, path, columns=["outcome", "answer"]):
        for text in rows.column("answer").filter(_is_ok(rows)).drop_null().to_pylist():
            if (known := hash(text)) in hashes:
                found.setdefault(known, text)
        if len(found) == len(hashes):
            break
    return found


def _estimate(files: Files, manifest: Manifest, count: _Count) -> float:
    """Estimated prompt tokens of what was executed.

    Where answers were carried over, the first wave was not asked: the rest of it is the second.
    """
    waves = range(1 if count.reused else 0, count.last_wave + 1)
    return count.executions * tokens_per_request(files, manifest, waves)


def _compares_answers(recipe: Recipe) -> bool:
    return _answers_as_declared(recipe) and has_free_text(recipe.endpoint.output)


def _label_fields(recipe: Recipe) -> Sequence[LabelField]:
    if not _answers_as_declared(recipe):
        return ()
    return label_fields(recipe.endpoint.output, recipe.endpoint.arrow_type)


def _answers_as_declared(recipe: Recipe) -> bool:
    """Embeddings, moderations and images are what their endpoint makes them."""
    return bool(recipe.endpoint.arrow_type == recipe.endpoint.output.arrow_type)
