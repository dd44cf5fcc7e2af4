"""Writing: whole frames whoever sends, room, corking, and the end, over a real socket."""

import select
import socket
import sys
import time

import pytest

from wampy.errors import ConnectionClosed, WampyError
from wampy.transports import stream
from wampy.transports import writer as writer_module
from wampy.transports.writer import FIRST_BYTES, FIRST_MESSAGES, HIGH_WATER

SMALL = 4096
FILLER = 65536


def text(name, size):
    return f'"{name}:{"x" * size}"'.encode()


def fill(opened):
    """Send until the kernel and our own buffer have no room."""
    # A kernel that chooses the size of its buffer takes more and more, also some time later. With one of a fixed size
    # it is only what the router's side has still room for, which is less than one message.
    opened.transport._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FILLER)
    count = 0
    while opened.transport.unwritten <= HIGH_WATER + FILLER:
        opened.transport.send(text("filler", FILLER))
        count += 1
    return count


def test_large_messages_to_a_slow_reader_arrive_whole_and_in_order(connect, green):
    opened = connect(receive_buffer=SMALL)
    sizes = [500_000, 0, 1, 1_000_000, 125, 65536]
    for number, size in enumerate(sizes):
        opened.transport.send(text(number, size))
    for number, size in enumerate(sizes):
        assert opened.peer.hear() == f"{number}:{'x' * size}"


def test_a_sender_killed_in_the_middle_tears_no_frame(connect, green, backend):
    opened = connect(receive_buffer=SMALL)

    def send(number):
        opened.transport.wait_for_room(None)
        opened.transport.send(text(number, 100_000))
        green.sleep(0.05)

    senders = [green.spawn(send, number) for number in range(30)]
    green.wait_until(lambda: all(each.begun for each in senders))
    for sender in senders[::3]:
        sender.kill()
    green.sleep(0)
    heard = []
    expected = set(range(30)) - set(range(0, 30, 3))
    while not expected <= {int(each.split(":")[0]) for each in heard}:
        heard.append(opened.peer.hear())
    assert all(len(each.split(":")[1]) == 100_000 for each in heard)
    for sender in senders:
        sender.error()


def test_there_is_room_at_first(connect, backend):
    opened = connect()
    assert opened.transport.wait_for_room(backend.monotonic() + 1)
    assert opened.transport.wait_for_room(None)


def test_a_look_says_whether_there_is_room(connect, green):
    opened = connect(start=False, receive_buffer=SMALL)
    assert not opened.transport.has_room, "it is not open yet"
    opened.start()
    assert opened.transport.has_room
    count = fill(opened)
    assert not opened.transport.has_room
    waiting = green.spawn(opened.transport.wait_for_room, None)
    green.wait_until(lambda: opened.transport._writer.room_waiters)
    for _ in range(count):
        opened.peer.hear()
    waiting.result()
    green.wait_until(lambda: opened.transport.has_room)
    opened.transport.close(0.0)
    assert not opened.transport.has_room
    green.wait_until(lambda: opened.lost)
    assert not opened.transport.has_room


def test_who_comes_while_others_wait_for_room_has_none(connect, green, backend):
    opened = connect(receive_buffer=SMALL)
    fill(opened)
    waiting = green.spawn(opened.transport.wait_for_room, None)
    green.wait_until(lambda: opened.transport._writer.room_waiters)

    def make_room():
        opened.transport._writer.outgoing.drop()
        return opened.transport.has_room

    assert backend.inside(make_room) is False
    opened.transport.close(0.0)
    waiting.error()


def test_waiting_for_room_ends_when_there_is_some(connect, green):
    opened = connect(receive_buffer=SMALL)
    count = fill(opened)
    waiting = [green.spawn(opened.transport.wait_for_room, None) for _ in range(3)]
    green.wait_until(lambda: all(each.begun for each in waiting))
    green.sleep(0.02)
    assert not any(each.done for each in waiting)
    for _ in range(count):
        opened.peer.hear()
    assert [each.result() for each in waiting] == [True, True, True]


