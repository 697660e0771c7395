"""Run snippets in sandboxes from programs: the same runner as the kernel's, without Jupyter.

async with SandboxExecutor() as executor:
    result = await executor.run("print(6 * 7)")

with SyncSandboxExecutor(backend="kubernetes", image="python:3.11-slim") as executor:
    result = executor.run("print(6 * 7)")
"""

from .plain import SandboxExecutor, SyncSandboxExecutor
from .result import CellError, Result
from .session import AgentSession, SyncAgentSession

__all__ = ["AgentSession", "CellError", "Result", "SandboxExecutor", "SyncAgentSession", "SyncSandboxExecutor"]
