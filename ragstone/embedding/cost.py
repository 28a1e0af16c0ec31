"""What encoding will cost, told before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings

# English has about four bytes a token with the usual tokenizers; dense text, such as code, has three.
_BYTES_PER_TOKEN: Final = 3


@dataclass(frozen=True)
class Estimate:
    """How many tokens wait, rather too many than too few, and what they cost; None when no price is set."""

    texts: int
    tokens: int
    cost: float | None


def estimated_tokens(text: str) -> int:
    """Return how many tokens a text has for an API whose tokenizer is not known here, rather too many than too few."""
    return tokens_of_bytes(len(text.encode("utf-8", "surrogatepass")), 1)


def tokens_of_bytes(size_bytes: int, texts: int) -> int:
    """Return the same for so many texts of so many bytes of UTF-8 together."""
    return size_bytes // _BYTES_PER_TOKEN + texts


def estimate(settings: Settings, texts: int, size_bytes: int) -> Estimate:
    """Return what it costs to encode so many texts of so many bytes in the served space, prefixes counted."""
    encoder = settings.embedding.served
    prefix_bytes = texts * len(encoder.passage_prefix.encode())
    tokens = tokens_of_bytes(size_bytes + prefix_bytes, texts)
    # What runs on this machine is paid for otherwise.
    price = encoder.price_per_million_tokens if encoder.encoder == "openai" else 0.0
    return Estimate(texts, tokens, None if price is None else tokens * price / 1e6)


def check_cost(expected: Estimate, max_cost: float | None) -> None:
    """Refuse to spend more than is allowed; without a limit everything is. Raises UsageError with the estimate."""
    if max_cost is None or expected.texts == 0 or (expected.cost is not None and expected.cost <= max_cost):
        return
    cost = "an unknown sum, for no price is set" if expected.cost is None else f"{expected.cost:.4f}"
    raise UsageError(
        "encoding would cost more than is allowed; nothing was sent",
        where="--max-cost, or embedding.max_cost",
        got=f"{cost} for about {expected.tokens:,} tokens of {expected.texts:,} texts",
        wanted=f"at most {max_cost:g}",
        next_step="allow more, embed fewer documents, or set embedding.price_per_million_tokens",
    )
