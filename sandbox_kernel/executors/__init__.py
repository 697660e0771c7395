"""Run snippets in sandboxes from programs: the same runner as the kernel's, without Jupyter.

async with SandboxExecutor() as executor:
    result = await executor.run("print(6 * 7)")

with SyncSandboxExecutor(backend="kubernetes", image="python:3.11-slim") as executor:
    result = executor.run("print(6 * 7)")
"""

from .plain import CellError, Result, SandboxExecutor, SyncSandboxExecutor

__all__ = ["CellError", "Result", "SandboxExecutor", "SyncSandboxExecutor"]
