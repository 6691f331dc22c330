"""`python -m bench`: one run, one table."""

import argparse
import asyncio
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.deployments import Deployment, DidNotStartError, distributed, embedded, scratch
from bench.dialect import measure_dialect
from bench.driver import MeasurementFailedError
from bench.fanout import measure_fanout
from bench.full import measure_full
from bench.large import measure_large
from bench.machine import describe_machine
from bench.measures import Bench, Options, compare, measure_floor, measure_product
from bench.report import RESULTS, Report, show, write_json, write_page
from bench.stage import set_stage
from deploy.embedded.errors import NodeError
from shared.client import ClientError

_DEPLOYMENTS: Final[dict[str, Callable[[], AbstractAsyncContextManager[Deployment]]]] = {
    "embedded": embedded,
    "distributed": distributed,
}
_MEASURES: Final[dict[str, Callable[[Bench], Awaitable[None]]]] = {
    "product": measure_product,
    "full": measure_full,
    "large": measure_large,
    "dialect": measure_dialect,
    "fanout": measure_fanout,
}
_TOGETHER: Final = (("product", "full"), ("large", "dialect", "fanout"))
"""What is measured on one and the same node: the rate before and after filling; what leaves traces, elsewhere."""

_AT_ONCE: Final = tuple(_MEASURES)
"""The same with --quick, where starting would take longer than measuring."""

_HELP: Final = """\
Measures the axis on this machine and prints one table; `make bench` is this with no words.

what can be chosen with --only, several with commas:
  embedded, distributed   deployments; with none named: all
  floor                   (1) the bare pipeline, and (3) its relation to the product
  product                 (2) rate, latency and (7) CPU by process
  full                    (6) the rate on an empty database and on one with a million deliveries
  large                   (4) packets of 1 and 50 MB
  dialect                 (8) a package of 40 MB by the national dialect and by REST
  fanout                  (5) circulars to 1 to 100,000 addressees

Naming only deployments measures everything on them; naming `floor` and a deployment measures floor and product.
"""


def read_words(words: list[str]) -> argparse.Namespace:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(
        "python -m bench", description=_HELP, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="what to measure, separated by commas; see above")
    parser.add_argument("--seconds", type=float, help="length of one measurement (10; with --quick 3)")
    parser.add_argument("--documents", type=int, help="most documents of one measurement")
    parser.add_argument("--in-flight", type=int, default=64, help="documents under way at once (64)")
    parser.add_argument("--quick", action="store_true", help="everything shorter: under two minutes, and less exact")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON (bench/results)")
    parser.add_argument("--write", action="store_true", help="also put the table into docs/performance.md")
    return parser.parse_args(words)


def choose(only: str) -> tuple[list[str], list[str]]:
    """
    Sort the words of `--only` into deployments and measurements.

    Raises:
        ValueError: One is neither.
    """
    words = [word for word in only.split(",") if word]
    measures = ["floor", *_MEASURES]
    if unknown := sorted(set(words) - set(_DEPLOYMENTS) - set(measures)):
        raise ValueError(f"--only does not know {', '.join(unknown)}; see --help")
    deployments = [name for name in _DEPLOYMENTS if name in words] or list(_DEPLOYMENTS)
    chosen = [name for name in measures if name in words]
    if chosen == ["floor"] and any(name in words for name in _DEPLOYMENTS):
        chosen.append("product")
    return deployments, chosen or measures


async def measure(deployments: list[str], measures: list[str], options: Options, report: Report) -> None:
    """
    Measure; what fails is noted and the rest goes on.
    """
    for name in deployments:
        if "floor" in measures:
            await _try(f"floor, {name}", report, partial(measure_floor, name, options, report))
        for together in (_AT_ONCE,) if options.quick else _TOGETHER:
            if chosen := [one for one in together if one in measures]:
                await _try(name, report, partial(_measure_on, name, chosen, options, report))
        compare(report, name)


async def _measure_on(name: str, measures: Sequence[str], options: Options, report: Report) -> None:
    with scratch("axis-load-") as folder:
        async with _DEPLOYMENTS[name]() as deployment:
            bench = Bench(deployment, await set_stage(deployment), folder, options, report)
            await bench.warm_up()
            for measure in measures:
                await _try(f"{measure}, {name}", report, partial(_MEASURES[measure], bench))


async def _try(what: str, report: Report, work: Callable[[], Awaitable[None]]) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what} …", file=sys.stderr, flush=True)
    try:
        await work()
    except (MeasurementFailedError, DidNotStartError, NodeError, ClientError, OSError, ValueError) as error:
        report.failures.append(f"{what}: {error}")


def main(words: list[str]) -> int:
    """
    Measure and show.
    """
    arguments = read_words(words)
    try:
        deployments, measures = choose(arguments.only)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    seconds = arguments.seconds or (3.0 if arguments.quick else 10.0)
    options = Options(
        seconds=seconds, documents=arguments.documents, under_way=arguments.in_flight, quick=arguments.quick
    )
    report = Report(machine=describe_machine(), options=vars(arguments) | {"results": str(arguments.results)})
    warnings.simplefilter("ignore")
    asyncio.run(measure(deployments, measures, options, report))
    report.ended_at = datetime.now(UTC).replace(microsecond=0)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    show(report, console)
    console.print(f"{os.path.relpath(write_json(report, arguments.results))}")
    if arguments.write:
        write_page(report)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
