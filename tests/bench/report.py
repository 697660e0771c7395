"""What the benches print and draw: percentiles, a table, a plot as PNG and SVG."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from sandbox_kernel.text import table

#: Where plots go; not a part of the repository.
BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
Samples = Mapping[str, Sequence[float]]


def p(samples: Sequence[float], part: float) -> float:
    """Return a percentile (0 to 1) of one sample or more."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]


def machine() -> str:
    """Return a line that says what all this was measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ipykernel", "google-adk", "kubernetes"))
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}, {versions}"


def phases(title: str, found: Mapping[str, Samples]) -> str:
    """Return a table with p50 and p95 of each phase, a row for each way."""
    names = list(dict.fromkeys(name for samples in found.values() for name in samples))
    rows = []
    for way, samples in found.items():
        most = max(map(len, samples.values()), default=0)
        cells = [_pair(samples[name]) if samples.get(name) else "" for name in names]
        rows.append([way, str(most), *cells])
    return f"{title} (seconds, p50 / p95)\n{table(['', 'n', *names], rows)}"


def _pair(samples: Sequence[float]) -> str:
    return f"{statistics.median(samples):.3f} / {p(samples, 0.95):.3f}"


def plot(name: str, title: str, found: Mapping[str, Sequence[float]]) -> None:
    """Draw the distribution of each way's whole time."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.6 * len(found) + 1.6))
    axes.boxplot(list(found.values()), orientation="horizontal", tick_labels=list(found), whis=(5, 95), showfliers=False)
    axes.set_xscale("log")
    axes.set_xlabel("seconds; box: quartiles, whiskers: 5 and 95 %")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    BUILD.mkdir(parents=True, exist_ok=True)
    for kind in ("png", "svg"):
        figure.savefig(BUILD / f"{name}.{kind}")
    plt.close(figure)
    print(f"Drawn: {BUILD.name}/{name}.png and .svg below build/")
