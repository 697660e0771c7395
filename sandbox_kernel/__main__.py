"""What the kernelspec starts, and ``python -m sandbox_kernel -f CONNECTION_FILE``.

The kernelspec takes the working directory off ``sys.path`` before it imports anything: it is the notebook's folder, and a
``zmq.py`` that lies there would run on the host.
"""


def main() -> None:
    """Run the kernel."""
    from .kernel import SandboxKernelApp  # noqa: PLC0415 - not for who reads this module

    SandboxKernelApp.launch_instance()


if __name__ == "__main__":
    main()
