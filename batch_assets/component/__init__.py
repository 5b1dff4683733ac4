"""The YAML face of an inference."""

from batch_assets.component.component import BatchInferenceComponent
from batch_assets.component.corpora import FilesModel
from batch_assets.component.prompts import PromptModel
from batch_assets.component.retries import RetriesModel

__all__ = ["BatchInferenceComponent", "FilesModel", "PromptModel", "RetriesModel"]
