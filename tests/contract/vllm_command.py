"""What stands in for `vllm run-batch`, which needs a GPU: the same flags and the same lines.

It answers by the sandbox's rules. Flags and lines are those of vLLM's `entrypoints/openai/
run_batch.py`. `--book FILE` gets a line for each request that was answered, `--die-after N` has it
kill itself, `--exit CODE` fail at once, `--stay` go on after the last answer.
"""

import argparse
import json
import os
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from batch_assets.sandbox.endpoints import ENDPOINTS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", "--input-file", required=True)
    parser.add_argument("-o", "--output-file", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--book", type=Path, required=True)
    parser.add_argument("--die-after", type=int)
    parser.add_argument("--exit", type=int)
    parser.add_argument("--stay", action="store_true")
    chosen = parser.parse_args()
    if chosen.exit:
        sys.stderr.write("ValueError: no GPU found\n")
        raise SystemExit(chosen.exit)
    with (
        open(chosen.input_file) as requests,
        open(chosen.output_file, "w") as output,
        chosen.book.open("a") as book,
    ):
        for number, line in enumerate(requests):
            if number == chosen.die_after:
                output.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            request = json.loads(line)
            output.write(json.dumps(answered(request, chosen.model)) + "\n")
            output.flush()
            book.write(f"{request['custom_id']}\n")
            book.flush()
    if chosen.stay:
        time.sleep(600)


def answered(request: dict[str, Any], model: str) -> dict[str, Any]:
    body = request["body"]
    identity = {"id": f"vllm-{uuid.uuid4().hex}", "custom_id": request["custom_id"]}
    response: dict[str, Any] = {"request_id": f"vllm-batch-{uuid.uuid4().hex}", "body": None}
    if body["model"] != model:
        message = f"The model `{body['model']}` does not exist."
        error = {"message": message, "type": "NotFoundError", "param": "model", "code": 404}
        return identity | {"response": response | {"status_code": 404}, "error": {"error": error}}
    reply = ENDPOINTS[request["url"]].reply(body, uuid.uuid4().hex, int(time.time()))
    if reply.status_code != 200:
        error = {"message": "no", "type": "BadRequestError", "param": None, "code": 400}
        return identity | {"response": response | {"status_code": 400}, "error": {"error": error}}
    return identity | {
        "response": response | {"status_code": 200, "body": reply.body},
        "error": None,
    }


if __name__ == "__main__":
    main()
