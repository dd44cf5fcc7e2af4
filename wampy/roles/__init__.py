"""The four roles: decorators for callee and subscriber, proxies for caller and publisher."""

# Eagerly, so that `from wampy.roles import callee` gives the decorator and not the module of that name,
# whichever of them was imported first.
from wampy.roles.callee import callee
from wampy.roles.subscriber import subscribe

__all__ = ["callee", "subscribe"]
