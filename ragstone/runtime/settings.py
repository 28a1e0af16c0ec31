"""The settings: one frozen model, built once at the edge, and the only code that reads the environment.

Precedence: arguments > environment > `<home>/conf.yaml` > `conf/<env>.yaml` > `conf/base.yaml`. A variable is named
`RAGSTONE_<SECTION>_<FIELD>`, such as `RAGSTONE_LLM_URL`. Unknown keys and variables are refused.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from ragstone.contracts.identity import stable_hash
from ragstone.runtime import setting_layers
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.source_settings import FilesSource, SecretName, Source

_PROJECT = Path(__file__).resolve().parents[2]

SpaceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestSettings(_Section):
    """How sources are read. Sizes are in bytes; the guard is a share of the source's living documents."""

    max_item_bytes: int = Field(50_000_000, gt=0)
    max_deleted_share: float = Field(0.2, ge=0, le=1)


class ParsingSettings(_Section):
    """What reading one document, or a file of records, may take. Memory is the address space.

    Of a file of records the next rows must come within `max_seconds`; `max_unpacked_bytes` is for its parquet.
    """

    max_seconds: float = Field(60.0, gt=0)
    max_memory_mb: int = Field(1_024, ge=256)
    max_unpacked_bytes: int = Field(500_000_000, gt=0)


class ChunkingSettings(_Section):
    """How documents are cut. `max_tokens` and `overlap_tokens` are in word pieces of `tokenizer`, without special ones.

    They are the structure chunker's; `words` and `overlap_words` are the word chunker's. `version` pins the chunker:
    another one refuses to cut. `overflow` says what becomes of texts that are over the encoder's window.
    """

    chunker: str = "structure"
    version: str | None = None
    tokenizer: str = "all-MiniLM-L6-v2"
    max_tokens: int = Field(230, ge=16, le=8_192)
    overlap_tokens: int = Field(30, ge=0)
    words: int = Field(512, ge=16, le=8_192)
    overlap_words: int = Field(50, ge=0)
    overflow: Literal["refuse", "window_mean"] = "refuse"


class QualitySettings(_Section):
    """What the audits measure. `repetition` tells near duplicates and boilerplate among the chunks of one batch."""

    repetition: bool = True


class EncoderSettings(_Section):
    """One encoder. Prefixes go before each text and are part of what vectors mean, as model and precision are.

    `device` is for sentence-transformers, by default a GPU when there is one. All from `url` on is for an
    OpenAI-compatible API: `dim` is asked for when it is not told, `batch_tokens` bounds one request, `timeout_s` one
    try, and the price is per million tokens, in whatever currency.
    """

    encoder: str = "onnx"
    model: str = "all-MiniLM-L6-v2"
    precision: Literal["fp32", "int8"] = "fp32"
    max_tokens: int = Field(256, ge=8)
    query_prefix: str = ""
    passage_prefix: str = ""
    device: str | None = None
    url: str | None = None
    api_key: SecretName | None = None
    dim: int | None = Field(None, gt=0)
    batch_tokens: int = Field(50_000, gt=0)
    timeout_s: float = Field(30.0, gt=0)
    retries: int = Field(6, ge=0)
    price_per_million_tokens: float | None = Field(None, ge=0)


class EmbeddingSettings(EncoderSettings):
    """The embedding space that is served, and the encoder of every space that has no entry of its own in `spaces`.

    A different model, precision or prefix needs a space of its own. `max_cost` is what one run of embed may cost.
    """

    space: SpaceName = "minilm_fp32"
    spaces: dict[SpaceName, EncoderSettings] = Field(default_factory=dict)
    max_cost: float | None = Field(None, ge=0)

    @property
    def served(self) -> EncoderSettings:
        """Return the encoder of `space`."""
        own = {name: getattr(self, name) for name in EncoderSettings.model_fields}
        return self.spaces.get(self.space) or EncoderSettings(**own)


class SparkSettings(_Section):
    """The batch engine. Memory as Spark spells it; with a local master the driver is all there is."""

    master: str = "local[2]"
    driver_memory: str = "1g"
    executor_memory: str = "1g"
    shuffle_partitions: int = Field(2, gt=0)
    java_home: Path | None = None


