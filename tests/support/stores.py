"""Volumes for tests: made once by the real fetcher, then shared by everyone who only reads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from model_store.layout import StoreLayout
from model_store.manifest import content_folder, describe_files, read_manifest, write_manifest
from tests.support.gateway_process import REPOSITORY


def fetch_demo(store: Path, **environment: str) -> None:
    """Run the fetcher on the demo model, as the first start of the appliance does."""
    subprocess.run(
        [sys.executable, "-m", "model_fetcher"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "MODEL_STORE": str(store), **environment},
        check=True,
    )


def with_template(demo_store: Path, store: Path, template: str) -> Path:
    """Copy a volume and publish its model again with another chat template: to the fake engine, what it is to say."""
    shutil.copytree(demo_store, store, dirs_exist_ok=True)
    path = StoreLayout(store).manifest("demo", "openvino-bf16")
    manifest = read_manifest(path)
    assert manifest is not None
    folder = content_folder(path, manifest)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    write_manifest(path, msgspec.structs.replace(manifest, files=describe_files(folder)))
    return store


def unconvertible_demo(store: Path) -> Path:
    """A volume on which the demo model is what OpenVINO could not convert."""
    fetch_demo(store, PERFORMANCE_PROFILE="gpu_accelerated")
    path = StoreLayout(store).manifest("demo", "safetensors")
    manifest = read_manifest(path)
    assert manifest is not None
    write_manifest(path, msgspec.structs.replace(manifest, unconvertible="the converter does not know it"))
    return store
