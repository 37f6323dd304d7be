"""A volume whose demo model has another chat template: with the fake engine, a test says what the model answers."""

import shutil
from pathlib import Path

import msgspec

from model_store.layout import StoreLayout
from model_store.manifest import content_folder, describe_files, read_manifest, write_manifest

ABLE_TEMPLATE = (
    "{#- tools: <tool_call>{arguments}</tool_call>, <think></think> #}"
    "{%- if enable_thinking is defined %}{{ 'on: ' if enable_thinking else 'off: ' }}{% endif -%}"
    "{{- messages[-1].content -}}<|im_end|>"
)
"""Of a model that calls tools as Hermes does, and thinks; what it is told about thinking begins its answer."""


def scripted_store(demo_store: Path, store: Path, template: str) -> Path:
    """Copy the volume, put the template in and publish that."""
    shutil.copytree(demo_store, store, dirs_exist_ok=True)
    path = StoreLayout(store).manifest("demo", "openvino-bf16")
    manifest = read_manifest(path)
    assert manifest is not None
    folder = content_folder(path, manifest)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    write_manifest(path, msgspec.structs.replace(manifest, files=describe_files(folder)))
    return store
