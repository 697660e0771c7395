"""A Jupyter kernel, and an executor for agents, that runs every cell in its own gVisor sandbox."""

__version__ = "0.1.0"
