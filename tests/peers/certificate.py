"""Times the certificate of Condition 3.2 in numpy and PyTorch beside the Rust certifier.

All sides go from the same f32 logits to predicted class, certified and slack, over
all patch positions and all rivals, on one core. They take turns, round after
round, and the ratio is the median of the ratios within a round, so that a
machine whose speed drifts does not favour one side. Verdicts must be equal.

The Python sides are written as one would write them for speed: one summed-area
table by two cumulative sums, and only the windows that no other contains.
"""

import os

# One core for everybody; to be set before the numeric libraries start.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """A score map's shape, its geometry along both axes, and a square patch."""

    name: str
    classes: int
    cells: int
    pixels: int
    stride: int
    lo: int
    hi: int
    patch: int
    maps: int

    def window(self) -> tuple[int, int]:
        """Side of the windows that matter, and how many there are along an axis.

        Worked out from the definition for every patch position: cell i is affected
        when stride*i + lo <= last pixel and stride*i + hi >= first pixel.
        """
        spans = set()
        for first in range(self.pixels - self.patch + 1):
            last = first + self.patch - 1
            hit = [
                i
                for i in range(self.cells)
                if self.stride * i + self.lo <= last and self.stride * i + self.hi >= first
            ]
            spans.add((hit[0], hit[-1]))
        whole = [
            s for s in spans if not any(o != s and o[0] <= s[0] and s[1] <= o[1] for o in spans)
        ]
        side = {b - a + 1 for a, b in whole}
        starts = sorted(a for a, _ in whole)
        assert len(side) == 1 and starts == list(range(self.cells - side.copy().pop() + 1)), spans
        return side.pop(), len(starts)


CASES = [
    Case("10x32x32, patch 5x5, receptive field 7", 10, 32, 32, 1, -3, 3, 5, maps=64),
    Case("1000x56x56, patch 32x32, receptive field 17", 1000, 56, 224, 4, -8, 8, 32, maps=4),
]


def logits_of(case: Case) -> np.ndarray:
    """Maps around the border of certification: one class that leads by some strength.

    Normal logits, shifted for the leading class so that its votes exceed those of a
    rival by what a patch can turn, half of the time.
    """
    rng = np.random.default_rng(2021)
    z = rng.standard_normal((case.maps, case.classes, case.cells, case.cells), np.float32)
    side, _ = case.window()
    share = side * side / case.cells**2
    for n in range(case.maps):
        z[n] -= 1.0
        # P(normal > 1) is 0.16: a lead of about 1.3 to 1.9 times the window's share.
        want = min(0.98, 0.16 + share * (0.9 + 1.4 * n / max(1, case.maps - 1)))
        z[n, n % case.classes] += 1.0 + statistics.NormalDist().inv_cdf(want)
    return z


def numpy_certificate(z: np.ndarray, k: int):
    """z: [N, C, h, w]; k: side of the windows. Returns predicted, certified, slack."""
    s = z >= 0
    votes = s.sum(axis=(2, 3), dtype=np.int32)
    predicted = votes.argmax(axis=1)
    rows = np.arange(len(z))
    # What an attacker gains at a cell against each rival: 0, 1 or 2.
    gain = (s[rows, predicted].astype(np.int8) + 1)[:, None] - s
    n, c, h, w = z.shape
    table = np.zeros((n, c, h + 1, w + 1), np.int32)
    body = table[:, :, 1:, 1:]
    np.cumsum(gain, axis=2, dtype=np.int32, out=body)
    np.cumsum(body, axis=3, out=body)
    windows = table[:, :, k:, k:] - table[:, :, :-k, k:] - table[:, :, k:, :-k] + table[:, :, :-k, :-k]
    slack = votes[rows, predicted][:, None] - votes - windows.max(axis=(2, 3))
    slack[rows, predicted] = np.iinfo(np.int32).max
    least = slack.min(axis=1)
    return predicted, least > 0, least


def torch_certificate(torch, z, k: int):
    """The same with tensors."""
    s = z >= 0
    votes = s.sum(dim=(2, 3), dtype=torch.int32)
    predicted = votes.argmax(dim=1)
    rows = torch.arange(len(z))
    gain = (s[rows, predicted].to(torch.int8) + 1)[:, None] - s.to(torch.int8)
    sums = gain.cumsum(dim=2, dtype=torch.int32).cumsum(dim=3, dtype=torch.int32)
    table = torch.nn.functional.pad(sums, (1, 0, 1, 0))
    windows = table[:, :, k:, k:] - table[:, :, :-k, k:] - table[:, :, k:, :-k] + table[:, :, :-k, :-k]
    slack = votes[rows, predicted][:, None] - votes - windows.amax(dim=(2, 3))
    slack[rows, predicted] = torch.iinfo(torch.int32).max
    least = slack.amin(dim=1)
    return predicted, least > 0, least


