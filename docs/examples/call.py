import os

from wampy import Client

with Client(url=os.environ.get("WAMPY_URL", "ws://localhost:8080/")) as client:
    print(client.call("com.example.greet", "Ada"))
    print(client.rpc.com.example.greet("Grace"))
