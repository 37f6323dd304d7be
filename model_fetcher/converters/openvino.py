"""Converts a transformers model to OpenVINO IR, in a process of its own, and compares the result with its source.

Run as `python -m model_fetcher.converters.openvino`: a request on standard input, events on standard output. It knows
folders and precisions; the volume, the hub and the settings are unknown here.
"""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from model_fetcher.converters import architectures, compare
from model_fetcher.converters.messages import Failure, FailureKind, Request, Result, Step

if TYPE_CHECKING:  # the real imports are inside functions: they take seconds, and the first event should not
    import torch
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

Say = Callable[[str], None]
_MODEL = "openvino_model.xml"
_INT4_GROUP_SIZE = 64
"""Weights that share a scale: 128 is smaller by 3 %, 64 visibly closer to the source on small models."""
_FULL_DISK_BYTES = 32 << 20
_OUT_OF_MEMORY = ("bad alloc", "bad_alloc", "can't allocate memory", "cannot allocate memory", "not enough memory")
_MUST_EXIST = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "openvino_model.xml",
    "openvino_model.bin",
    "openvino_tokenizer.xml",
    "openvino_detokenizer.xml",
)


class CannotConvert(Exception):  # noqa: N818 - an outcome to report, not an error of this process
    """This model cannot be converted; one sentence says why."""


class OnlyTransformers(CannotConvert):
    """This architecture cannot be converted, but the transformers engine serves it."""


def main() -> None:
    """Take one request, report one outcome."""
    events = _keep_standard_output_for_events()
    without_telemetry()
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    outcome = run(request, lambda doing: _send(events, Step(doing=doing)))
    _send(events, outcome)
    events.flush()
    # Native libraries are not unloaded in order: some crash at exit, after everything is done and reported.
    os._exit(0)


def without_telemetry() -> None:
    """Keep OpenVINO and NNCF from reporting each use to their makers, which they do when they find this package."""
    sys.modules["openvino_telemetry"] = cast("ModuleType", None)


def run(request: Request, say: Say) -> Result | Failure:
    """Convert and compare; whatever goes wrong becomes a failure with its kind."""
    try:
        return _check_only(request, say) if request.check_only else _convert(request, say)
    except OnlyTransformers as error:
        return Failure(kind=FailureKind.ONLY_TRANSFORMERS, message=str(error))
    except CannotConvert as error:
        return Failure(kind=FailureKind.ARCHITECTURE, message=str(error))
    except compare.DisagreementError as error:
        return Failure(kind=FailureKind.DISAGREEMENT, message=f"the converted model is not published: {error}")
    except MemoryError:
        return Failure(kind=FailureKind.MEMORY, message="the conversion ran out of memory")
    except Exception as error:
        return _explain(error, Path(request.output))


def _convert(request: Request, say: Say) -> Result:
    source, output = Path(request.source), Path(request.output)
    config = _check(request, say)
    say("loading the tokenizer")
    tokenizer = _load_tokenizer(request)
    prompts = compare.encode_prompts(tokenizer)
    say("asking the source model")
    expected, num_parameters = _ask_source(request, prompts)
    say(f"writing openvino-{request.precision}")
    _export_or_explain(request, config)
    if request.precision in {"int8", "int4"}:
        say(f"compressing to {request.precision}")
        _compress(output, request.precision)
    _complete(source, output, tokenizer)
    say("asking the converted model")
    answers = compare.converted_logits(output / _MODEL, prompts, request.threads)
    return Result(agreement=compare.judge(expected, answers, request.precision), num_parameters=num_parameters)


def _check_only(request: Request, say: Say) -> Result:
    _check(request, say)
    return Result(agreement=None, num_parameters=None)


def _check(request: Request, say: Say) -> "PretrainedConfig":
    """Ask the exporter whether it knows this architecture, from config.json alone."""
    say("loading the libraries")
    import torch
    from transformers import AutoConfig

    torch.set_num_threads(request.threads)
    try:
        config = AutoConfig.from_pretrained(
            request.source, local_files_only=True, trust_remote_code=request.trust_remote_code
        )
    except (ValueError, KeyError, OSError) as error:
        raise CannotConvert(f"its configuration is not understood ({_first_line(error)})") from error
    quantized = getattr(config, "quantization_config", None)
    if quantized:
        method = quantized.get("quant_method", "unknown method") if isinstance(quantized, dict) else "unknown method"
        raise CannotConvert(f"its weights are quantized already ({method}), and only originals can be converted")
    if not architectures.is_known_to_converter(config):
        kind = OnlyTransformers if architectures.is_served_by_transformers(config) else CannotConvert
        raise kind(f"the converter knows no text generation for the architecture {config.model_type!r}")
    return cast("PretrainedConfig", config)


def _load_tokenizer(request: Request) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            request.source, local_files_only=True, trust_remote_code=request.trust_remote_code
        )
    except (ValueError, OSError, ImportError, KeyError) as error:
        raise CannotConvert(f"its tokenizer cannot be loaded ({_first_line(error)})") from error
    if not getattr(tokenizer, "is_fast", False):
        raise CannotConvert("its tokenizer has no fast form (tokenizer.json), and none could be made")
    return tokenizer


