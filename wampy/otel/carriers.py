"""How a trace travels: in the options of CALL and PUBLISH, and in the details of INVOCATION and EVENT.

As custom attributes, as the specification has them (``_traceparent``, ``_tracestate``, ``_baggage``), and as one text
in ``transaction_hash``, ``traceparent=00-…``: custom attributes are what Crossbar does not hand on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, quote

from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator

# Not more than what HTTP's headers may be, with most servers.
_LONGEST = 16_384
_NO_ATTRIBUTE = re.compile(r"[^a-z0-9_]")
TRANSACTION_HASH = "transaction_hash"


class Carriers:
    """Writes the trace into options, and reads it from details.

    Args:
        propagator: What knows the trace's texts; ``None`` for the global one at that time.
        transaction_hash: Whether to use that, too.
    """

    def __init__(self, propagator: TextMapPropagator | None, transaction_hash: bool) -> None:
        self._propagator = propagator
        self._transaction_hash = transaction_hash

    def write(self, options: Any, context: Context) -> Any:
        """Return options with the trace in them.

        Args:
            options: The options of CALL or PUBLISH; what is no mapping, which is for the session to refuse, stays so.
            context: What to hand on.

        Returns:
            A copy, in which what the caller has set himself counts for more; or the same, when there is no trace.
        """
        if not (options is None or isinstance(options, Mapping)):
            return options
        carrier: dict[str, str] = {}
        (self._propagator or get_global_textmap()).inject(carrier, context=context)
        if not carrier:
            return options
        written: dict[str, Any] = {attribute(field): value for field, value in carrier.items()}
        if self._transaction_hash:
            written[TRANSACTION_HASH] = "&".join(f"{field}={quote(value)}" for field, value in carrier.items())
        if options:
            written.update(options)
        return written

    def read(self, details: Mapping[str, Any]) -> Context | None:
        """Return the context that came with details, ``None`` if none did.

        Args:
            details: The details of INVOCATION or EVENT.
        """
        if not details:
            return None
        propagator = self._propagator or get_global_textmap()
        fields = propagator.fields  # made anew each time it is asked for
        carrier = {}
        for field in fields:
            value = details.get(attribute(field))
            if isinstance(value, str):
                carrier[field] = value
        if not carrier and self._transaction_hash:
            text = details.get(TRANSACTION_HASH)
            if isinstance(text, str) and "=" in text and len(text) <= _LONGEST:
                carrier = {field: value for field, value in parse_qsl(text) if field in fields}
        return propagator.extract(carrier, context=Context()) if carrier else None


@cache  # there are as many as a propagator has fields
def attribute(field: str) -> str:
    """Return the custom attribute for a field of a propagator's (WAMP, "Custom Attributes"): ``_traceparent``."""
    return "_" + _NO_ATTRIBUTE.sub("_", field.lower())
