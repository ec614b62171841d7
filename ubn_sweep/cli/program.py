"""The command line: parses, calls, prints. Results go to stdout, all else to stderr; mistakes exit with 2."""

from __future__ import annotations

import errno
import json
import sys

import click

from ubn_sweep import __version__
from ubn_sweep.cli import cluster, results, settling, steering, sweeping
from ubn_sweep.errors import InterruptedSweepError, NothingFoundError, UserError
from ubn_sweep.invocation import as_typed
from ubn_sweep.masking import masked
from ubn_sweep.privacy import opt_out_of_usage_reports

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """Sweep, map and settle the hyperparameters of Unified Batch Normalization networks."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for room in (sweeping, steering, results, settling, cluster):
    for command in room.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Entry point: one line and exit code 2 for what the user can mend."""
    opt_out_of_usage_reports()
    try:
        cli.main(standalone_mode=False)
    except UserError as error:
        _fail(str(error), 2)
    except NothingFoundError as error:
        _fail(str(error), 1, in_json=False)  # the sweep's own object says it
    except InterruptedSweepError as notice:
        _fail(str(notice), notice.code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        _fail(f"{error.format_message()} (`ubn-sweep --help` explains)", 2)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", 130)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _fail(f"{error.filename or 'the disk'}: {error.strerror}: free space, then type the same again", 2)


def _fail(message: str, code: int, *, in_json: bool = True) -> None:
    line = as_typed(masked(" ".join(message.split("\n"))))
    print(f"error: {line}", file=sys.stderr)
    if in_json and "--json" in sys.argv[1:]:
        print(json.dumps({"error": line, "exit_code": code}))
    sys.exit(code)
