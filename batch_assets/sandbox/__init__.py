"""An offline provider: OpenAI's Files and Batches routes, answered as the real API does.

It shares no code with the rest of the project, so that a misunderstanding on one side shows up as
a failing test and not as an agreement. Names are imported when they are used: starlette and
uvicorn are needed by those who run a sandbox only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_assets.sandbox.app import create_app
    from batch_assets.sandbox.batch_faults import (
        CancelledOutside,
        EmptyFileIds,
        Expires,
        FailsValidation,
        LateFiles,
        LyingCounts,
        QueueFull,
        StatusWord,
        Stuck,
    )
    from batch_assets.sandbox.call_faults import (
        AccountRefusal,
        ConnectionCut,
        HalfDownload,
        Hang,
        HtmlPage,
        HttpError,
        LostReply,
        NotUtf8,
        RateLimited,
        ServerError,
        SlowAnswer,
        TruncatedDownload,
    )
    from batch_assets.sandbox.clock import (
        Clock,
        ManualClock,
        SystemClock,
    )
    from batch_assets.sandbox.connection import SandboxProtocol
    from batch_assets.sandbox.fault_script import Script
    from batch_assets.sandbox.faults import Faults
    from batch_assets.sandbox.item_faults import (
        Answer,
        DuplicateLine,
        ForeignLine,
        HalfLine,
        ItemError,
        LineError,
        LineSeparators,
        ListSlips,
        MalformedLine,
        MissingLine,
        NotJson,
        NullResponse,
        OffSchema,
        Refusal,
        StringBody,
        TruncatedAnswer,
        ZeroStatus,
    )
    from batch_assets.sandbox.scripted import ScriptedSandbox, scripted_sandbox
    from batch_assets.sandbox.scripted_faults import Scripted, ScriptedFaults
    from batch_assets.sandbox.server import serve
    from batch_assets.sandbox.thread import RunningSandbox, running_sandbox

__all__ = [
    "AccountRefusal",
    "Answer",
    "CancelledOutside",
    "Clock",
    "ConnectionCut",
    "DuplicateLine",
    "EmptyFileIds",
    "Expires",
    "FailsValidation",
    "Faults",
    "ForeignLine",
    "HalfDownload",
    "HalfLine",
    "Hang",
    "HtmlPage",
    "HttpError",
    "ItemError",
    "LateFiles",
    "LineError",
    "LineSeparators",
    "ListSlips",
    "LostReply",
    "LyingCounts",
    "MalformedLine",
    "ManualClock",
    "MissingLine",
    "NotJson",
    "NotUtf8",
    "NullResponse",
    "OffSchema",
    "QueueFull",
    "RateLimited",
    "Refusal",
    "RunningSandbox",
    "SandboxProtocol",
    "Script",
    "Scripted",
    "ScriptedFaults",
    "ScriptedSandbox",
    "ServerError",
    "SlowAnswer",
    "StatusWord",
    "StringBody",
    "Stuck",
    "SystemClock",
    "TruncatedAnswer",
    "TruncatedDownload",
    "ZeroStatus",
    "create_app",
    "running_sandbox",
    "scripted_sandbox",
    "serve",
]

_NAMES = {
    "app": "create_app",
    "batch_faults": (
        "CancelledOutside EmptyFileIds Expires FailsValidation LateFiles LyingCounts QueueFull "
        "StatusWord Stuck"
    ),
    "call_faults": (
        "AccountRefusal ConnectionCut HalfDownload Hang HtmlPage HttpError LostReply NotUtf8 "
        "RateLimited ServerError SlowAnswer TruncatedDownload"
    ),
    "clock": "Clock ManualClock SystemClock",
    "connection": "SandboxProtocol",
    "fault_script": "Script",
    "faults": "Faults",
    "item_faults": (
        "Answer DuplicateLine ForeignLine HalfLine ItemError LineError LineSeparators "
        "ListSlips MalformedLine MissingLine NotJson NullResponse OffSchema Refusal StringBody "
        "TruncatedAnswer ZeroStatus"
    ),
    "scripted_faults": "Scripted ScriptedFaults",
    "scripted": "ScriptedSandbox scripted_sandbox",
    "server": "serve",
    "thread": "RunningSandbox running_sandbox",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
