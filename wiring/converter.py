"""The data converter of every client and worker: pydantic, with one set of type adapters for the whole process.

The SDK makes a converter for each workflow instance, and each would compile the schemas of our messages anew: a quarter
of a worker's CPU. The messages are the same objects inside and outside the workflow sandbox, so one set serves all.
"""

import dataclasses
import functools
from typing import Any

from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)
from typing_extensions import override


@functools.lru_cache(maxsize=1024)
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


class SharedJsonConverter(PydanticJSONPlainPayloadConverter):
    """Pydantic's JSON, read with the process's own type adapters."""

    @override
    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Validate the payload as ``type_hint``. Raises pydantic's `ValidationError`."""
        return _adapter(type_hint if type_hint is not None else Any).validate_json(payload.data)


class SharedPayloadConverter(CompositePayloadConverter):
    """Temporal's own encodings, with ours for JSON."""

    def __init__(self) -> None:
        encodings = DefaultPayloadConverter.default_encoding_payload_converters
        ours = SharedJsonConverter()
        super().__init__(*(ours if isinstance(e, JSONPlainPayloadConverter) else e for e in encodings))


data_converter = dataclasses.replace(DataConverter.default, payload_converter_class=SharedPayloadConverter)
"""Give it to every client, replayer and test environment."""
