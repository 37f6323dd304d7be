"""What one repository on the test hub holds, who may read it, and how the hub describes it."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

LFS_FROM_BYTES = 64 << 10
"""The real hub decides by file type; here everything from this size on is a large file with a SHA-256."""


@dataclass
class Repository:
    """One model's files at one commit."""

    name: str
    files: dict[str, bytes]
    licence: str | None = "apache-2.0"
    gated: bool = False
    tokens: dict[str, Literal["granted", "not accepted", "awaiting", "no permission"]] = field(default_factory=dict)
    """What each known token may do with a gated repository; unknown tokens are invalid."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that the list of files should state instead of the true ones."""
    described: bool = True
    """Whether the list of files states sizes and hashes; a mirror that does not know `?blobs=true` states none."""
    older: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Files by commit, for commits that the branch has left behind."""

    @classmethod
    def of_folder(cls, name: str, folder: Path) -> "Repository":
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        return cls(name=name, files=files)

    @property
    def commit(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + content)
        return digest.hexdigest()

    def at(self, revision: str | None) -> "Repository | None":
        """The repository as it is at a revision, or None where it has no such revision."""
        if revision in {None, "main", self.commit}:
            return self
        files = self.older.get(revision or "")
        return replace(self, files=files) if files is not None else None

    def is_lfs(self, path: str) -> bool:
        return len(self.files[path]) >= LFS_FROM_BYTES

    def etag(self, path: str) -> str:
        content = self.files[path]
        if self.is_lfs(path):
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()

    def model_info(self) -> dict[str, Any]:
        """The body of /api/models/<name>?blobs=true."""
        return {
            "_id": "0" * 24,
            "id": self.name,
            "modelId": self.name,
            "sha": self.commit,
            "private": False,
            "gated": "auto" if self.gated else False,
            "tags": [f"license:{self.licence}"] if self.licence else [],
            "downloads": 0,
            "likes": 0,
            "cardData": {"license": self.licence} if self.licence else {},
            "siblings": [self._sibling(path) for path in sorted(self.files)],
        }

    def _sibling(self, path: str) -> dict[str, Any]:
        if not self.described:
            return {"rfilename": path}
        size = self.sizes.get(path, len(self.files[path]))
        described: dict[str, Any] = {"rfilename": path, "size": size, "blobId": self.etag(path)}
        if self.is_lfs(path):
            described["blobId"] = "f" * 40
            described["lfs"] = {"sha256": self.etag(path), "size": size, "pointerSize": 134}
        return described