class RedisSettings(_Section):
    """The online store. Without `url` each home has a local server of its own. Deadlines are in milliseconds.

    `url` is redis://, rediss:// for TLS, or redis+sentinel:// (rediss+sentinel://) with the sentinels and the name of
    their master. `password` wins over one in the url. `ca_file` has the certificates that the server's is checked
    against; without it the system's count.
    """

    url: SecretStr | None = None
    password: SecretName | None = None
    ca_file: Path | None = None
    deadline_ms: int = Field(500, gt=0)


class FeastSettings(_Section):
    """The feature store. `registry` is a SQLAlchemy address; without it, SQLite below the home.

    `openlineage_url` is a server that is told of what is applied and materialized; without it nobody is. An audit looks
    at `audit_rows` rows of each view; the service makes one every `audit_interval_s` seconds.
    """

    project: str = Field("ragstone", pattern=r"^[a-z][a-z0-9_]*$")
    registry: SecretStr | None = None
    repo: Path = _PROJECT / "feature_repo"
    write_batch_size: int = Field(5_000, gt=0)
    openlineage_url: str | None = None
    audit_rows: int = Field(100, ge=1)
    audit_interval_s: float = Field(300, gt=0)


class IndexSettings(_Section):
    """How indexes are built. Up to `quantised_above` chunks the search is exact and flat.

    `keep_versions` are kept of indexes that can be served, and as many of refused ones. `keep_as_of` snapshots of past
    days are kept, in the index folder and, while the service runs, open. Of golden questions, recall may fall by
    `golden_margin` below that of the index served until then.
    """

    quantised_above: int = Field(20_000, ge=0)
    rerank_factor: int = Field(60, ge=1)
    keep_versions: int = Field(5, ge=1)
    keep_as_of: int = Field(3, ge=1)
    verify_sample: int = Field(64, ge=1)
    golden_margin: float = Field(0.02, ge=0, le=1)


class ApiKey(_Section):
    """One caller. `sha256` is the hexadecimal SHA-256 of the key, so that the settings hold no secret."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    groups: tuple[str, ...]


class ServingSettings(_Section):
    """The chat service. Times are in seconds unless the name says milliseconds."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535)
    api_keys: tuple[ApiKey, ...] = ()
    top_k: int = Field(4, ge=1, le=50)
    max_question_chars: int = Field(4_000, ge=1)
    max_body_bytes: int = Field(65_536, ge=1)
    max_push_bytes: int = Field(10_000_000, ge=1)
    deadline_ms: int = Field(10_000, gt=0)
    session_ttl_s: int = Field(3_600, gt=0)
    session_turns: int = Field(20, ge=1)
    answer_ttl_s: int = Field(604_800, gt=0)


class LlmSettings(_Section):
    """An OpenAI-compatible model. Without `url` answers are extractive and nothing leaves the machine."""

    url: str | None = None
    model: str = "gpt-4o-mini"
    api_key: SecretStr | None = None
    temperature: float = Field(0.0, ge=0)
    timeout_s: float = Field(8.0, gt=0)
    prompt: str = "answer_v1"


class AbstainSettings(_Section):
    """The calibrated model that decides whether there is an answer: a logistic function of the named features.

    Fitted by `ragstone tune abstain`; `evidence` is what that fit measured, copied into every index manifest.
    """

    intercept: float = 0.0
    coefficients: dict[str, float] = Field(default_factory=dict)
    threshold: float = Field(0.5, ge=0, le=1)
    evidence: dict[str, Any] = Field(default_factory=dict)


