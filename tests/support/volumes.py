"""What is on a volume, seen from outside: what is published of it, whether that is whole, and what nobody names."""

from pathlib import Path

from model_store.layout import StoreLayout
from model_store.manifest import check_fully, content_folder, published_variants, read_manifest


def published(store: Path) -> dict[str, str]:
    """The hash of every published file, by `model/variant/path`; every manifest has to be readable and true."""
    found: dict[str, str] = {}
    for path in published_variants(StoreLayout(store)):
        manifest = read_manifest(path)
        assert manifest is not None, path
        report = check_fully(content_folder(path, manifest), manifest.files)
        assert report.whole, f"{path} names what is missing or damaged: {report}"
        assert not report.extra, f"{path} does not name all that lies beside it: {report}"
        found |= {f"{manifest.model}/{manifest.variant}/{file.path}": file.sha256 for file in manifest.files}
    return found


def strays(store: Path) -> set[str]:
    """Files that no manifest names, as paths below the volume; the lock is none."""
    layout, named = StoreLayout(store), set[Path]()
    for path in published_variants(layout):
        manifest = read_manifest(path)
        assert manifest is not None, path
        named |= {path, *(content_folder(path, manifest) / file.path for file in manifest.files)}
    files = {path for path in store.rglob("*") if path.is_file()}
    return {path.relative_to(store).as_posix() for path in files - named - {layout.lock}}
