import os

from wampy import Client, callee


class Greeter(Client):
    @callee(procedure="com.example.greet")
    def greet(self, name):
        return f"Hello, {name}!"


if __name__ == "__main__":
    with Greeter(url=os.environ.get("WAMPY_URL", "ws://localhost:8080/")) as greeter:
        print("serving com.example.greet, Ctrl-C ends it")
        greeter.wait()
