"""How a component file gives the assets of an inference other keys, groups, owners and the like."""

from typing import Annotated, Any

import dagster as dg
from dagster.components.resolved.core_models import AssetAttributesModel
from dagster.components.utils.translation import TranslationFn, TranslatorResolvingInfo
from dagster_shared.check import CheckError
from pydantic import BeforeValidator

from batch_assets.domain.errors import DeclarationError
from batch_assets.files.layout import ASSET_METADATA


def _attributes(given: Any) -> Any:
    # Checked here, so that the path of an error has no names of types in it.
    if given is None or isinstance(given, str):
        return given
    return AssetAttributesModel.model_validate(given)


#: What YAML says: attributes, or a template that gives them, or an AssetSpec.
TranslationModel: Any = Annotated[AssetAttributesModel | str | None, BeforeValidator(_attributes)]


def _translation(context: dg.ResolutionContext, model: Any) -> TranslationFn[str] | None:
    # Of the whole model: given the field alone, Dagster forgets which line of it is wrong.
    if model.translation is None:
        return None
    info = TranslatorResolvingInfo(model.translation, context, "translation")

    def translate(spec: dg.AssetSpec, asset: str) -> dg.AssetSpec:
        try:
            return info.get_asset_spec(spec, {"spec": spec, "asset": asset})
        except (CheckError, dg.DagsterError) as error:
            raise DeclarationError(
                f"the translation of {spec.key.to_user_string()} is no spec of an asset: {error}"
            ) from error

    return translate


Translation = Annotated[
    TranslationFn[str] | None,
    dg.Resolver.from_model(
        _translation,
        model_field_type=TranslationModel,
    ),
]


def asset_of(spec: dg.AssetSpec) -> str:
    """Which of an inference's assets it is, whatever its key."""
    return str(spec.metadata[ASSET_METADATA])
