"""The reader's turn, and the end, over a real socket; what is written is in test_writer.py."""

import os
import time

import pytest

from wampy.errors import ConnectionClosed
from wampy.interfaces import Transport
from wampy.transports.connection import READ_SIZE


def test_the_reader_knows_itself(connect, green):
    opened, seen = connect(), []
    opened.react = lambda payloads: seen.append(opened.transport.in_reader)
    opened.peer.say("x")
    green.wait_until(lambda: seen)
    assert seen == [True]
    assert not opened.transport.in_reader


def test_an_exception_of_the_receiver_ends_it(connect, green, caplog):
    opened = connect()

    def react(_payloads):
        raise ValueError("not the session's way")

    opened.react = react
    opened.peer.say("x")
    green.wait_until(lambda: opened.lost)
    assert isinstance(opened.lost[0], ConnectionClosed)
    assert isinstance(opened.lost[0].__cause__, ValueError)
    assert "reader" in caplog.text


def test_closing_before_connecting(make_transport, backend):
    transport = make_transport()
    transport.close(1.0)
    with pytest.raises(ConnectionClosed):
        transport.wait_for_room(None)
    with pytest.raises(ConnectionClosed):
        transport.send(b"[]")


def test_in_the_reader_there_never_is_room(connect, green):
    # Who finds that there is room does not ask whether it is in the reader.
    opened, seen = connect(start=False), []
    transport = opened.transport

    def look(_):
        seen.append((transport.in_reader, transport.has_room))

    def hear(error):
        look(error)
        opened.lost.append(error)

    opened.react = look
    transport.start(opened._on_payloads, hear)
    opened.peer.say("one")
    green.wait_until(lambda: seen)
    green.wait_until(lambda: transport.has_room)
    opened.peer.drop()
    green.wait_until(lambda: opened.lost)
    assert seen == [(True, False), (True, False)]


def test_sending_before_connecting(make_transport):
    with pytest.raises(ConnectionClosed, match="never opened"):
        make_transport().send(b"[]")


def test_closing_while_connecting_ends_that(make_transport, router, backend, green):
    transport = make_transport()
    connecting = green.spawn(transport.connect, backend.monotonic() + 30)
    peer = router.accept(handshake=False)
    green.sleep(0.01)
    transport.close(1.0)
    assert isinstance(connecting.error(2.0), ConnectionClosed)
    assert peer.read() != b""  # the request
    assert peer.read() == b""


def test_a_poke_looks_once_more(connect, green):
    opened = connect()
    opened.transport.poke()
    green.sleep(0.01)
    assert opened.batches == []
    assert opened.lost == []


def test_a_reset_with_something_left_to_read_tells_that_first(connect, green):
    opened = connect(start=False)
    opened.peer.say("one", "two")
    opened.peer.drop(reset=True)
    green.sleep(0.01)
    opened.start()
    green.wait_until(lambda: opened.lost)
    assert opened.payloads == ["one", "two"]


@pytest.mark.parametrize("rawsocket", [False, True])
def test_reads_are_counted_by_what_came_in(connect, green, rawsocket):
    opened = connect(rawsocket=rawsocket)
    before = opened.transport.reads
    opened.transport.poke()
    green.sleep(0.01)
    assert opened.transport.reads == before, "nothing came in"
    opened.peer.raw(b"\0")  # a part of a frame, whichever the framing
    green.wait_until(lambda: opened.transport.reads == before + 1)
    assert opened.payloads == []


def started_with_turns_counted(opened):
    """Start a transport; gives a list of how many reads there had been at the beginning of each of its turns."""
    turns, on_readable = [], opened.transport._on_readable

    def turn():
        turns.append(opened.transport.reads)
        on_readable()

    opened.transport._on_readable = turn
    opened.start()
    return turns


