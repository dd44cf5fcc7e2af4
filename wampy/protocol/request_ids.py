"""Request ids of session scope: from 1, one more for each request, one counter (WAMP, "IDs")."""

from __future__ import annotations

from wampy.constants import MAX_ID


class RequestIds:
    """The counter. `peek` and `commit` are two steps, so that a request that fails leaves no gap.

    Attributes:
        following: The id that the next request will have.
    """

    __slots__ = ("_wrapped", "following")

    def __init__(self) -> None:
        self.following = 1
        self._wrapped = False

    def peek(self) -> int:
        """Return the id that the next request will have."""
        return self.following

    def commit(self) -> None:
        """Use up the id that `peek` gave."""
        self.following += 1
        if self.following > MAX_ID:
            self.following = 1
            self._wrapped = True

    def take_back(self, request_id: int) -> None:
        """Make an id that `commit` has just used up the next one again: it was not sent after all."""
        self.following = request_id

    def issued(self, request_id: int) -> bool:
        """Say whether an id has been used in this session."""
        return 0 < request_id < self.following or (self._wrapped and 0 < request_id <= MAX_ID)

    def __iter__(self) -> RequestIds:
        return self

    def __next__(self) -> int:
        request_id = self.following
        self.commit()
        return request_id
