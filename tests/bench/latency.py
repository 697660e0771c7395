"""``make bench``: how long people wait, ours against others, in one run. Machines are noisy: compare within one run.

What needs a cluster uses KUBECONFIG, an administrator's, and namespaces of its own; without it that part is left out, and
said.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import on_machine
from report import machine, p, phases, plot

from sandbox_kernel.text import table

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PACKAGE = DEPLOY.parent / "sandbox_kernel"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=30, help="of each latency; default 30")
    parser.add_argument("--starts", type=int, default=5, help="of each kernel's start; default 5")
    parser.add_argument("--only", choices=["local", "cluster"], help="leave the other out")
    chosen = parser.parse_args()
    compileall.compile_dir(PACKAGE, quiet=1)  # As pip does with all that it installs, the others here among it.
    print(machine())
    if chosen.only != "cluster":
        local(chosen.samples, chosen.starts)
    if chosen.only != "local":
        if os.environ.get("KUBECONFIG"):
            cluster(chosen.samples)
        else:
            print("\nThere is no cluster (KUBECONFIG): `make cluster` makes one. Its part is left out.")


def local(samples: int, starts: int) -> None:
    """This machine's part."""
    found = on_machine.measure(samples, starts)
    print("\n" + phases("On this machine", found))
    cells = on_machine.notebook()
    print("\nA notebook of 50 cells under nbclient, seconds a cell:", _words(cells, ".3f"))
    print(f"import sandbox_kernel.executors: {statistics.median(on_machine.imports('sandbox_kernel.executors')):.3f} s")
    plot(
        "local",
        "Round trip of print on this machine",
        {way: kept["round trip"] for way, kept in found.items() if kept["round trip"]},
    )


def cluster(samples: int) -> None:
    """The cluster's part."""
    import on_cluster  # The ADK takes seconds to import.

    with namespaces() as (theirs_is, kubeconfig):
        options = ["--Runner.backend_name=kubernetes", f"--KubernetesBackend.kubeconfig={kubeconfig}"]
        found, requests = asyncio.run(on_cluster.latency(options, theirs_is, samples))
        print("\n" + phases("On the cluster: print('hi')", found))
        whole = {way: statistics.median(kept["whole"]) for way, kept in found.items()}
        theirs = whole["ADK GkeCodeExecutor"]
        print("Of ADK's time:", _words({way: value / theirs for way, value in whole.items()}, ".2f"))
        print(f"API requests for a cell: {requests:g}")
        arrived = on_cluster.prints(options)
        print(f"print to IOPub: p50 {p(arrived, 0.5):.3f} s, p95 {p(arrived, 0.95):.3f} s of {len(arrived)}")
        rows = []
        for at_once in (20, 100):
            rates = asyncio.run(on_cluster.throughput(options, theirs_is, at_once))
            rows.append([str(at_once), *(f"{rate:.2f}" for rate in rates.values())])
        print("\nSnippets at once, done a second\n" + table(["at once", *rates], rows))
        plot("cluster", "print('hi') on the cluster", {way: kept["whole"] for way, kept in found.items()})


def _words(values: dict[str, float], form: str) -> str:
    return ", ".join(f"{way} {value:{form}}" for way, value in values.items())


@contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Make a namespace as deploy/README.md tells, and one without policies for ADK's Jobs, which those would refuse.

    Yields the name of the second and the kubeconfig of the first's service account; both go at the end.
    """
    kubectl = os.environ.get("KUBECTL") or shutil.which("kubectl") or sys.exit("There is no kubectl: set KUBECTL.")
    name = f"sandbox-bench-{secrets.token_hex(3)}"
    plain = f"{name}-adk"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(DEPLOY, Path(folder) / "deploy")
        (Path(folder) / "kustomization.yaml").write_text(f"namespace: {name}\nresources:\n- deploy/namespace\n")
        try:
            subprocess.run([kubectl, "apply", "-k", folder], check=True, capture_output=True)
            subprocess.run([kubectl, "create", "namespace", plain], check=True, capture_output=True)
            made = subprocess.run(
                ["sh", str(DEPLOY / "kubeconfig.sh"), name, "4h"],
                env={**os.environ, "KUBECTL": kubectl},
                check=True,
                capture_output=True,
                text=True,
            )
            kubeconfig = Path(folder) / "kubeconfig"
            kubeconfig.touch(0o600)
            kubeconfig.write_text(made.stdout)
            yield plain, str(kubeconfig)
        finally:
            subprocess.run([kubectl, "delete", "namespace", name, plain, "--wait=true"], check=False, capture_output=True)


if __name__ == "__main__":
    main()
