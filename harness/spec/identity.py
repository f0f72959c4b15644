"""A run's identity: a digest of everything in the spec that decides its numbers."""

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def digest(value: Mapping[str, Any]) -> str:
    """Return 10 hexadecimal digits of a JSON-like value, whatever the order of its keys."""
    return digest_of(texts(value))


def texts(value: Mapping[str, Any]) -> dict[str, str]:
    """Return each field as the JSON that its digest is taken of."""
    return {str(key): _ENCODER.encode(_canonical(item)) for key, item in value.items()}


def digest_of(fields: Mapping[str, str]) -> str:
    """Return the ``digest`` of fields whose ``texts`` are at hand."""
    text = ",".join(f"{encode_basestring_ascii(key)}:{fields[key]}" for key in sorted(fields))
    return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:10]


def _canonical(value: Any) -> Any:
    # 10 and 10.0 are one setting.
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