@pytest.mark.parametrize("rawsocket", [False, True], ids=["websocket", "rawsocket"])
@pytest.mark.parametrize("behind", [0, 1], ids=["alone", "with a part of another behind it"])
def test_a_long_message_that_lies_there_is_read_in_one_turn(connect, green, rawsocket, behind):
    opened, message = connect(start=False, rawsocket=rawsocket), "x" * (READ_SIZE + 10_000)
    opened.peer.say(message)
    opened.peer.raw(b"\0" * behind)  # the beginning of a header, for the RawSocket
    green.sleep(0.05)
    turns = started_with_turns_counted(opened)
    green.wait_until(lambda: opened.batches)
    said = [str(payload, "utf-8") if isinstance(payload, bytearray) else payload for payload in opened.payloads]
    assert said == [message]
    assert opened.transport.reads == 2
    assert 1 not in turns, "it took another turn"


@pytest.mark.parametrize("more", [0, 1], ids=["nothing there yet", "a little there"])
def test_a_turn_reads_on_once_at_most(connect, green, more):
    opened = connect(start=False, rawsocket=True)
    opened.peer.raw((10 * READ_SIZE).to_bytes(4, "big") + b"x" * (READ_SIZE - 4 + more))
    green.sleep(0.05)
    turns = started_with_turns_counted(opened)
    green.wait_until(lambda: turns)
    green.sleep(0.01)
    assert (opened.batches, opened.lost, opened.transport.reads) == ([], [], 1 + more)
    opened.peer.raw(b"x" * (9 * READ_SIZE + 4 - more))
    green.wait_until(lambda: opened.batches)
    assert opened.payloads == [b"x" * (10 * READ_SIZE)]


def test_an_end_behind_a_part_of_a_long_message_is_told(connect, green):
    opened = connect(start=False, rawsocket=True)
    opened.peer.raw((10 * READ_SIZE).to_bytes(4, "big") + b"x" * (READ_SIZE - 4))
    opened.peer.drop()
    green.sleep(0.05)
    opened.start()
    green.wait_until(lambda: opened.lost)
    assert "in the middle of a message" in str(opened.lost[0])
    assert opened.batches == []


def test_its_turn_is_known_while_it_lasts(connect, green):
    opened, seen = connect(), []
    opened.react = lambda payloads: seen.append(opened.transport.is_reading)
    opened.peer.say("x")
    green.wait_until(lambda: seen)
    assert seen == [True]
    assert not opened.transport.is_reading


# Heartbeats, whatever the framing; see test_heartbeat.py for when.


@pytest.fixture(params=[False, True], ids=["websocket", "rawsocket"])
def pinging(request, connect):
    """Connect a transport that pings, over either framing."""
    return lambda **options: connect(
        **{"rawsocket": request.param, "rawsocket_ping": True, "heartbeat": 0.05, "heartbeat_timeout": 0.1} | options
    )


def test_a_dead_connection_is_lost_once_and_closed(pinging, green):
    opened = pinging()
    opened.peer.answers = False
    green.wait_until(lambda: opened.lost, 5.0)
    assert type(opened.lost[0]) is ConnectionClosed
    assert not opened.lost[0].clean
    assert opened.transport._heartbeat._timer is None, "a timer is left"
    green.sleep(0.2)
    assert len(opened.lost) == 1
    while opened.peer.read():
        pass  # the pings; the end of the stream comes after them


def test_who_waits_for_room_hears_of_a_dead_connection(pinging, green):
    opened = pinging(receive_buffer=4096)
    while opened.transport.unwritten <= 5_000_000:  # more than the kernel takes later
        opened.transport.send(b'"' + b"x" * 65_536 + b'"')
    waiting = green.spawn(opened.transport.wait_for_room, None)
    error = waiting.error(5.0)
    assert isinstance(error, ConnectionClosed)
    assert "heartbeat_timeout" in str(error)


