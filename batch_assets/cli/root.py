"""The command `batch-assets`: its commands are imported when they are called."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from batch_assets.cli.exit_codes import ExitCode, exit_code_of
from batch_assets.domain.errors import BatchAssetsError

#: The file that `main` reads variables from, where it lies in the working directory.
DOT_ENV = ".env"

#: What a shell says of a program whose reader went away: 128 and the number of SIGPIPE.
_PIPE_CLOSED = 141


class Commands(click.Group):
    """A group whose commands are in modules of their own, `package.module:name`."""

    def __init__(self, *given: Any, modules: Mapping[str, str], **named: Any) -> None:
        super().__init__(*given, **named)
        self._modules = modules

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*self._modules, *self.commands})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self._modules:
            return super().get_command(context, name)
        module, _, attribute = self._modules[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


class _Root(Commands):
    """Ends with one line on stderr and an exit code, whatever goes wrong."""

    def invoke(self, context: click.Context) -> Any:
        read_dot_env()
        try:
            return super().invoke(context)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            where = "" if error.ctx is None else f" (see {error.ctx.command_path} --help)"
            click.echo(f"Error: {_one_line(error.format_message())}{where}", err=True)
            context.exit(ExitCode.USAGE)
        except BatchAssetsError as error:
            click.echo(f"Error: {_one_line(error.message)}", err=True)
            context.exit(exit_code_of(error))
        except BrokenPipeError:
            _forget_stdout()
            context.exit(_PIPE_CLOSED)
        except OSError as error:
            _forget_stdout()
            what = ": ".join(
                str(each) for each in (error.filename, error.strerror or error) if each
            )
            click.echo(f"Error: {_one_line(what)}", err=True)
            context.exit(ExitCode.FAILED)
        except Exception as error:
            refusal = _of_database(error)
            if refusal is None:
                raise
            click.echo(f"Error: {refusal}", err=True)
            context.exit(ExitCode.FAILED)


def _forget_stdout() -> None:
    """Where nobody takes what is written, Python would complain once more when it closes stdout."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_database(error: Exception) -> str | None:
    """What a database driver says is wrong, without the statement; None of any other error."""
    exceptions = sys.modules.get("sqlalchemy.exc")
    if exceptions is None or not isinstance(error, exceptions.DBAPIError):
        return None
    return (
        f"the ledger's database refuses ({_one_line(str(error.orig))}): see that it is there, may "
        "be written, and has room; `batch-assets doctor` looks"
    )


def read_dot_env() -> None:
    """For local convenience; what the environment has already stands."""
    if os.path.isfile(DOT_ENV):
        from dotenv import load_dotenv

        load_dotenv(DOT_ENV)


def _one_line(message: str) -> str:
    return " ".join(message.split())


@click.group(
    cls=_Root,
    modules={
        "approve": "batch_assets.cli.approve:approve",
        "audit": "batch_assets.cli.audit:audit",
        "batches": "batch_assets.cli.batches:batches",
        "cancel": "batch_assets.cli.control:cancel",
        "decide": "batch_assets.cli.decide:decide",
        "doctor": "batch_assets.cli.doctor:doctor",
        "explain": "batch_assets.cli.explain:explain",
        "export-artifacts": "batch_assets.cli.export:export_artifacts",
        "files": "batch_assets.cli.files:files",
        "ledger": "batch_assets.cli.ledger:ledger",
        "pause": "batch_assets.cli.control:pause",
        "plan": "batch_assets.cli.plan:plan",
        "prune-artifacts": "batch_assets.cli.prune:prune_artifacts",
        "resolve": "batch_assets.cli.again:resolve",
        "results": "batch_assets.cli.results:results",
        "resume": "batch_assets.cli.control:resume",
        "retry": "batch_assets.cli.again:retry",
        "sandbox": "batch_assets.cli.sandbox:sandbox",
        "start": "batch_assets.cli.start:start",
        "status": "batch_assets.cli.status:status",
        "wait": "batch_assets.cli.wait:wait",
        "webhooks": "batch_assets.cli.webhooks:webhooks",
    },
)
@click.version_option(package_name="batch-assets")
def main() -> None:
    """Provider batch APIs on Dagster."""