class LogSettings(_Section):
    """What is logged, to standard error. `auto` means lines for people on a terminal and JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Settings(_Section):
    """Everything that can be set. `home` holds all state; `assets` what set-up fetched once: jars and the model."""

    env: str = Field("local", pattern=r"^[a-z][a-z0-9-]*$")
    home: Path = Path(".ragstone")
    conf: Path = _PROJECT / "conf"
    assets: Path = Path(sys.prefix) / "share" / "ragstone"
    sources: dict[str, Source] = Field(default_factory=dict)
    ingest: IngestSettings = IngestSettings()
    parsing: ParsingSettings = ParsingSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    quality: QualitySettings = QualitySettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    spark: SparkSettings = SparkSettings()
    redis: RedisSettings = RedisSettings()
    feast: FeastSettings = FeastSettings()
    index: IndexSettings = IndexSettings()
    serving: ServingSettings = ServingSettings()
    llm: LlmSettings = LlmSettings()
    abstain: AbstainSettings = AbstainSettings()
    log: LogSettings = LogSettings()

    @property
    def folders(self) -> dict[str, Path]:
        """Return the roots of the sources that are folders of files, by name, absolute."""
        return {
            name: source.root.absolute() for name, source in self.sources.items() if isinstance(source, FilesSource)
        }

    @property
    def landing_root(self) -> Path:
        """Return the folder of the landing zone."""
        return self.home / "landing"

    @property
    def lake_root(self) -> Path:
        """Return the folder below which every table stands."""
        return self.home / "lake"

    @property
    def index_root(self) -> Path:
        """Return the folder of index snapshots and of `CURRENT`."""
        return self.home / "index"

    @property
    def golden_root(self) -> Path:
        """Return the folder of golden questions, which need not be there."""
        return self.home / "golden"

    @property
    def reports_root(self) -> Path:
        """Return the folder of quality reports."""
        return self.home / "reports"

    @property
    def registry_url(self) -> str:
        """Return the SQLAlchemy address of the Feast registry; it holds the password, where there is one."""
        configured = self.feast.registry
        return configured.get_secret_value() if configured else f"sqlite:///{self.home / 'registry' / 'registry.db'}"

    def answer_hash(self) -> str:
        """Return the identity of the settings that shape answers; secrets and addresses are left out."""
        shaping = self.model_dump_json(include={"chunking", "embedding", "index", "abstain"})
        return stable_hash("settings", shaping, self.serving.top_k, self.llm.model, self.llm.prompt)


def load_settings(*, home: Path | None = None, env: str | None = None, **arguments: Any) -> Settings:
    """Return the settings of this process.

    `arguments` are sections or fields of `Settings`, as nested mappings, and win over everything. Paths come back
    absolute, so that a later change of directory (Feast makes one) means nothing. Raises ConfigError.
    """
    env_layer = setting_layers.from_environment(Settings, os.environ)
    env = env or env_layer.get("env", "local")
    home = Path(home or env_layer.get("home", ".ragstone")).absolute()
    conf = Path(arguments.get("conf") or env_layer.get("conf", Settings.model_fields["conf"].default)).absolute()
    layers = [
        (str(conf / "base.yaml"), setting_layers.from_yaml(conf / "base.yaml")),
        (str(conf / f"{env}.yaml"), setting_layers.from_yaml(conf / f"{env}.yaml")),
        (str(home / "conf.yaml"), setting_layers.from_yaml(home / "conf.yaml")),
        ("the environment", env_layer),
        ("the arguments", {**arguments, "env": env, "home": home, "conf": conf}),
    ]
    return setting_layers.validated(Settings, layers)


def environment_java_home() -> Path | None:
    """Return what `JAVA_HOME` says; it is a wish, unlike `spark.java_home`, for it may be meant for other programs."""
    value = os.environ.get("JAVA_HOME")
    return Path(value) if value else None


def read_secret(name: str) -> SecretStr:
    """Return the secret that `env:NAME` or `file:/path` names. Raises ConfigError when there is none."""
    kind, _, place = name.partition(":")
    try:
        value = os.environ[place] if kind == "env" else Path(place).read_text("utf-8")
    except (KeyError, OSError) as missing:
        raise ConfigError(
            "a secret is not there",
            where=name,
            got="no such variable" if kind == "env" else missing,
            wanted="a value",
            next_step=f"export {place}=..." if kind == "env" else f"write it to {place}, readable by you alone",
        ) from missing
    return SecretStr(value.strip())
