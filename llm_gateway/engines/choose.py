"""Which engine serves a variant; the libraries are imported here and only once they are chosen."""

from pathlib import Path

from llm_gateway.engines.base import Engine
from llm_gateway.workers.protocol import EngineOptions


def build_engine(name: str, model_folder: Path, options: EngineOptions) -> Engine:
    """Load the model into the named engine; this is where the time of a start goes.

    Raises:
        ValueError: there is no engine of that name.
        Exception: whatever the library raises when it cannot load the model.
    """
    if name == "openvino":
        from llm_gateway.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(model_folder, options)
    if name == "transformers":
        from llm_gateway.engines.transformers_engine import TransformersEngine

        return TransformersEngine(model_folder, options)
    if name == "vllm":
        from llm_gateway.engines.vllm_engine import VllmEngine

        return VllmEngine(model_folder, options)
    if name == "fake":
        from llm_gateway.engines.fake_engine import FakeEngine

        return FakeEngine(model_folder, options)
    raise ValueError(f"ENGINE is {name!r}, expected openvino, transformers, vllm or fake")
