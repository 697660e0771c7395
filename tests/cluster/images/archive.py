"""Writes a docker archive, which `ctr images import -` reads, to stdout.

Arguments are images: NAME COMMAND LAYER[,LAYER...], each layer a tar file. Layers that images share are written once.
"""

import hashlib
import io
import json
import platform
import sys
import tarfile

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def config(command: str, digests: list[str]) -> bytes:
    """The image's config, which names its layers by the hash of their (uncompressed) tar."""
    return json.dumps(
        {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {"Env": [PATH], "Cmd": [command]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        }
    ).encode()


def main(arguments: list[str]) -> None:
    images = [(name, command, layers.split(",")) for name, command, layers in zip(*[iter(arguments)] * 3, strict=True)]
    digests = {path: sha256(path) for *_, layers in images for path in layers}
    manifest = []
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

        for path, digest in digests.items():
            archive.add(path, f"{digest}.tar")
        for name, command, layers in images:
            data = config(command, [digests[path] for path in layers])
            config_name = f"{hashlib.sha256(data).hexdigest()}.json"
            add(config_name, data)
            manifest.append(
                {"Config": config_name, "RepoTags": [name], "Layers": [f"{digests[path]}.tar" for path in layers]}
            )
        add("manifest.json", json.dumps(manifest).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