def test_waiting_for_room_ends_at_the_deadline(connect, backend):
    opened = connect(receive_buffer=SMALL)
    fill(opened)
    assert opened.transport.wait_for_room(backend.monotonic() + 0.03) is False
    assert opened.transport.wait_for_room(backend.monotonic() - 1) is False
    assert opened.lost == []


def test_one_that_was_woken_does_not_overfill_the_buffer_with_the_others(connect, green):
    opened = connect(receive_buffer=SMALL)
    count = fill(opened)
    sizes = []

    def send():
        opened.transport.wait_for_room(None)
        opened.transport.send(text("big", HIGH_WATER))
        sizes.append(opened.transport.unwritten)

    senders = [green.spawn(send) for _ in range(5)]
    for _ in range(count + 5):
        opened.peer.hear()
    for sender in senders:
        sender.result()
    assert max(sizes) < 3 * HIGH_WATER


@pytest.mark.parametrize("how", ["drop", "close"])
def test_who_waits_for_room_hears_of_the_end(connect, green, how):
    opened = connect(receive_buffer=SMALL)
    fill(opened)
    waiting = green.waiting(opened.transport.wait_for_room, None)
    green.sleep(0.01)
    assert not waiting.done
    if how == "drop":
        opened.peer.drop(reset=True)
    else:
        opened.transport.close(0.0)
    assert isinstance(waiting.error(2.0), ConnectionClosed)


def test_the_reader_cannot_wait_for_room(connect, green):
    opened, errors = connect(receive_buffer=SMALL), []
    fill(opened)

    def react(_payloads):
        try:
            opened.transport.wait_for_room(None)
        except WampyError as error:
            errors.append(str(error))

    opened.react = react
    opened.peer.say("x")
    green.wait_until(lambda: errors)
    assert "spawn_worker" in errors[0]
    assert opened.lost == []


def test_answers_of_one_turn_leave_in_one_piece(connect, green):
    opened = connect()
    opened.react = lambda payloads: [opened.transport.send(b'"answer"') for _ in payloads]
    opened.peer.say(*["question"] * 10)
    green.wait_until(lambda: opened.payloads)
    green.sleep(0.01)
    data = opened.peer.read()
    assert len(data) == 10 * (2 + 4 + 8), "all ten, with header and mask"


def test_what_a_turn_wakes_up_writes_in_the_same_piece(connect, green, backend):
    opened, woken = connect(), backend.slot()

    def waits():
        woken.wait()
        opened.transport.send(b'"of a worker"')

    waiting = green.waiting(waits)
    opened.react = lambda payloads: (opened.transport.send(b'"answer"'), woken.set())
    opened.peer.say("question")
    waiting.result()
    green.sleep(0.01)
    assert len(opened.peer.read()) == (6 + 8) + (6 + 13)


@pytest.fixture
def take_turn(backend, monkeypatch):
    """Have a turn of the reader here and now, with what the peer says, and then call a function, in one go."""
    # However slow this machine is just now.
    monkeypatch.setattr(writer_module, "CORK_SECONDS", 60.0)

    def take_turn(opened, words, function):
        def turn():
            if words:
                opened.peer.say(*words)
                assert select.select([opened.transport._stream.socket], [], [], 10)[0]
            opened.transport._on_readable()
            return function()

        return backend.inside(turn)

    return take_turn


def test_a_turn_that_brings_nothing_does_not_end_what_an_earlier_one_holds_back(connect, take_turn):
    # A hub may look at the socket once more before the reader runs that it has queued.
    opened = connect()

    def write():
        opened.transport.send(b'"held back"')
        return opened.transport.unwritten

    def second_turn():
        return take_turn(opened, [], write)

    assert take_turn(opened, ["one", "two"], second_turn) > 0
    assert opened.payloads == ["one", "two"]
    assert opened.peer.hear() == "held back"


def test_a_turn_that_brings_nothing_holds_nothing_back_by_itself(connect, take_turn):
    opened = connect()

    def write():
        opened.transport.send(b'"at once"')
        return opened.transport.unwritten

    assert take_turn(opened, [], write) == 0
    assert opened.peer.hear() == "at once"


