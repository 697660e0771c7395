"""The program inside the sandbox: standard library only, Python 3.9 and newer.

Shipped as files (a ConfigMap, or a bind mount) under the name ``_sandbox_guest``, so that nothing of it can shadow a
module of the cell. It is one package with relative imports only. The host imports :mod:`.wire` and nothing else.
"""

#: For what reads the types, which knows the name; ``typing`` has it too, but a new sandbox has better things to do than to
#: import that, and for Python an annotation is only text.
TYPE_CHECKING = False
