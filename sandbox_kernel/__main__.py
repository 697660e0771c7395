"""``python -m sandbox_kernel -f CONNECTION_FILE``: what the kernelspec starts."""

from .kernel import SandboxKernelApp

if __name__ == "__main__":
    SandboxKernelApp.launch_instance()
