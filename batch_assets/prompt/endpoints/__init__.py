"""What a provider is asked and how its answers are read, endpoint by endpoint."""

from batch_assets.prompt.endpoints.catalogue import compile_endpoint
from batch_assets.prompt.endpoints.endpoint import Endpoint

__all__ = ["Endpoint", "compile_endpoint"]
