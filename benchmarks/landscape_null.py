"""How often a report claims what is not so, and finds what is: whole sweeps of known truth, and all that it says.

    python benchmarks/landscape_null.py --worlds nothing,others --methods random --sweeps 100
    python benchmarks/landscape_null.py --worlds nothing,others --methods auto,map --sweeps 30
    python benchmarks/landscape_null.py --print > benchmarks/results/landscape_null.md

The quickstart's space, sampler, early stopping, warm starts and number of trials, on curves that are made up (see
`benchmarks/landscape/worlds.py`), two at once. Every sweep is kept when it is read, in the file of `--records`, and is
not made again: a run that was interrupted goes on. An error is a claim of an effect that is not there; the goal is 5%
of the sweeps at most for each kind of claim.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.landscape.null_report import markdown  # noqa: E402  (after the thread counts)
from benchmarks.landscape.worlds import METHODS, WORLDS, original, said_of, world  # noqa: E402

RECORDS = Path(__file__).parent / "results" / "landscape_null.jsonl"


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main(arguments: Sequence[str] | None = None) -> None:
    described = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=described)
    parser.add_argument("--worlds", type=names, default=["nothing", "others"], help=", ".join(WORLDS))
    parser.add_argument("--methods", type=names, default=["random"], help=", ".join(METHODS))
    parser.add_argument("--sweeps", type=int, default=100)
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--print", action="store_true", dest="is_printed", help="the records, as Markdown")
    args = parser.parse_args(arguments)
    if args.is_printed:
        print(markdown(read(args.records)))
        return
    done = {(r["world"], r["method"], r["seed"]) for r in read(args.records)}
    for method in args.methods:
        sweep = original(method)
        for name in args.worlds:
            for seed in range(args.sweeps):
                if (name, method, seed) in done:
                    continue
                began_s = time.process_time()
                said = said_of(sweep, world(name, sweep, seed), seed)
                record = {"world": name, "method": method, "seed": seed, "said": said}
                record["cpu_s"] = round(time.process_time() - began_s, 2)
                with args.records.open("a") as file:
                    file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
