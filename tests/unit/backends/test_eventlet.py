"""What is eventlet's alone; the verbs are tested in test_verbs.py, on each backend."""

import pytest
from greenlet import getcurrent, greenlet

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


# Readers, which watches share.


@pytest.fixture
def watch(backend):
    import socket

    made = []

    def watch(on_readable):
        """Watch one end of a pair, whose other end is returned."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        made.append((backend.watch(ours, lambda: on_readable(ours.recv(100))), ours, theirs))
        return theirs

    yield watch
    for each, ours, theirs in made:
        each.close()
        ours.close()
        theirs.close()


def test_two_watches_have_one_reader(watch, green):
    readers = []
    ends = [watch(lambda _data: readers.append(getcurrent())) for _ in range(2)]
    for end in ends * 2:
        end.send(b"x")
        green.sleep(0.01)
    assert len(readers) == 4 and len(set(readers)) == 1


def test_a_reader_that_blocks_does_not_keep_others_from_reading(watch, green, backend):
    heard, gate = [], backend.slot()
    blocking = watch(lambda data: (heard.append(data), gate.wait(2.0)))
    other = watch(heard.append)
    blocking.send(b"blocks")
    green.sleep(0.01)
    other.send(b"is read")
    green.sleep(0.01)
    assert heard == [b"blocks", b"is read"]
    gate.set()
    blocking.send(b"again")
    green.sleep(0.01)
    assert heard == [b"blocks", b"is read", b"again"]


def test_what_is_thrown_into_a_parked_reader_costs_no_message(watch, green, hub, capfd):
    heard, readers = [], []
    end = watch(lambda data: (heard.append(data), readers.append(getcurrent())))
    end.send(b"one")
    green.sleep(0.01)
    hub.schedule_call_global(0, readers[0].throw, RuntimeError("a timeout that a handler forgot"))
    hub.schedule_call_global(0, readers[0].switch, "what for?")
    green.sleep(0.01)
    end.send(b"two")
    green.sleep(0.01)
    assert heard == [b"one", b"two"] and readers[0] is readers[1]
    assert "a timeout that a handler forgot" in capfd.readouterr().err


def test_nothing_is_parked_when_the_last_watch_is_closed(backend, green, pair):
    readers = []
    watched = backend.watch(pair[0], lambda: (pair[0].recv(100), readers.append(getcurrent())))
    pair[1].send(b"x")
    green.sleep(0.01)
    assert not readers[0].dead
    watched.close()
    green.sleep(0.01)
    assert readers[0].dead


# How those who wait are woken.


@pytest.mark.usefixtures("backend")
def test_who_waits_is_woken_in_order_and_the_main_program_last(run_python):
    done = run_python(
        """
        import eventlet
        from wampy.backends import get_backend
        backend, order = get_backend(), []
        slots = [backend.slot() for _ in range(4)]
        def wait(number):
            slots[number].wait()
            order.append(number)
        for number in (1, 2, 3):
            backend.spawn(wait, number)
        def fill():
            for slot in slots:
                slot.set()
            backend.spawn(order.append, "what they wrote")
        backend.call_later(0.01, fill)
        wait(0)
        print(order)
        """
    )
    assert done.stdout.splitlines() == ["[1, 2, 3, 'what they wrote', 0]"], done.stderr


def test_one_that_raises_when_it_is_woken_does_not_keep_the_next_asleep(backend, green, hub, capfd):
    slots, woken = [backend.slot() for _ in range(3)], []

    def wait(number):
        slots[number].wait()
        woken.append(number)
        if number == 0:
            raise RuntimeError("nobody catches it")

    for number in range(3):
        hub.schedule_call_global(0, greenlet(wait, hub.greenlet).switch, number)
    green.sleep(0.01)
    for slot in slots:
        slot.set()
    green.wait_until(lambda: woken == [0, 1, 2], 2.0)
    assert "nobody catches it" in capfd.readouterr().err


# What our waits do themselves instead of calling `hub.switch`.


def test_the_hubs_switch_sees_to_nothing_else(backend):
    # Slots and readers switch to `hub.greenlet` when there is none of this to see to. If eventlet adds anything to it,
    # that belongs there as well.
    from eventlet.hubs.hub import BaseHub

    names = {"greenlet", "getcurrent", "getattr", "switch_out", "squelch_generic_exception", "sys", "exc_info"}
    names |= {"ensure_greenlet", "parent", "ValueError", "switch"}
    code = BaseHub.switch.__code__
    assert {*code.co_names, *code.co_varnames} - {"self", "cur"} == names
    assert {*BaseHub.ensure_greenlet.__code__.co_names} == {"greenlet", "dead", "run", "parent"}


def test_no_hub_switches_in_a_way_of_its_own(hub):
    assert type(hub).switch is type(hub).__mro__[-2].switch


def test_a_green_thread_that_is_nobodys_child_becomes_the_hubs(backend, green, hub):
    # As with `hub.switch`: when it ends, the hub goes on, and not whoever has made it.
    slot, parents = backend.slot(), []

    def wait():
        slot.wait()
        parents.append(getcurrent().parent)

    assert getcurrent().parent is None
    hub.schedule_call_global(0, greenlet(wait, getcurrent()).switch)
    green.sleep(0.01)
    slot.set()
    green.sleep(0.01)
    assert parents == [hub.greenlet]


def test_a_console_of_eventlets_is_told_when_it_is_switched_out(backend, green, hub):
    told, slot = [], backend.slot()

    class Console(greenlet):  # as in `eventlet.backdoor`
        def switch_out(self):
            told.append(self)

    console = Console(slot.wait, hub.greenlet)
    hub.schedule_call_global(0, console.switch)
    green.sleep(0.01)
    assert told == [console] and not console.dead
    slot.set()
    green.sleep(0.01)
    assert console.dead


def test_who_waits_in_the_hub_is_told_so(backend, green, hub, capfd):
    hub.schedule_call_global(0, backend.slot().wait)
    green.sleep(0.01)
    assert "Cannot switch to MAINLOOP" in capfd.readouterr().err