def test_the_first_that_those_write_whom_a_turn_wakes_leave_before_the_rest(connect, take_turn):
    opened = connect()

    def write():
        waiting = []
        for number in range(4 * FIRST_MESSAGES):
            opened.transport.send(text(number, 10))
            waiting.append(opened.transport.unwritten)
        return waiting

    waiting = take_turn(opened, ["one", "two"], write)
    assert [number for number, size in enumerate(waiting, 1) if not size] == [FIRST_MESSAGES]
    for number in range(4 * FIRST_MESSAGES):
        assert opened.peer.hear() == f"{number}:{'x' * 10}"


def test_large_ones_are_not_held_back(connect, take_turn):
    opened = connect()

    def write():
        opened.transport.send(text("small", 10))
        before = opened.transport.unwritten
        opened.transport.send(text("large", FIRST_BYTES))
        return before, opened.transport.unwritten

    before, after = take_turn(opened, ["one", "two"], write)
    assert before > 0 and after == 0
    assert opened.peer.hear().startswith("small") and opened.peer.hear().startswith("large")


def test_after_a_write_error_what_the_router_said_is_still_read(connect, green):
    opened = connect()
    opened.peer.say("one", "two")
    opened.peer.drop(reset=True)
    # The socket is broken, and nobody has read yet.
    opened.transport.send(text("lost", 100))
    assert opened.lost == [], "the reader tells of it, later"
    green.wait_until(lambda: opened.lost)
    assert opened.payloads == ["one", "two"]
    with pytest.raises(ConnectionClosed):
        opened.transport.wait_for_room(None)


def test_after_a_write_error_the_router_is_heard_to_the_end(connect, green, monkeypatch):
    for name in ("READ_SIZE", "LARGE_READ_SIZE"):
        monkeypatch.setattr(stream, name, 16)  # many turns of the reader
    opened = connect()
    words = [f"word {number}" for number in range(50)]
    opened.peer.say(*words)
    opened.peer.drop(reset=True)
    opened.transport.send(text("lost", 100))
    green.wait_until(lambda: opened.lost)
    assert opened.payloads == words


def test_after_a_write_error_the_loss_is_told_without_another_word(connect, green):
    opened = connect(receive_buffer=SMALL)
    fill(opened)
    opened.peer.drop(reset=True)
    green.wait_until(lambda: opened.lost, 2.0)


def test_last_words_leave_before_the_end(connect, green):
    opened = connect()
    opened.transport.send(b'"goodbye"')
    opened.transport.close(0.0)
    green.wait_until(lambda: opened.lost)
    assert opened.peer.hear() == "goodbye"


def test_waiting_for_a_router_that_does_not_read_costs_nothing(connect, green, backend):
    opened = connect(receive_buffer=SMALL)
    fill(opened)
    before = time.process_time()
    opened.transport.wait_for_room(backend.monotonic() + 0.3)
    assert time.process_time() - before < 0.1


def test_when_all_is_written_nobody_asks_for_room_any_more(connect, green):
    opened = connect(receive_buffer=SMALL)
    for _ in range(fill(opened)):
        opened.peer.hear()
    green.wait_until(lambda: not opened.transport._writer.outgoing.wire)
    before = time.process_time()
    green.sleep(0.3)
    assert time.process_time() - before < 0.1
    opened.transport.send(b'"and it still writes"')
    assert opened.peer.hear() == "and it still writes"


# Over TLS, which may break in the hands of whoever writes.

CORRUPT = b"\x17\x03\x03\x00\x20" + b"A" * 32


def take_natively(sock):
    """Take what the other side has written, with no green thread let in between."""
    while select.select([sock], [], [], 0.05)[0]:
        sock.recv(1 << 20)