class Rust:
    """The certifier, waiting for its turns."""

    def __init__(self, program: str, case: Case, z: np.ndarray, folder: str):
        path = os.path.join(folder, "logits.f32")
        z.astype("<f4").tofile(path)
        numbers = (case.classes, case.cells, case.pixels, case.stride, case.lo, case.hi, case.patch)
        self.process = subprocess.Popen(
            [program, path, *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def turn(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("error: the certifier ended early; its words are above")
        answer = json.loads(line)
        return statistics.median(answer["seconds"]), [tuple(v) for v in answer["verdicts"]]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def verdicts_of(answers) -> list[tuple[int, bool, int]]:
    return [
        (int(p), bool(c), int(s))
        for predicted, certified, slack in answers
        for p, c, s in zip(predicted, certified, slack)
    ]


def python_turn(certificate, inputs, per_input: int):
    """Median seconds per map, and the verdicts of all maps."""
    seconds, answers = [], []
    for z in inputs:
        start = time.perf_counter()
        answer = certificate(z)
        seconds.append((time.perf_counter() - start) / per_input)
        answers.append(answer)
    return statistics.median(seconds), verdicts_of(answers)


def compare(case: Case, rust_program: str, torch, rounds: int) -> list[str]:
    """Rows of the table for one case."""
    k, _ = case.window()
    z = logits_of(case)
    single = [z[n : n + 1] for n in range(case.maps)]
    peers = {
        "numpy": lambda: python_turn(lambda m: numpy_certificate(m, k), single, 1),
        f"numpy, batch of {case.maps}": lambda: python_turn(
            lambda m: numpy_certificate(m, k), [z], case.maps
        ),
    }
    if torch is not None:
        batch = torch.from_numpy(z)
        tensors = [batch[n : n + 1] for n in range(case.maps)]
        peers["PyTorch"] = lambda: python_turn(
            lambda m: torch_certificate(torch, m, k), tensors, 1
        )
        peers[f"PyTorch, batch of {case.maps}"] = lambda: python_turn(
            lambda m: torch_certificate(torch, m, k), [batch], case.maps
        )
    with tempfile.TemporaryDirectory() as folder:
        rust = Rust(rust_program, case, z, folder)
        rust_seconds, seconds, ratios = [], {p: [] for p in peers}, {p: [] for p in peers}
        for number in range(-2, rounds):  # two rounds to warm up
            own, expected = rust.turn()
            # Each peer has the certifier's turn of the same round beside it.
            for name, turn in peers.items():
                theirs, found = turn()
                if found != expected:
                    wrong = [i for i, (a, b) in enumerate(zip(expected, found)) if a != b]
                    sys.exit(
                        f"error: {case.name}: {name} and the certifier differ on maps {wrong}: "
                        f"{[found[i] for i in wrong][:3]} against {[expected[i] for i in wrong][:3]}"
                    )
                if number >= 0:
                    seconds[name].append(theirs)
                    ratios[name].append(theirs / own)
            if number >= 0:
                rust_seconds.append(own)
        rust.close()
    count = sum(certified for _, certified, _ in expected)
    if not 0 < count < case.maps:
        sys.exit(f"error: {case.name}: {count} of {case.maps} maps certified; both kinds are wanted")
    print(
        f"{case.name}: {case.maps} maps, {count} certified, verdicts equal in all {rounds} rounds",
        file=sys.stderr,
    )
    rows = [f"| {case.name} | certifier (Rust) | {1e6 * statistics.median(rust_seconds):.1f} | 1 | |"]
    for name in peers:
        all_ratios = ratios[name]
        rows.append(
            f"| {case.name} | {name} | {1e6 * statistics.median(seconds[name]):.1f} "
            f"| {statistics.median(all_ratios):.1f} | {min(all_ratios):.1f} to {max(all_ratios):.1f} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rust", required=True, help="the certificate_peer example")
    parser.add_argument("--torch", action="store_true", help="with PyTorch")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", help="also write the table to this file")
    arguments = parser.parse_args()
    torch = None
    if arguments.torch:
        from torch_cpu import torch

        torch.set_num_threads(1)
    lines = [
        "| case | by | microseconds per map (median) | times the certifier (median) | range |",
        "|---|---|---|---|---|",
    ]
    for case in CASES:
        lines += compare(case, arguments.rust, torch, arguments.rounds)
    versions = f"numpy {np.__version__}" + (f", PyTorch {torch.__version__}" if torch else "")
    text = "\n".join(lines) + f"\n\nOne core; {arguments.rounds} rounds, taking turns; {versions}.\n"
    print(text)
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
