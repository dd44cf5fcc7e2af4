"""Start and stop, again and again: nothing stays."""

PROGRAM = """
    import gc, json, os, sys
    import greenlet, psutil
    from wampy import Client, callee, subscribe
    from wampy.backends import get_backend

    class Service(Client):
        def __init__(self, **parameters):
            super().__init__(**parameters)
            self.heard = []

        @callee(procedure="com.example.leak")
        def leak(self, value):
            return value

        @subscribe(topic="com.example.leaked")
        def on_leaked(self, **payload):
            self.heard.append(payload)

    def measure():
        gc.collect()
        objects = gc.get_objects()
        green = [each for each in objects if isinstance(each, greenlet.greenlet) and each]
        return {
            "objects": len(objects),
            "rss": psutil.Process().memory_info().rss,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "green threads": len(green),
            "sessions": sum(type(each).__name__ == "Session" for each in gc.get_objects()),
        }

    def once(number):
        with Service(url=sys.argv[1]) as service, Client(url=sys.argv[1]) as client:
            assert client.call("com.example.leak", "x" * 1000) == "x" * 1000
            client.publish(topic="com.example.leaked", n=number, options={"acknowledge": True})

    figures = {}
    for number in range(1, 201):
        once(number)
        if number in (50, 200):
            get_backend().sleep(0.05)
            figures[number] = measure()
    print(json.dumps(figures))
"""


def test_two_hundred_times_start_and_stop(wampy_router, run_python):
    import json

    done = run_python(PROGRAM, wampy_router.url, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    early, late = figures["50"], figures["200"]
    assert late["green threads"] == early["green threads"] <= 2  # the main one and the hub
    assert late["descriptors"] == early["descriptors"]
    assert late["sessions"] == early["sessions"] == 0
    assert late["objects"] - early["objects"] < 75, "not one for each second client"
    # For what is no object of Python's. A session takes 24 KiB; the allocator's own pools fill up in steps of as many.
    assert late["rss"] - early["rss"] < 1 << 21, f"{(late['rss'] - early['rss']) / 1024:.0f} KiB more"


def test_a_hundred_starts_that_fail(run_python):
    program = """
        import gc, json, os, socket
        import greenlet
        from wampy import Client
        from wampy.backends import get_backend
        from wampy.errors import WampyError

        with socket.socket() as sock, socket.create_server(("127.0.0.1", 0)) as silent:
            sock.bind(("127.0.0.1", 0))
            refused, mute = (f"ws://127.0.0.1:{s.getsockname()[1]}/" for s in (sock, silent))
            figures = []
            for number in range(100):
                for url in (refused, mute):
                    try:
                        Client(url=url, open_timeout=0.01).start()
                    except WampyError:
                        continue
                    raise SystemExit("it started")
                if number in (9, 99):
                    get_backend().sleep(0.05)
                    gc.collect()
                    green = [e for e in gc.get_objects() if isinstance(e, greenlet.greenlet) and e]
                    figures.append((len(os.listdir("/proc/self/fd")), len(green)))
        print(json.dumps(figures))
    """
    import json

    done = run_python(program)
    assert done.returncode == 0, done.stderr
    early, late = json.loads(done.stdout)
    assert early == late
    assert late[1] <= 2