def test_a_corrupt_record_before_bytes_that_wait_to_be_sealed_is_one_loss(connect_by_tls, green, capfd):
    opened, tls = connect_by_tls(receive_buffer=SMALL)
    fill(opened)
    assert len(opened.transport._writer.outgoing.wire) < opened.transport.unwritten, "all is sealed"
    waiting = [green.spawn(opened.transport.wait_for_room, None) for _ in range(3)]
    green.wait_until(lambda: all(each.begun for each in waiting))
    # The reader finds that TLS is broken; and then there is room, so that the next bytes are to be sealed.
    tls.wire(CORRUPT)
    opened.transport.poke()
    take_natively(opened.peer.sock)
    assert [type(each.error(3.0)) for each in waiting] == [ConnectionClosed] * 3
    green.wait_until(lambda: opened.lost, 3.0)
    assert "TLS" in str(opened.lost[0])
    with pytest.raises(ConnectionClosed):
        opened.transport.send(b'"late"')
    green.sleep(0.02)
    assert capfd.readouterr().err == ""


def test_a_corrupt_record_ends_a_session_with_many_senders_once(over_tls, green, capfd, caplog):
    from wampy import Client

    told = []

    class Told(Client):
        def on_disconnect(self, error):
            told.append(error)

    client = Told(over_tls.url, **over_tls.options, close_timeout=1.0, reconnect=False)
    joining = green.spawn(client.start)
    tls = over_tls(receive_buffer=SMALL)
    tls.peer.shake_hands()
    tls.peer.welcome()
    joining.result()
    session = client.session

    def publish():
        while True:
            session.publish("com.example.topic", ["x" * 200_000])

    senders = [green.spawn(publish) for _ in range(5)]
    green.wait_until(lambda: all(each.begun for each in senders))
    green.sleep(0.02)
    assert not any(each.done for each in senders)
    tls.wire(CORRUPT)
    assert [type(each.error(3.0)) for each in senders] == [ConnectionClosed] * 5
    with pytest.raises(ConnectionClosed):
        client.wait(3.0)
    before = time.monotonic()
    client.stop()
    assert time.monotonic() - before < 1.0
    assert [type(error) for error in told] == [ConnectionClosed]
    assert [record.levelname for record in caplog.records] == ["ERROR"], "the one record of the loss"
    assert capfd.readouterr().err == ""


# The line.


def test_senders_get_room_in_turn(connect, green):
    # A green thread that sends on and on is first to see that there is room, each time.
    opened = connect(receive_buffer=SMALL)
    count = fill(opened)
    sent = []

    def send(name):
        for _ in range(10):
            opened.transport.wait_for_room(None)
            opened.transport.send(text(name, 300_000))
            sent.append(name)

    senders = [green.spawn(send, name) for name in "abc"]
    green.wait_until(lambda: len(opened.transport._writer.room_waiters) == 3)
    for _ in range(count + 30):
        opened.peer.hear()
    for sender in senders:
        sender.result()
    order = "".join(sent)
    assert sorted(order[:3]) == ["a", "b", "c"], order
    assert order == order[:3] * 10, order


def test_who_gives_up_leaves_the_line_and_lets_the_next_one_go_on(connect, green, backend):
    opened = connect(receive_buffer=SMALL)
    count = fill(opened)
    writer = opened.transport._writer
    for _ in range(5):
        assert opened.transport.wait_for_room(backend.monotonic() + 0.01) is False
    assert not writer.room_waiters, "they stay, and there are more and more"
    late = green.spawn(opened.transport.wait_for_room, backend.monotonic() + 0.05)
    green.wait_until(lambda: len(writer.room_waiters) == 1)
    killed = green.spawn(opened.transport.wait_for_room, None)
    green.wait_until(lambda: len(writer.room_waiters) == 2)
    patient = green.spawn(opened.transport.wait_for_room, None)
    green.wait_until(lambda: len(writer.room_waiters) == 3)
    killed.kill()
    assert killed.error() is not None
    assert late.result() is False
    for _ in range(count):
        opened.peer.hear()
    assert patient.result() is True
    assert not writer.room_waiters


