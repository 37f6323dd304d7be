"""Every setting of the fetcher: name, default, and what changes with it. The only module that reads the environment.

Precedence: environment, then profiles/<PERFORMANCE_PROFILE>.env, then the default here. An empty value means unset.
"""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

import machine
import profiles
from machine.sizes import parse_size
from model_fetcher.errors import SettingError
from model_store.variants import OPENVINO, families_for

DEMO = "demo"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[^@\s]+)?")
_FOLDER_PREFIXES = ("/", "./", "../", "~")
_SECRETS = frozenset({"HF_TOKEN", "HTTPS_PROXY"})
_MAX_SHOWN = 200


class Quantization(StrEnum):
    """Precision of the weights that are prepared."""

    NONE = "none"
    INT8 = "int8"
    INT4 = "int4"


class Verify(StrEnum):
    """How a published model is checked on later starts."""

    QUICK = "quick"
    FULL = "full"


class LogLevel(StrEnum):
    """How much is said; `warning` leaves only errors and what needs attention."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _default_store() -> Path:
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data_home).expanduser() / "preheat"


class Settings(BaseSettings):
    """What the fetcher was asked to do. Read once, frozen."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", protected_namespaces=())

    model_name: str = DEMO
    """`demo`, `org/name`, `org/name@revision`, or a folder's path. Without a revision, a published model is kept."""
    performance_profile: str = "cpu_optimized"
    """Which set of numbers to start from: cpu_optimized, vm_optimized, gpu_accelerated, or auto, which becomes one of
    them. gpu_accelerated publishes weights as they are, the others convert them."""
    quantization: Quantization = Quantization.NONE
    """none: weights as published, at 16 bits. int8: half the memory. int4: a quarter, and noticeably less exact.
    What is not converted is compressed by the engine, while it loads."""
    engine: Literal["auto", "openvino", "transformers", "vllm", "fake"] = "auto"
    """The inference library: openvino wants converted weights, transformers and vllm those that were published."""
    gpu_image: bool = False
    """The gateway's image has an engine for GPUs; compose.gpu.yaml says so, and only then does auto take the GPU."""
    model_store: Path = Field(default_factory=_default_store)
    """The volume. Another folder starts empty."""
    log_level: LogLevel = LogLevel.INFO
    """debug adds the converting libraries' own messages."""

    memory_limit: str = "0"
    """Memory that Docker allows the gateway, such as 4g; 0 is no limit. PERFORMANCE_PROFILE=auto goes by it."""

    hf_token: SecretStr | None = None
    """Needed for gated and private models. Never logged, never given to the conversion."""
    hf_endpoint: str = "https://huggingface.co"
    """Another hub or mirror."""
    ssl_cert_file: FilePath | None = None
    """Certificates to trust instead of the usual ones, for a proxy or a hub with a certificate of your own."""
    https_proxy: SecretStr | None = None
    """The way out; the hub's client reads it itself, as it reads HTTP_PROXY, ALL_PROXY and NO_PROXY."""
    hf_hub_offline: bool = False
    """true: never go online; what is not on the volume is an error."""

    allow_pickle: bool = False
    """true: also use *.bin weights. Loading one may run code that its author chose."""
    trust_remote_code: bool = False
    """true: also fetch and run Python files from the model's repository."""
    verify: Verify = Verify.QUICK
    """quick compares sizes and times in milliseconds; full reads and hashes every byte at every start."""
    keep_source: bool = True
    """false: remove the downloaded originals after conversion. Another profile then means another download."""
    stall_timeout_s: Annotated[float, Field(gt=0)] = 30
    """No bytes for this long: reconnect and go on from there."""
    download_retries: Annotated[int, Field(ge=1)] = 8
    """Attempts per file that bring nothing new before giving up; the waits between them double from one second."""

    @property
    def families(self) -> tuple[str, ...]:
        """Forms of a model that the profile's engines load, in order of preference."""
        return families_for(self.engine, self.performance_profile)

    @property
    def converts(self) -> bool:
        """Whether weights are converted at all, if they can be."""
        return OPENVINO in self.families

    @field_validator("model_name")
    @classmethod
    def _is_a_model_name(cls, value: str) -> str:
        if value == DEMO or value.startswith(_FOLDER_PREFIXES) or _REPOSITORY.fullmatch(value):
            return value
        raise ValueError("expected demo, org/name, org/name@revision or a folder's path (starting with / or ./)")

    @field_validator("hf_endpoint")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("expected an address that starts with https:// or http://")
        return value.rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given = env_settings()
        requested = given.get("performance_profile") or cls.model_fields["performance_profile"].default
        gpu_image = profiles.says_yes(given.get("gpu_image"))
        name, preset = _profile_values(str(requested), str(given.get("memory_limit") or "0"), gpu_image=gpu_image)
        resolved = InitSettingsSource(settings_cls, {"performance_profile": name})
        return init_settings, resolved, env_settings, InitSettingsSource(settings_cls, preset)


def load_settings() -> Settings:
    """Read the environment and the profile, once.

    Raises:
        SettingError: a value cannot be used; the message names the key and the value.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingError(_first_sentence(error)) from None
    except OSError as error:  # a path so long that not even its absence can be seen
        reason = f"SSL_CERT_FILE cannot be looked at ({error.strerror}), expected the path of a file that exists"
        raise SettingError(reason) from error


def child_environment(threads: int) -> dict[str, str]:
    """Make the environment of the conversion: no token, no network, no telemetry, and no more threads than allowed."""
    kept = {key: value for key, value in os.environ.items() if key not in {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}}
    return kept | {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "DO_NOT_TRACK": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONWARNINGS": "ignore",
    }


def _profile_values(requested: str, memory_limit: str, *, gpu_image: bool) -> tuple[str, dict[str, Any]]:
    """Find the profile that applies, and those of its values that are settings of the fetcher."""
    try:
        name = profiles.resolve(requested, machine.look(), _gateway_limit_bytes(memory_limit), gpu_image=gpu_image).name
        values = profiles.read_profile(name)
    except ValueError as error:
        raise SettingError(str(error)) from error
    return name, {key.lower(): value for key, value in values.items() if key.lower() in Settings.model_fields}


def _gateway_limit_bytes(memory_limit: str) -> int | None:
    try:
        return parse_size(memory_limit) or None
    except ValueError as error:
        raise SettingError(f"MEMORY_LIMIT: {error}") from error


def _first_sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key, value = str(first["loc"][0]).upper(), first["input"]
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == "path_not_file":
        reason = "the path of a file that exists"
    reason = reason if reason.startswith("expected") else f"expected {reason}"
    return f"{key} is {_shown(key, value)}, {reason}"


def _shown(key: str, value: object) -> str:
    """Write a value as it was given, unless it is a secret, or too long for a sentence."""
    text = "set" if key in _SECRETS else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
