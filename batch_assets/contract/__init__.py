"""The contract of the provider port, as pytest classes for the author of an adapter.

Public. Subclass `ProviderContract` and `EndpointContract` in a test file of yours; docs/howto/
provider.md shows how. Nothing else of the package imports this one, which needs pytest.
"""

import pytest

# Their assertions say what they compared, as those of a test file do.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{rules}"
        for rules in (
            "account_rules",
            "cancel_rules",
            "create_rules",
            "download_rules",
            "endpoint_rules",
            "ending_rules",
            "failure_rules",
            "find_rules",
            "hurry_rules",
            "lane_rules",
            "list_rules",
            "poll_rules",
            "sdk_rules",
            "submit_rules",
            "upload_rules",
        )
    )
)

from batch_assets.contract.adapter import Adapter  # noqa: E402
from batch_assets.contract.endpoint_rules import EndpointContract  # noqa: E402
from batch_assets.contract.gateway import Gateway  # noqa: E402
from batch_assets.contract.lane_rules import LaneContract  # noqa: E402
from batch_assets.contract.provider_contract import ProviderContract  # noqa: E402
from batch_assets.contract.sdk_rules import SdkErrorsContract  # noqa: E402
from batch_assets.contract.server import ContractServer, Situation  # noqa: E402

__all__ = [
    "Adapter",
    "ContractServer",
    "EndpointContract",
    "Gateway",
    "LaneContract",
    "ProviderContract",
    "SdkErrorsContract",
    "Situation",
]
