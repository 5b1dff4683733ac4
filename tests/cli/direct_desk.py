"""A person at a terminal who asks the sandbox's providers directly."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from command_answers import rows_of
from openai import OpenAI

from batch_assets.cli import main
from batch_assets.sandbox import ManualClock, RunningSandbox, ScriptedFaults
from batch_assets.stages.direct.time import Time

CHAT = "/v1/chat/completions"


def chat_line(custom_id: str, **over: Any) -> dict[str, Any]:
    """A request of OpenAI's, as a line has it."""
    messages = [{"role": "user", "content": f"Say {custom_id}"}]
    body = {"model": "gpt-5-mini", "messages": messages}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **over}


def message_line(custom_id: str) -> dict[str, Any]:
    """A request of Anthropic's."""
    messages = [{"role": "user", "content": f"Say {custom_id}"}]
    params = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": messages}
    return {"custom_id": custom_id, "params": params}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Its folder is the working directory, and time passes where a command waits."""

    sandbox: RunningSandbox
    faults: ScriptedFaults
    clock: ManualClock
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def write(self, name: str, lines: Sequence[Mapping[str, Any]]) -> str:
        (self.folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        return name

    def chats(self, name: str, count: int = 2) -> str:
        """A file of so many requests of OpenAI's, which no file of another name has."""
        lines = [chat_line(f"r{number}") for number in range(count)]
        for line in lines:
            line["body"]["user"] = name
        return self.write(name, lines)

    def messages(self, name: str, count: int = 2) -> str:
        """A file of so many requests of Anthropic's, which no file of another name has."""
        lines = [message_line(f"r{number}") for number in range(count)]
        for line in lines:
            line["params"]["metadata"] = {"user_id": name}
        return self.write(name, lines)

    def lines_for(self, provider: str, name: str, custom_ids: Sequence[str]) -> str:
        """A file of requests as this provider has them, with these ids."""
        contents = [{"role": "user", "parts": [{"text": "Say something"}]}]
        lines = {
            "anthropic": message_line,
            "gemini": lambda each: {"key": each, "request": {"contents": contents}},
        }
        return self.write(name, [lines.get(provider, chat_line)(each) for each in custom_ids])

    def call(self, *given: Any, sleep: Callable[[float], None] | None = None) -> Result:
        """A command; `sleep` is what happens where it waits."""
        time = Time(
            now=lambda: datetime.fromtimestamp(self.clock.now(), UTC),
            sleep=sleep or self.clock.advance,
        )
        return CliRunner().invoke(main, [str(each) for each in given], obj=time)

    def created(self, *given: Any) -> list[str]:
        """Ids of the batches that `batches create` makes."""
        answer = self.call("batches", "create", *given, "-o", "json")
        return [row["id"] for row in rows_of(answer, "batches-create/1")]

    def rows(self, *given: Any) -> list[dict[str, Any]]:
        """Rows of a command that ends well."""
        schema = f"{given[0]}-{given[1]}/1"
        return rows_of(self.call(*given, "-o", "json"), schema)

    def location(self, resource: str) -> str:
        """The module of a code location that has this resource under the key `mine`."""
        name = f"desk_{abs(hash(str(self.folder)))}"
        lines = (
            "import dagster as dg",
            "from batch_assets.resources.anthropic import AnthropicResource",
            "from batch_assets.resources.openai import OpenAIResource",
            f"defs = dg.Definitions(resources={{'mine': {resource}}})",
        )
        (self.folder / f"{name}.py").write_text("\n".join(lines))
        return name

    def upload(self, name: str, content: bytes | None = None) -> str:
        """Id of a file that somebody uploaded under that name."""
        lines = json.dumps(chat_line("r0")).encode() if content is None else content
        with OpenAI(api_key="sk-x", base_url=self.sandbox.base_url, max_retries=0) as sdk:
            return sdk.files.create(file=(name, lines), purpose="batch").id
