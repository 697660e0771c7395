"""Pure: the ConfigMaps of a sandbox on Kubernetes: the guest, the mailbox, and the state that comes in.

Each is owned by the Jobs that mount it and goes when the last of them goes. Nothing in one ever changes, but for the mailbox,
to which messages are added: what is named by its content is made once and shared. The guest's, which is large, is owned by
them through a small one: who changes an object's owners has the apiserver read, write and send the whole of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

GUEST_FILE = "guest.zip"
SESSION_LABEL = "sandbox-kernel/session"
MANAGED_BY = {"app.kubernetes.io/managed-by": "sandbox-kernel"}

#: The sum of a ConfigMap's values, a limit of the apiserver.
CONFIG_MAP_BYTES = 1_048_576
#: What we put into one with state: in base64 the request is then under a mebibyte, which is still sent at one go.
STATE_MAP_BYTES = 720 * 1024
#: How many of the newest messages stay in a mailbox, with the one that is added.
MAIL_KEPT = 3
#: A part of state of this size has a ConfigMap of its own, so that it need not be sent again with what is beside it.
PART_ALONE_BYTES = 128 * 1024


def guest_config_map_name(guest: bytes) -> str:
    """Return the name that the guest's content gives its ConfigMap."""
    return f"sandbox-guest-{_digest(guest)}"


def guest_owners_name(guest: bytes) -> str:
    """Return the name of the ConfigMap that owns the guest's."""
    return f"sandbox-owners-{_digest(guest)}"


def _digest(guest: bytes) -> str:
    return hashlib.sha256(guest).hexdigest()[:16]


def owner(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ownerReference to a Job as the apiserver returned it."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
    }


def guest_owners(guest: bytes, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ConfigMap that owns the guest's, and is owned by the Jobs that mount that. There is nothing in it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": guest_owners_name(guest),
            "labels": dict(MANAGED_BY),
            "ownerReferences": [owner(job)],
        },
        "immutable": True,
    }


def guest_config_map(guest: bytes, owners: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ConfigMap that holds the guest, an archive; ``owners`` is guest_owners() as the apiserver returned it."""
    reference = {key: owners["metadata"][key] for key in ("name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": guest_config_map_name(guest),
            "labels": dict(MANAGED_BY),
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", **reference}],
        },
        "immutable": True,
        "binaryData": {GUEST_FILE: base64.b64encode(guest).decode("ascii")},
    }


def mail_config_map(message: bytes, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ConfigMap that brings the cell: the mailbox, which further messages are patched into."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{job['metadata']['name']}-mail",
            "labels": {**MANAGED_BY, SESSION_LABEL: job["metadata"]["labels"][SESSION_LABEL]},
            "ownerReferences": [owner(job)],
        },
        "binaryData": {"0.json": base64.b64encode(message).decode("ascii")},
    }


def more_mail(number: int, message: bytes) -> dict[str, Any]:
    """Return the patch that adds message ``number`` and takes out what the guest has read long ago.

    The cell is read before anything else is said, and of what comes after it at most two are unread at a time: an answer
    is not sent before the next question, and of interrupts a cell gets one.
    """
    old = 0 if number <= MAIL_KEPT else number - MAIL_KEPT
    return {"binaryData": {f"{old}.json": None, f"{number}.json": base64.b64encode(message).decode("ascii")}}


def state_config_maps(parts: Mapping[str, bytes], job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ConfigMaps that bring parts, by digest, into a sandbox: each an entry, or several that go on from it."""
    session = job["metadata"]["labels"][SESSION_LABEL]
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {**MANAGED_BY, SESSION_LABEL: session},
                "ownerReferences": [owner(job)],
            },
            "immutable": True,
            "binaryData": {key: base64.b64encode(parts[key[:64]][at:end]).decode("ascii") for key, at, end in entries},
        }
        for name, entries in state_layout({digest: len(data) for digest, data in parts.items()}, session).items()
    ]


def state_layout(sizes: Mapping[str, int], session: str) -> dict[str, list[tuple[str, int, int]]]:
    """Return for each ConfigMap its entries: key, and which bytes of the part it holds. Large parts have their own."""
    groups: list[list[tuple[str, int, int]]] = [[]]
    room = STATE_MAP_BYTES
    for digest, size in sorted(sizes.items()):
        if size >= PART_ALONE_BYTES:
            for number, at in enumerate(range(0, size, STATE_MAP_BYTES)):
                key = digest if size <= STATE_MAP_BYTES else f"{digest}.{number}"
                groups.insert(0, [(key, at, min(size, at + STATE_MAP_BYTES))])
        elif size <= room:
            groups[-1].append((digest, 0, size))
            room -= size
        else:
            groups.append([(digest, 0, size)])
            room = STATE_MAP_BYTES - size
    named = {}
    for entries in filter(None, groups):
        content = json.dumps([session, *(key for key, _, _ in entries)])
        named[f"sandbox-state-{hashlib.sha256(content.encode()).hexdigest()[:16]}"] = entries
    return named


def room_for_message(message: bytes) -> bool:
    """Tell whether a message fits into a mailbox."""
    return len(message) <= CONFIG_MAP_BYTES