def interrupt_at(number):
    """Raise KeyboardInterrupt at the so many-th end of a call of this thread: a signal gets in behind calls."""
    left = number

    def count(frame, event, argument):
        nonlocal left
        left -= event in ("return", "c_return")
        if left == 0:
            raise KeyboardInterrupt

    sys.setprofile(count)


@pytest.mark.usefixtures("all_is_burst")
@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("waiting", [0, 3], ids=["with nothing in front of it", "with some in front of it"])
def test_ctrl_c_anywhere_in_a_send_tears_nothing_and_sends_nothing_twice(connect, green, backend, size, waiting):
    if backend.name == "threading":
        pytest.skip(
            "a profile function that raises has made the main thread spin when there is a timer thread; why is open"
        )
    opened = connect()
    transport, writer = opened.transport, opened.transport._writer
    sent, unsure = [], []

    def send(number):
        """Send a message, interrupted at a certain place; say whether it was."""
        writer.in_turn = True
        for each in range(waiting):
            sent.append(f"{number} in front {each}:{'x' * size}")
            transport.send(text(f"{number} in front {each}", size))
        writer.in_turn, writer._sent_at = False, backend.monotonic()
        message = f"{number}:{'x' * size}"
        try:
            interrupt_at(number)
            transport.send(text(number, size))
            sys.setprofile(None)
        except KeyboardInterrupt:
            unsure.append(message)
            return True
        sent.append(message)
        return False

    # In one piece, as a session does it: OS threads would write in the middle of it.
    number = 1
    while backend.inside(send, number):
        number += 1
        green.sleep(0)
    assert len(unsure) > 10, "it was interrupted hardly anywhere"
    backend.inside(transport.send, b'"the end"')
    heard = []
    while not heard or heard[-1] != "the end":
        heard.append(opened.peer.hear())
    assert len(set(heard)) == len(heard), "something was sent twice"
    assert [each for each in heard if each not in unsure] == [*sent, "the end"]
    green.wait_until(lambda: not writer._writing_wanted)
    green.wait_until(lambda: not writer._push_is_due)
    assert writer.outgoing.size == 0, "who sends is let in with more than there is room for, from now on"


# Bursts, in which the kernel may wait for more.


@pytest.fixture
def arrives(backend):
    """Say how many bytes lie in a peer's socket, after `seconds` in which nothing else runs."""
    if not backend.switches_only_in_waits or not hasattr(socket, "MSG_MORE"):
        pytest.skip("the kernel is asked to wait on Linux only, and for green threads only")

    def arrives(opened, seconds):
        time.sleep(seconds)
        try:
            return len(opened.peer.sock.recv(1_000_000, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return 0

    return arrives


@pytest.fixture
def all_is_burst(monkeypatch):
    """However slow this machine is just now."""
    monkeypatch.setattr(writer_module, "BURST_SECONDS", 60.0)


@pytest.mark.usefixtures("all_is_burst")
def test_the_first_of_a_burst_leaves_at_once_and_the_rest_without_the_sender_waiting(connect, arrives, green):
    opened = connect()
    green.sleep(0.01)
    for number in range(5):
        opened.transport.send(text(number, 10))
    size = len(text(0, 10)) + 6
    assert arrives(opened, 0.02) == size
    # The kernel's own limit is a fifth of a second.
    deadline = time.monotonic() + 5
    while arrives(opened, 0.05) < 5 * size and time.monotonic() < deadline:
        pass
    assert arrives(opened, 0) == 5 * size


@pytest.mark.usefixtures("all_is_burst")
def test_a_burst_has_left_when_the_sender_waits(connect, arrives, green):
    opened = connect()
    for number in range(5):
        opened.transport.send(text(number, 10))
    green.sleep(0)
    green.sleep(0)
    assert arrives(opened, 0.01) == 5 * (len(text(0, 10)) + 6)


def test_messages_that_are_no_burst_leave_one_by_one(connect, arrives):
    opened = connect()
    for number in range(1, 5):
        opened.transport.send(text(number, 10))
        assert arrives(opened, 0.01) == number * (len(text(0, 10)) + 6)
