"""The pure part of a session: states, request ids, pending requests. No I/O, no clock, no green thread."""