def _ask_source(request: Request, prompts: list[list[int]]) -> tuple[list[compare.Logits], int]:
    """Run the source model; when this returns, its memory is free again."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        request.source,
        dtype=_torch_type(request.precision),
        local_files_only=True,
        trust_remote_code=request.trust_remote_code,
        use_safetensors=None if request.allow_pickle else True,
    ).eval()

    def run_one(prompt: Sequence[int]) -> compare.Logits:
        with torch.inference_mode():
            logits = model(torch.tensor([prompt])).logits[0]
        array: compare.Logits = logits.float().numpy()
        return array

    return compare.source_logits(run_one, prompts), int(model.num_parameters())


def _export_or_explain(request: Request, config: "PretrainedConfig") -> None:
    """Export; an exporter that lists an architecture and then fails on it is as good as one that does not list it.

    The source model has answered by then, so transformers does know it.
    """
    try:
        _export(request)
    except Exception as error:
        failure = _explain(error, Path(request.output))
        if failure.kind is not FailureKind.ARCHITECTURE or not architectures.is_served_by_transformers(config):
            raise
        what = f"{type(error).__name__}: {_first_line(error)}"
        raise OnlyTransformers(f"the converter fails on the architecture {config.model_type!r} ({what})") from error


def _export(request: Request) -> None:
    """Write the IR with 16-bit constants.

    The type named here keeps bfloat16 weights bfloat16: the exporter's `fp16` would move them to a type with a smaller
    range. Naming a type at all also switches off its habit of quantizing models of more than 10^9 parameters.
    """
    from optimum.exporters.openvino import main_export
    from optimum.intel import OVConfig

    main_export(
        request.source,
        request.output,
        task=architectures.TASK,
        library_name="transformers",
        ov_config=OVConfig(dtype="fp16" if request.precision == "fp16" else "bf16"),
        convert_tokenizer=True,
        local_files_only=True,
        trust_remote_code=request.trust_remote_code,
        model_loading_kwargs={"torch_dtype": "float16" if request.precision == "fp16" else "bfloat16"},
    )


def _compress(output: Path, precision: str) -> None:
    """Compress the weights of the exported model in place; activations are not touched."""
    import nncf
    import openvino

    modes: dict[str, dict[str, Any]] = {
        "int8": {"mode": nncf.CompressWeightsMode.INT8_ASYM},
        "int4": {
            "mode": nncf.CompressWeightsMode.INT4_SYM,
            "group_size": _INT4_GROUP_SIZE,
            "ratio": 1.0,
            "advanced_parameters": nncf.AdvancedCompressionParameters(
                group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST
            ),
        },
    }
    full = output / _MODEL
    compressed = full.with_name("compressed.xml")
    model = openvino.Core().read_model(full)
    openvino.save_model(nncf.compress_weights(model, **modes[precision]), compressed, compress_to_fp16=False)
    del model  # it maps the file that is replaced now
    for suffix in (".bin", ".xml"):
        compressed.with_suffix(suffix).replace(full.with_suffix(suffix))


def _complete(source: Path, output: Path, tokenizer: "PreTrainedTokenizerBase") -> None:
    """See that everything the gateway reads is there; the publisher's licence travels with the weights."""
    if not (output / "tokenizer.json").is_file():
        tokenizer.save_pretrained(output)
    for pattern in ("LICEN[CS]E*", "NOTICE*", "USE_POLICY*"):
        for path in source.glob(pattern):
            shutil.copyfile(path, output / path.name)
    missing = [name for name in _MUST_EXIST if not (output / name).is_file()]
    if missing:
        raise CannotConvert(f"the converter wrote no {', '.join(missing)} for it")


def _explain(error: Exception, output: Path) -> Failure:
    text = _first_line(error)
    if shutil.disk_usage(output).free < _FULL_DISK_BYTES:
        return Failure(kind=FailureKind.DISK, message=f"the disk filled up during the conversion ({text})")
    if isinstance(error, MemoryError) or any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY):
        return Failure(kind=FailureKind.MEMORY, message=f"the conversion ran out of memory ({text})")
    return Failure(kind=FailureKind.ARCHITECTURE, message=f"the conversion failed ({type(error).__name__}: {text})")


def _torch_type(precision: str) -> "torch.dtype":
    import torch

    return torch.float16 if precision == "fp16" else torch.bfloat16


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


def _keep_standard_output_for_events() -> BinaryIO:
    """Libraries print; they print to standard error from here on."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return events


def _send(events: BinaryIO, event: Step | Result | Failure) -> None:
    events.write(msgspec.json.encode(event) + b"\n")
    events.flush()


def _end_with_parent() -> None:
    """The parent never writes again; end of file means that it died, and nobody waits for this any more."""
    while os.read(0, 1):
        continue
    os._exit(1)


if __name__ == "__main__":
    main()
