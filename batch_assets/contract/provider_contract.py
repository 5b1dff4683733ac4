"""All rules of the provider port in one class."""

from batch_assets.contract.account_rules import AccountRules
from batch_assets.contract.cancel_rules import CancelRules
from batch_assets.contract.create_rules import CreateRules
from batch_assets.contract.download_rules import DownloadRules
from batch_assets.contract.ending_rules import EndingRules
from batch_assets.contract.failure_rules import FailureRules
from batch_assets.contract.find_rules import FindRules
from batch_assets.contract.hurry_rules import HurryRules
from batch_assets.contract.list_rules import ListRules
from batch_assets.contract.poll_rules import PollRules
from batch_assets.contract.submit_rules import SubmitRules
from batch_assets.contract.upload_rules import UploadRules


class ProviderContract(
    SubmitRules,
    FindRules,
    PollRules,
    EndingRules,
    DownloadRules,
    CancelRules,
    UploadRules,
    ListRules,
    CreateRules,
    HurryRules,
    FailureRules,
    AccountRules,
):
    """What every provider promises, each test a rule. See `Adapter` for what you give."""
