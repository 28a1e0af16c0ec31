"""An OpenAI-compatible API as an encoder: batches by tokens, retries with back-off, answers taken only when whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

import httpx2
import numpy as np
import openai
from numpy.typing import NDArray

from ragstone.embedding.cost import estimated_tokens
from ragstone.runtime.errors import ConfigError, ContractError, DependencyUnavailableError
from ragstone.runtime.settings import EncoderSettings, read_secret

# Servers of one's own often want no key, but the client refuses to go without.
_NO_KEY: Final = "none"
_CONNECT_TIMEOUT_S: Final = 5.0
_MOST_TEXTS: Final = 2_048
_PROBE: Final = "dimension"


class OpenAIEncoder:
    """A TextEncoder over an API; `dim` is asked of it when it is not given.

    The client retries what may pass (429, 5xx, broken connections) with back-off, no sooner than Retry-After says.
    Raises ConfigError without an address or when the secret is missing, DependencyUnavailableError when the API gives
    up, ContractError for an answer that is not one finite vector of the right length per text.
    """

    def __init__(self, encoder: EncoderSettings, dim: int | None = None) -> None:
        if encoder.url is None:
            raise ConfigError(
                "the encoder openai has no address, and none is taken for granted",
                where="embedding.url",
                got="nothing",
                wanted="an address such as https://api.openai.com/v1",
            )
        self._url, self._model = encoder.url, encoder.model
        self._batch_tokens, self._dim = encoder.batch_tokens, dim or encoder.dim
        # Proxies, organisations and keys of the environment are another tool's settings: none of them is obeyed.
        timeout = httpx2.Timeout(encoder.timeout_s, connect=min(_CONNECT_TIMEOUT_S, encoder.timeout_s))
        self._client = openai.OpenAI(
            base_url=encoder.url,
            api_key=read_secret(encoder.api_key).get_secret_value() if encoder.api_key else _NO_KEY,
            timeout=encoder.timeout_s,
            max_retries=encoder.retries,
            http_client=httpx2.Client(trust_env=False, timeout=timeout),
        )
        self._client.organization = None
        self._client.project = None

    @cached_property
    def dim(self) -> int:
        """Return the length of the API's vectors: as told, or that of one vector asked for."""
        return self._dim or self._ask([_PROBE]).shape[1]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (len(texts), dim), rows in the order of `texts`, each of unit norm."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        start = 0
        for batch in batches(texts, self._batch_tokens):
            found = self._ask(batch)
            if found.shape[1] != self.dim:
                raise self._useless(f"vectors of length {found.shape[1]}", f"length {self.dim}")
            vectors[start : start + len(batch)] = found
            start += len(batch)
        return vectors

    def _ask(self, texts: Sequence[str]) -> NDArray[np.float32]:
        try:
            answer = self._client.embeddings.create(model=self._model, input=list(texts))
        except openai.OpenAIError as failed:
            raise DependencyUnavailableError(
                "the embedding API gave no vectors",
                where=self._url,
                got=_told(failed),
                wanted=f"vectors of {self._model}",
                next_step="check embedding.url, embedding.model and the secret that embedding.api_key names",
            ) from failed
        except Exception as nonsense:
            # What a body that is no answer at all provokes in the client.
            raise self._useless(_told(nonsense), "embeddings") from nonsense
        rows = sorted(answer.data, key=lambda row: row.index)
        if [row.index for row in rows] != list(range(len(texts))):
            raise self._useless(f"{len(rows)} vectors", f"one for each of {len(texts)} texts")
        return self._normalised([row.embedding for row in rows])

    def _normalised(self, rows: Sequence[Sequence[float]]) -> NDArray[np.float32]:
        lengths = sorted({len(row) for row in rows})
        if len(lengths) != 1 or lengths[0] == 0:
            raise self._useless(f"vectors of lengths {lengths}", "one length")
        matrix = np.asarray(rows, np.float64)
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and norms.all()):
            raise self._useless("a vector of zeros, NaN or infinity", "finite numbers")
        unit: NDArray[np.float32] = (matrix / norms).astype(np.float32)
        return unit

    def _useless(self, got: str, wanted: str) -> ContractError:
        return ContractError("the embedding API's answer cannot be used", where=self._url, got=got, wanted=wanted)


def batches(texts: Sequence[str], most_tokens: int) -> Iterator[Sequence[str]]:
    """Yield the texts in order, in requests of at most so many tokens as estimated; a longer text goes alone."""
    start, tokens = 0, 0
    for place, text in enumerate(texts):
        size = estimated_tokens(text)
        if place > start and (tokens + size > most_tokens or place - start == _MOST_TEXTS):
            yield texts[start:place]
            start, tokens = place, 0
        tokens += size
    if start < len(texts):
        yield texts[start:]


def _told(failure: Exception) -> str:
    if isinstance(failure, openai.APIStatusError):
        return f"HTTP {failure.status_code}"
    return f"{type(failure).__name__}: {str(failure)[:200]}"
