"""What a session has registered and subscribed to, and how that comes and goes.

A role is begun, which sends its REGISTER or SUBSCRIBE, and completed, which waits for the router's word; many can be
begun before the first is completed. The reader binds a role to its id when the router acknowledges it, before it looks
at the next message.
"""

from __future__ import annotations

from typing import Any

from wampy.constants import REMEMBERED_ROLES
from wampy.exchange import Exchange
from wampy.guard import guarded
from wampy.messages import Register, Subscribe, Unregister, Unsubscribe
from wampy.protocol.pending import PendingRequest
from wampy.roles.handles import Registration, Role, Subscription


class Registry(Exchange):
    """An exchange that knows its registrations and subscriptions.

    Attributes:
        registration_map: Registration id to `Registration`.
        subscription_map: Subscription id to the `Subscription` handles that share it.
        removed: Ids of those that are gone; a delivery for one of them is late, not wrong.

    Args:
        *args: As for `Conversation`.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.registration_map: dict[int, Registration] = {}
        self.subscription_map: dict[int, list[Subscription]] = {}
        self.removed: list[int] = []
        # Roles that were just being given up when the session ended.
        self._unwanted: list[Role] = []

    @property
    def roles(self) -> list[Role]:
        """What it has, or had when it ended, registered and subscribed to."""
        subscriptions = [each for sharing in self.subscription_map.values() for each in sharing]
        return [role for role in [*self.registration_map.values(), *subscriptions] if role not in self._unwanted]

    @guarded
    def begin(self, role: Role, force: bool = False) -> PendingRequest:
        """Send the REGISTER or SUBSCRIBE of a role.

        Args:
            role: A handle that is not active.
            force: Whether to take a procedure from whoever has registered it (Crossbar's ``force_reregister``).

        Returns:
            What `complete` takes.
        """
        seconds = self.options.call_timeout
        if isinstance(role, Registration):
            options = {**role.options, "force_reregister": True} if force else role.options
            return self._request(Register(None, options, role.procedure), role.procedure, seconds, role)
        assert isinstance(role, Subscription)
        return self._request(Subscribe(None, role.options, role.topic), role.topic, seconds, role)

    @guarded
    def complete(self, pending: PendingRequest) -> Any:
        """Wait until the router has acknowledged a role.

        Args:
            pending: What `begin` gave.

        Returns:
            The handle, active now.
        """
        self._reply(pending)
        return pending.subject

    def remember_removed(self, role_id: int) -> None:
        """Note the id of a role that is gone, or was never ours to keep."""
        self.removed.append(role_id)
        if len(self.removed) > REMEMBERED_ROLES:
            del self.removed[0]

    def add_registration(self, registration: Registration, registration_id: int) -> None:
        """Bind a registration to its id; from here on invocations reach it."""
        registration.id = registration_id
        self.registration_map[registration_id] = registration

    def add_subscription(self, subscription: Subscription, subscription_id: int) -> None:
        """Bind a subscription to its id, which it may share."""
        subscription.id = subscription_id
        sharing = self.subscription_map.setdefault(subscription_id, [])
        if subscription not in sharing:
            sharing.append(subscription)

    def remove_registration(self, registration_id: int) -> Registration | None:
        """Forget a registration that the router has removed."""
        registration = self.registration_map.pop(registration_id, None)
        if registration is not None:
            registration.id = None
            self.remember_removed(registration_id)
        return registration

    def remove_subscription(self, subscription_id: int) -> list[Subscription]:
        """Forget all handles of a subscription that the router has removed."""
        sharing = self.subscription_map.pop(subscription_id, [])
        for subscription in sharing:
            subscription.id = None
        if sharing:
            self.remember_removed(subscription_id)
        return sharing

    def forget(self, role: Role) -> None:
        """Drop a handle whose role the router says it does not have."""
        if role.id is None:
            return
        if isinstance(role, Registration):
            self.remove_registration(role.id)
        else:
            self.remove_subscription(role.id)

    def give_back(self, role: Role, role_id: int) -> None:
        """Undo a role that the router has acknowledged, but nobody has waited for that."""
        role.id = None
        self.remember_removed(role_id)
        if isinstance(role, Registration):
            self.registration_map.pop(role_id, None)
            self._tell(Unregister(None, role_id), role.procedure, None)
            return
        assert isinstance(role, Subscription)
        sharing = self.subscription_map.get(role_id, [])
        if role in sharing:
            sharing.remove(role)
        if not sharing and not self._being_subscribed(role):
            self.subscription_map.pop(role_id, None)
            self._tell(Unsubscribe(None, role_id), role.topic, None)

    def _abandon(self, pending: PendingRequest) -> None:
        super()._abandon(pending)
        role = pending.subject
        if pending.code in (Register.WAMP_CODE, Subscribe.WAMP_CODE) and role is not None and role.id is not None:
            self.give_back(role, role.id)  # acknowledged in the moment in which its asker was killed

    def _being_subscribed(self, to: Subscription) -> bool:
        wanted = (to.topic, to.options.get("match", "exact"))
        asked = (p.subject for p in self.pending if p.code == Subscribe.WAMP_CODE and not p.given_up)
        return any((s.topic, s.options.get("match", "exact")) == wanted for s in asked)

    @guarded
    def drain(self, seconds: float) -> None:
        """Take all roles back and let what they have begun end; waits. Without a session there is nothing to do.

        Args:
            seconds: How long that may take.
        """
        if not self.established:
            return
        self._check_may_block()
        deadline = self._deadline(seconds)
        for registration_id, registration in self.registration_map.items():
            self._tell(Unregister(None, registration_id), registration.procedure, registration)
        for subscription_id, sharing in self.subscription_map.items():
            self._tell(Unsubscribe(None, subscription_id), sharing[0].topic, sharing[0])
        # Until the router's word has come there may be invocations on their way.
        for pending in self.pending:
            if pending.code in (Unregister.WAMP_CODE, Unsubscribe.WAMP_CODE):
                pending.slot.wait(self._remaining(deadline))
        self.workers.drain(self._remaining(deadline))

    def _settle_all(self, error: Exception) -> None:
        ends = (Unregister.WAMP_CODE, Unsubscribe.WAMP_CODE)
        self._unwanted = [p.subject for p in self.pending if p.code in ends and p.subject is not None]
        super()._settle_all(error)

    def _on_lost(self, error: Exception) -> None:
        for registration in self.registration_map.values():
            registration.id = None
        for sharing in self.subscription_map.values():
            for subscription in sharing:
                subscription.id = None
        super()._on_lost(error)
