"""A service that comes back by itself, and says so."""

from wampy import Client, Reconnect, callee


class Steady(Client):
    @callee
    def hello(self, name):
        return f"Hello {name}"

    def on_disconnect(self, error):
        print("lost:", "left" if error is None else error)

    def on_reconnect_attempt(self, attempt):
        print("attempt", attempt)

    def on_join(self, details):
        print("joined")


def main(url="ws://localhost:8080/"):
    # Once a minute at the latest, and also when there is no router yet.
    policy = Reconnect(longest_delay=60.0, first_connection=True)
    with Steady(url, reconnect=policy) as service:
        service.wait()  # raises when there is no coming back


if __name__ == "__main__":
    main()
