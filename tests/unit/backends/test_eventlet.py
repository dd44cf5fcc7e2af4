"""What is eventlet's alone; the verbs are tested in test_verbs.py, on each backend."""

import pytest

from wampy.interfaces import READ, WRITE


@pytest.fixture
def backend(green):
    if green.backend.name != "eventlet":
        pytest.skip("this run is for another backend")
    return green.backend


# What Ctrl-C leaves in the hub, between two steps that belong together. A signal may come anywhere; here it comes where
# it hurts, each time.


@pytest.fixture
def hub(backend):
    import eventlet.hubs

    return eventlet.hubs.get_hub()


@pytest.fixture
def interrupt(hub, monkeypatch):
    """Let Ctrl-C come when the hub listens to a descriptor, before anybody has been told so."""

    def interrupt():
        def add(*args):
            monkeypatch.undo()
            hub.add(*args)
            raise KeyboardInterrupt

        monkeypatch.setattr(hub, "add", add)

    return interrupt


def listened_to(hub, sock):
    return [kind for kind in (hub.READ, hub.WRITE) if sock.fileno() in hub.listeners[kind]]


@pytest.mark.parametrize("direction", [READ, WRITE])
def test_a_wait_that_is_interrupted_leaves_nothing_in_the_hub(backend, pair, green, hub, interrupt, direction):
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        backend.wait(pair[0], direction, backend.monotonic() + 5)
    assert listened_to(hub, pair[0]) == []
    # And the next one is neither refused nor woken by the first.
    waiting = green.spawn(backend.wait, pair[0], READ, backend.monotonic() + 5)
    green.sleep(0.02)
    assert not waiting.done
    pair[1].send(b"x")
    assert waiting.result(2.0) is True
    assert listened_to(hub, pair[0]) == []


def test_a_wait_that_is_killed_leaves_nothing_in_the_hub(backend, pair, green, hub):
    waiting = green.spawn(backend.wait, pair[0], READ, None)
    green.sleep(0.01)
    assert listened_to(hub, pair[0]) == [hub.READ]
    waiting.kill()
    assert isinstance(waiting.error(2.0), backend.kill_error)
    assert listened_to(hub, pair[0]) == []


def test_a_watch_that_was_interrupted_when_it_wanted_to_write_is_closed_wholly(read, pair, green, hub, interrupt):
    reader, calls = read(), []
    green.sleep(0.01)
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        reader.watch.want_write(lambda: calls.append(1))
    assert listened_to(hub, pair[0]) == [hub.READ, hub.WRITE]
    reader.watch.close()
    assert listened_to(hub, pair[0]) == []
    calls.clear()
    green.sleep(0.02)
    assert calls == []


def test_a_closed_watch_leaves_its_number_to_the_next_socket(read, pair, green, hub):
    first = read()
    green.sleep(0.01)
    assert listened_to(hub, pair[0]) == [hub.READ]
    first.watch._read_listener = None  # what it knows when Ctrl-C came just before it noted this down
    first.watch.close()
    assert listened_to(hub, pair[0]) == []
    second = read()
    pair[1].send(b"for the second")
    green.wait_until(lambda: second.heard == b"for the second", 2.0)
    second.watch.close()
    assert first.turns == []


def test_a_reader_that_is_interrupted_when_it_begins_to_listen_goes_on(hub, run_python):
    # In a process of its own: it is the main green thread that gets it.
    done = run_python(
        """
        import socket
        import eventlet.hubs
        from wampy.backends import get_backend
        backend, hub = get_backend(), eventlet.hubs.get_hub()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        seen = []
        def add(*args):
            del hub.add
            hub.add(*args)
            raise KeyboardInterrupt
        hub.add = add
        watch = backend.watch(ours, lambda: seen.append(ours.recv(100)))
        try:
            backend.sleep(5)
        except KeyboardInterrupt:
            print("interrupted")
        for word in (b"one", b"two"):
            theirs.send(word)
            backend.sleep(0.05)
        print(seen)
        watch.close()
        backend.sleep(0)
        print({kind: len(of) for kind, of in hub.listeners.items()})
        """
    )
    assert done.stdout.splitlines() == ["interrupted", "[b'one', b'two']", "{'read': 0, 'write': 0}"], done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_watch_whose_closing_is_interrupted_leaves_nothing_in_the_hub(read, pair, green, hub, monkeypatch, when):
    reader = read()
    reader.watch.want_write(lambda: None)
    green.sleep(0.01)
    assert listened_to(hub, pair[0]) == [hub.READ, hub.WRITE]
    real = hub.remove

    def remove(listener):
        monkeypatch.undo()
        if when == "behind":
            real(listener)
        raise KeyboardInterrupt

    monkeypatch.setattr(hub, "remove", remove)
    with pytest.raises(KeyboardInterrupt):
        reader.watch.close()
    assert listened_to(hub, pair[0]) == []
    # That its green thread has ended, too, is for the check on what tests leave behind.