def test_a_handler_that_keeps_the_reader_is_no_dead_router(pinging, green):
    opened, release = pinging(), green.slot()
    opened.react = lambda payloads: release.wait(5.0)
    opened.peer.say("x")
    green.sleep(0.4)
    assert opened.lost == []
    opened.react = None
    release.set()
    # It is the router's turn again: it answers what it is asked, and then no more.
    for _ in range(2):
        opened.peer._pump(5)
    assert opened.lost == []
    opened.peer.answers = False
    green.wait_until(lambda: opened.lost, 5.0)


def test_what_lies_in_the_kernel_at_the_deadline_counts(pinging, green):
    opened = pinging()
    for number in range(3):
        opened.peer._pump(5)  # the ping comes in, and its answer goes out
        opened.peer.say(number)
        time.sleep(0.25)  # natively: nobody else runs while the deadline passes
        green.wait_until(lambda number=number: len(opened.payloads) == number + 1)
    assert opened.lost == []


def test_after_closing_no_timer_is_left(pinging, green):
    opened = pinging(heartbeat=30.0)
    opened.transport.close(0.0)
    green.wait_until(lambda: opened.lost)
    assert opened.transport._heartbeat._timer is None
    assert not opened.transport.is_pinging


# Over TLS.


@pytest.mark.parametrize("words", [[], ["last words"], ["one", "two"]], ids=len)
def test_the_end_of_tls_is_noticed_at_once_while_the_socket_stays_open(connect_by_tls, green, words):
    opened, tls = connect_by_tls()
    sealed = tls.seal(opened.peer.frame(*words)) if words else b""
    tls.wire(sealed + tls.seal_end())
    green.wait_until(lambda: opened.lost, 3.0)
    assert opened.payloads == [word.encode() for word in words]
    assert "closed the connection without a word" in str(opened.lost[0])


def test_a_record_that_takes_longer_than_the_timeout_to_come_in_is_a_sign_of_life(connect_by_tls, green):
    opened, tls = connect_by_tls(rawsocket_ping=True, heartbeat=0.05, heartbeat_timeout=0.15)
    opened.peer.answers = False
    record = tls.seal(opened.peer.frame("x" * 10_000))
    for start in range(0, len(record), 1000):
        tls.wire(record[start : start + 1000])
        green.sleep(0.05)
        assert opened.lost == [], "the router was talking all the time"
    green.wait_until(lambda: opened.payloads)
    # And now it says nothing.
    green.wait_until(lambda: opened.lost, 5.0)
    assert "heartbeat_timeout" in str(opened.lost[0])


@pytest.mark.filterwarnings("ignore:Using fork:DeprecationWarning")
def test_a_forked_child_does_not_ping(pinging):
    transport = pinging(heartbeat=30.0).transport
    assert transport.is_pinging
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 2 if transport.is_pinging else 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert transport.is_pinging


# Ctrl-C in the midst of the end, which nobody begins a second time.


@pytest.mark.parametrize(
    ("owner", "step"),
    [("_heartbeat", "stop"), ("_writer", "give_up"), ("_watch", "close"), ("_stream", "close")],
    ids=lambda name: name.strip("_"),
)
@pytest.mark.parametrize("when", ["before", "behind"])
def test_an_end_that_is_interrupted_is_told_all_the_same(connect, green, monkeypatch, owner, step, when):
    opened = connect(heartbeat=30.0)
    transport, error = opened.transport, ConnectionClosed("the end")
    sock, owner = transport._stream.socket, getattr(transport, owner)
    real = getattr(owner, step)

    def interrupted():
        monkeypatch.undo()
        if when == "behind":
            real()
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        transport._lose(error)
    assert opened.lost == [error]
    real()  # what has not been done at all is not the question here
    if owner is not transport._stream:
        assert sock.fileno() == -1


def test_a_transport_of_somebody_else_s_is_asked_to_wait_each_time():
    class Foreign(Transport):
        connect = start = wait_for_room = send = close = poke = in_reader = None

    assert Foreign().has_room is False
