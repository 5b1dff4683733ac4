"""How a component file says what is demanded of the answers."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import dagster as dg
from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from batch_assets.domain.checks import OFF, Check, Checks, Demand, settings_of
from batch_assets.domain.errors import DeclarationError


class CheckModel(dg.Model):
    """One check: its threshold alone, `off`, or a mapping of what it demands."""

    # Of the class and not of the fields: Dagster resolves no field with constraints of its own.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    at_least: float | None = Field(default=None, description="Smallest value that passes.")
    at_most: float | None = Field(default=None, description="Largest value that passes.")
    severity: Literal["warn", "error"] | None = Field(
        default=None, description="How it is shown where it does not pass."
    )
    blocking: bool | None = Field(
        default=None,
        description="Whether a partition that does not pass gets no bundle; such a check is an "
        "error.",
    )
    min_items: int | None = Field(
        default=None, description="The check says nothing of fewer items."
    )

    _short: Any = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _spelled_out(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(given, cls | Mapping):
            return validate(given)
        # YAML reads the word off as false.
        return validate({}).in_short(OFF if given is False else given)

    def in_short(self, given: Any) -> Self:
        """The check that a number or a word stands for."""
        self._short = given
        return self

    def demand(self) -> Demand:
        """The same as the inference takes it."""
        if self._short is not None:
            short: Demand = self._short
            return short
        return Check(**self.model_dump())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        short = [{"type": "number"}, {"const": OFF}, {"const": False}]
        return {"anyOf": [handler(schema), *short]}


def _check(name: str, what: str) -> Any:
    own = settings_of(name).items()
    by_itself = ", ".join(f"{each} {str(value).lower()}" for each, value in own)
    return Field(default_factory=CheckModel, description=f"{what} By itself: {by_itself}.")


class ChecksModel(dg.Model):
    """What is demanded of the answers of each partition, and what stands before its bundle."""

    nothing_lost: CheckModel = _check(
        "nothing_lost",
        "Every item has its row, and no request was left without an answer or a reason.",
    )
    coverage: CheckModel = _check("coverage", "Share of the items whose outcome is ok.")
    invalid_share: CheckModel = _check(
        "invalid_share", "Share of the items whose answer is not of the output type."
    )
    refused_share: CheckModel = _check(
        "refused_share", "Share of the items that the model or a filter declined to answer."
    )
    truncated_share: CheckModel = _check(
        "truncated_share", "Share of the items whose answer stops at the token limit."
    )
    token_estimate: CheckModel = _check(
        "token_estimate",
        "Prompt tokens that the provider reports, for each one that was estimated.",
    )
    duplicate_answers: CheckModel = _check(
        "duplicate_answers", "Share of the answers that another request has word for word."
    )
    label_drift: CheckModel = _check(
        "label_drift",
        "Share of the items labelled otherwise than in the partition before, beyond chance.",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _has_only_checks(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        unknown = set(given) - set(cls.model_fields) if isinstance(given, Mapping) else set()
        if unknown:
            # Each at its own place, where Dagster finds its line, and of a type that it passes on.
            said = ValueError(f"there is no such check; there are {', '.join(cls.model_fields)}")
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    InitErrorDetails(
                        type="value_error", loc=(name,), input=given[name], ctx={"error": said}
                    )
                    for name in sorted(unknown)
                ],
            )
        return validate(given)

    @field_validator("*")
    @classmethod
    def _is_possible(cls, given: CheckModel, info: ValidationInfo) -> CheckModel:
        try:
            Checks(**{str(info.field_name): given.demand()})
        except DeclarationError as error:
            raise ValueError(error.message) from error
        return given

    def checks(self) -> Checks:
        """The same as the inference takes it."""
        return Checks(**{name: getattr(self, name).demand() for name in type(self).model_fields})
