"""The YAML face of an inference."""

from batch_assets.component.component import BatchInferenceComponent
from batch_assets.component.retries import RetriesModel

__all__ = ["BatchInferenceComponent", "RetriesModel"]
