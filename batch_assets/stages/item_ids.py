"""Item ids: a column of the corpus or a template over columns, apart for each of its sources."""

from batch_assets.corpus import Rows
from batch_assets.corpus.column_text import as_text
from batch_assets.domain.errors import CorpusError
from batch_assets.prompt.messages import values_of
from batch_assets.prompt.template import KeyTemplate

#: Between a source's namespace and the item's key there; no namespace has it.
_SEPARATOR = ":"


class ItemIds:
    """What tells the items of a partition apart.

    Raises DeclarationError where a template cannot be compiled.
    """

    def __init__(self, declared: str) -> None:
        self._template = KeyTemplate(declared) if "{{" in declared else None
        self._declared = declared
        #: The columns that the ids are made from.
        self.columns = (declared,) if self._template is None else self._template.fields

    def keys(self, rows: Rows) -> list[str]:
        """Each row's key as its source has it. Raises CorpusError for a null."""
        if self._template is not None:
            columns = [
                values_of(rows.batch.column(name), name, rows.name_of) for name in self.columns
            ]
            return list(self._template.texts(columns, rows.name_of))
        keys: list[str] = as_text(rows.batch.column(self._declared)).to_pylist()
        if not all(keys):
            first = next(row for row, key in enumerate(keys) if not key)
            what = "null" if keys[first] is None else "empty"
            raise CorpusError(
                f"{rows.name_of(first)}: {self._declared!r} is {what}; every item needs an id: "
                "fill it in"
            )
        return keys

    def of(self, rows: Rows) -> list[str]:
        """Each row's item id: its key, behind the namespace of its source where that has one."""
        keys = self.keys(rows)
        if rows.namespace is None:
            return keys
        prefix = f"{rows.namespace}{_SEPARATOR}"
        return [prefix + key for key in keys]
