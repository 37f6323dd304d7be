"""Which architectures the converter knows, and which the transformers engine serves: asked of the libraries.

A model's configuration is enough for it; no weights are read. It runs in the conversion's process, which has the
libraries.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PretrainedConfig

TASK = "text-generation-with-past"


def is_known_to_converter(config: "PretrainedConfig") -> bool:
    """Whether the exporter lists text generation for this type of model."""
    from optimum.exporters.openvino import main_export  # noqa: F401 - importing it registers the exporters
    from optimum.exporters.tasks import TasksManager

    known = TasksManager._SUPPORTED_MODEL_TYPE.get(config.model_type, {})  # noqa: SLF001 - there is no public list
    return TASK in known.get("openvino", {})


def is_served_by_transformers(config: "PretrainedConfig") -> bool:
    """Whether the weights are those of a text generator that transformers itself contains and can batch.

    Its continuous batching puts an attention of its own (paged) into the model, which models with a recurrent state and
    some older ones do not allow. Code from the model's repository does not count: no engine here runs it.
    """
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    name = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    if name is None or name not in (config.architectures or ()):
        return False
    return bool(getattr(transformers, name).is_backend_compatible())
