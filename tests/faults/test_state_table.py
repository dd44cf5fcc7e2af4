"""A router that lies in messages: each type in each state over the wire, and messages that are not what they must be.

The law is written out here once more, from WAMP's facts and not from `wampy.protocol.states`.
"""

import json

import pytest

from wampy import Client, callee, subscribe
from wampy.auth import Ticket, WampCRA
from wampy.errors import AbortError, ConnectionClosed, RemoteError, SessionClosed, WampProtocolError
from wampy.message_handler import MessageHandler
from wampy.messages import MESSAGE_TYPE_MAP

# The law.

#: One message of each type, right in itself. The ids are those that `busy` has given out.
MESSAGES = {
    "HELLO": [1, "realm1", {"roles": {"caller": {}}}],
    "WELCOME": [2, 9, {"roles": {"dealer": {}, "broker": {}}}],
    "ABORT": [3, {}, "com.example.over"],
    "CHALLENGE": [4, "ticket", {}],
    "AUTHENTICATE": [5, "secret", {}],
    "GOODBYE": [6, {}, "com.example.over"],
    "ERROR": [8, 48, 5, {}, "com.example.failed"],
    "PUBLISH": [16, 1, {}, "com.example.t"],
    "PUBLISHED": [17, 6, 77],
    "SUBSCRIBE": [32, 1, {}, "com.example.t"],
    "SUBSCRIBED": [33, 7, 202],
    "UNSUBSCRIBE": [34, 1, 200],
    "UNSUBSCRIBED": [35, 10],
    "EVENT": [36, 200, 1, {}],
    "CALL": [48, 1, {}, "com.example.p"],
    "CANCEL": [49, 1, {}],
    "RESULT": [50, 5, {}],
    "REGISTER": [64, 1, {}, "com.example.p"],
    "REGISTERED": [65, 8, 102],
    "UNREGISTER": [66, 1, 100],
    "UNREGISTERED": [67, 9],
    "INVOCATION": [68, 1, 100, {}],
    "INTERRUPT": [69, 1, {}],
    "YIELD": [70, 1, {}],
    "EVENT_RECEIVED": [337, 1],
}
IN_SESSION = {
    "PUBLISHED", "SUBSCRIBED", "UNSUBSCRIBED", "RESULT", "REGISTERED", "UNREGISTERED", "ERROR",
    "EVENT", "INVOCATION", "INTERRUPT", "EVENT_RECEIVED",
}  # fmt: skip
#: What a router may say, by what the two have said to each other so far. ABORT it may say at any time.
LEGAL = {
    "joining": {"WELCOME", "CHALLENGE", "ABORT"},
    "challenged": {"ABORT"},
    "authenticating": {"WELCOME", "ABORT"},
    "established": {*IN_SESSION, "GOODBYE", "ABORT"},
    "closing": {*IN_SESSION, "GOODBYE", "ABORT"},
    "dismissed": {"ABORT"},
}


def in_state(state, *, without=()):
    """Parametrize with the types that are legal in a state, and with those that are not."""
    return pytest.mark.parametrize(
        ("name", "legal"),
        [
            pytest.param(name, name in LEGAL[state], id=f"{name}-{'legal' if name in LEGAL[state] else 'not'}")
            for name in MESSAGES
            if name not in without
        ],
    )


def test_every_type_is_judged():
    assert {message[0] for message in MESSAGES.values()} == set(MESSAGE_TYPE_MAP)
    assert all(MESSAGE_TYPE_MAP[message[0]].name.upper() == name for name, message in MESSAGES.items())


class Holding(MessageHandler):
    """Stays where the usual handler moves on at once."""

    def handle_challenge(self, message_obj):
        pass

    def handle_goodbye(self, message_obj):
        if not self.session.dismissed:
            super().handle_goodbye(message_obj)


def aborted(ordeal, *words):
    """Assert that the client's last message is an ABORT, and what it says."""
    ordeal.peer.until_closed()
    code, details, reason = ordeal.peer.heard[-1]
    assert (code, reason) == (3, "wamp.error.protocol_violation")
    assert all(word in details["message"] for word in words), details
    assert [message[0] for message in ordeal.peer.heard].count(3) == 1


def not_aborted(ordeal):
    ordeal.peer.until_closed()
    assert 3 not in [message[0] for message in ordeal.peer.heard]


# While the client joins.


def refused_or_aborted(ordeal, starting, name, legal, state):
    if legal:
        assert name == "ABORT"
        error = ordeal.cannot_start(starting, "com.example.over", AbortError)
        assert error.uri == "com.example.over"
        not_aborted(ordeal)
    else:
        ordeal.cannot_start(starting, f"{name} while the session was {state}", WampProtocolError)
        aborted(ordeal, name, state)
    assert not ordeal.records(), "the raised error says it"
    ordeal.tries_again()


def welcomed(ordeal, starting):
    starting.result()
    assert ordeal.client.session.id == 9
    ordeal.leaves()
    assert not ordeal.records()


@in_state("joining")
def test_joining(ordeal, wamp, name, legal):
    ordeal.make(auth=Ticket("joe", "secret"))
    starting, peer = ordeal.begin()
    peer.expect(wamp.HELLO)
    peer.say(MESSAGES[name])
    if name == "WELCOME":
        welcomed(ordeal, starting)
    elif name == "CHALLENGE":
        assert peer.hear() == [wamp.AUTHENTICATE, "secret", {}]
        peer.say(MESSAGES["WELCOME"])
        welcomed(ordeal, starting)
    else:
        refused_or_aborted(ordeal, starting, name, legal, "joining")


@in_state("challenged")
def test_challenged(ordeal, wamp, name, legal):
    ordeal.make(auth=Ticket("joe", "secret"), message_handler_cls=Holding)
    starting, peer = ordeal.begin()
    peer.expect(wamp.HELLO)
    peer.say(MESSAGES["CHALLENGE"], MESSAGES[name])
    refused_or_aborted(ordeal, starting, name, legal, "challenged")


@in_state("authenticating")
def test_authenticating(ordeal, wamp, name, legal):
    ordeal.make(auth=Ticket("joe", "secret"))
    starting, peer = ordeal.begin()
    peer.expect(wamp.HELLO)
    peer.say(MESSAGES["CHALLENGE"])
    peer.expect(wamp.AUTHENTICATE)
    peer.say(MESSAGES[name])
    if name == "WELCOME":
        welcomed(ordeal, starting)
    else:
        refused_or_aborted(ordeal, starting, name, legal, "authenticating")


# In the session.


class Busy:
    """A client with one request of each kind under way, and an active registration and subscription.

    Attributes:
        waits: By the type that answers it, the green thread that waits.
        invoked, events: What has come.
    """

    def __init__(self, ordeal, green, **parameters):
        peer = ordeal.join(**parameters)
        session = ordeal.client.session
        self.invoked, self.events = [], []

        def procedure():
            self.invoked.append(1)
            green.sleep(0.02)

        def activate(function, what, on, number, code, role_id):
            activating = green.spawn(function, f"com.example.{what}", on)
            peer.expect(code - 1, number)
            peer.say([code, number, role_id])
            return activating.result()

        activate(session.register, "first", procedure, 1, 65, 100)
        leaving = activate(session.register, "second", procedure, 2, 65, 101)
        activate(session.subscribe, "first", lambda meta: self.events.append(meta), 3, 33, 200)
        ending = activate(session.subscribe, "second", lambda meta: self.events.append(meta), 4, 33, 201)
        asks = {
            "RESULT": (session.call, "com.example.call"),
            "PUBLISHED": (session.publish, "com.example.topic", (), None, {"acknowledge": True}),
            "SUBSCRIBED": (session.subscribe, "com.example.third", print),
            "REGISTERED": (session.register, "com.example.third", print),
            "UNREGISTERED": (session.unregister, leaving),
            "UNSUBSCRIBED": (session.unsubscribe, ending),
        }
        self.waits = {}
        for number, (name, ask) in enumerate(asks.items(), 5):
            self.waits[name] = green.spawn(*ask)
            assert peer.hear()[1] == number
        self.waits["ERROR"] = self.waits["RESULT"]
        self.peer = peer


@in_state("established", without=("ABORT", "GOODBYE"))  # which come below
def test_established(ordeal, green, wamp, name, legal):
    if not legal:
        ordeal.suspend()
        ordeal.suffer(lambda peer: peer.say(MESSAGES[name], [50, 1, {}, ["too late"]]))
        ordeal.is_over(f"{name} while the session was established")
        ordeal.recovers()
        return
    busy = Busy(ordeal, green)
    session = ordeal.client.session
    busy.peer.say(MESSAGES[name])
    if name == "ERROR":
        error = busy.waits[name].error()
        assert isinstance(error, RemoteError) and error.uri == "com.example.failed"
    elif name in busy.waits:
        busy.waits[name].result()
    elif name == "EVENT":
        green.wait_until(lambda: busy.events)
    elif name == "INVOCATION":
        assert busy.peer.hear() == [wamp.YIELD, 1, {}, [None]]
    calling = green.spawn(ordeal.client.call, "com.example.after")
    busy.peer.expect(wamp.CALL, 11)
    busy.peer.say([50, 11, {}])
    calling.result()
    assert ordeal.client.session is session
    # What was not answered is still waited for, and raises at the end.
    done = [wait.done for wait in set(busy.waits.values())]
    assert done.count(True) == (name in busy.waits)
    ordeal.leaves()
    not_aborted(ordeal)
    assert not ordeal.records()


@pytest.mark.parametrize("answers", [True, False], ids=["", "and does not answer the close"])
def test_goodbye_in_the_middle_of_a_call(ordeal, wamp, answers):
    peer = ordeal.suspend()
    peer.answers = answers
    ordeal.suffer(lambda peer: peer.say([6, {"message": "enough of you"}, "com.example.over"]))
    ordeal.is_over("com.example.over (enough of you)", SessionClosed)
    assert peer.heard[-1] == [wamp.GOODBYE, {}, "wamp.close.goodbye_and_out"]
    assert ("leave", "com.example.over") in ordeal.client.told
    ordeal.recovers()


@pytest.mark.parametrize("answers", [True, False], ids=["", "and does not answer the close"])
def test_abort_in_the_middle_of_a_call(ordeal, answers):
    peer = ordeal.suspend()
    peer.answers = answers
    ordeal.suffer(lambda peer: peer.say([3, {"message": "enough of you"}, "com.example.over"]))
    ordeal.is_over("com.example.over (enough of you)", AbortError)
    assert ("leave", "com.example.over") in ordeal.client.told
    ordeal.recovers()


FORGED = "enough\r\n2027-01-01 ERROR root: \x1b[31mthe database is gone\ud800"
FORGED_SHOWN = r"(enough\r\n2027-01-01 ERROR root: \x1b[31mthe database is gone\ud800)"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ([6, {"message": FORGED}, "com.example.over"], SessionClosed),
        ([3, {"message": FORGED}, "com.example.over"], AbortError),
    ],
    ids=["GOODBYE", "ABORT"],
)
def test_last_words_that_would_forge_a_log_record(ordeal, message, kind):
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.say(message))
    ordeal.is_over(FORGED_SHOWN, kind)
    ordeal.recovers()


@pytest.mark.parametrize("code", [3, 6], ids=["ABORT", "GOODBYE"])
@pytest.mark.parametrize("what", ["message", "URI"])
def test_last_words_of_a_megabyte(ordeal, code, what):
    """They are there for who wants them all; errors and the log show the beginning."""
    words = "x" * 1_000_000
    ordeal.suspend()
    sent = [code, {"message": words}, "com.example.over"] if what == "message" else [code, {}, words]
    ordeal.suffer(lambda peer: peer.say(sent))
    ordeal.is_over("x" * 500 + "…", AbortError if code == 3 else SessionClosed)
    assert len(ordeal.records()[0].getMessage()) < 1000
    error = ordeal.told()
    assert words == (error.uri if what == "URI" else error.details["message"] if code == 3 else error.reason)
    ordeal.recovers()


# The end.


@in_state("closing")
def test_closing(ordeal, green, wamp, name, legal):
    busy = Busy(ordeal, green)
    client, peer = ordeal.client, busy.peer
    stopping = green.spawn(client.stop)
    peer.expect(wamp.GOODBYE)
    peer.say(MESSAGES[name])
    if name in IN_SESSION:
        if name in busy.waits:
            busy.waits[name].error()
        green.sleep(0.005)
        assert not stopping.done, "it did not wait for the answer"
        peer.say([6, {}, "wamp.close.normal"])
    if legal:
        not_aborted(ordeal)
    else:
        aborted(ordeal, name, "closing")
    stopping.result(1.0)
    assert peer.heard[-1][0] == (wamp.GOODBYE if legal else wamp.ABORT)
    for wait in busy.waits.values():
        wait.error(1.0)
    error = ordeal.told()
    ended_well = name in IN_SESSION or name == "GOODBYE"
    assert len(ordeal.records()) == (not ended_well)
    assert (error is None) is ended_well
    if not ended_well:
        ordeal.has_logged("com.example.over" if legal else name)
    ordeal.recovers(records=len(ordeal.records()))


@in_state("dismissed")
def test_dismissed(ordeal, name, legal):
    """The handler is the user's, and has not answered the GOODBYE yet."""
    ordeal.suspend(message_handler_cls=Holding)
    ordeal.suffer(lambda peer: peer.say(MESSAGES["GOODBYE"], MESSAGES[name]))
    if legal:
        ordeal.is_over("com.example.over", AbortError)
    else:
        ordeal.is_over(f"{name} while the session was dismissed")
    ordeal.recovers()


@pytest.mark.parametrize("name", MESSAGES)
def test_after_its_goodbye_nobody_listens(ordeal, wamp, name):
    """Whatever it says is dropped: the session is over, and nothing may follow our answer, not even ABORT."""
    peer = ordeal.suspend()
    ordeal.suffer(lambda peer: peer.say([6, {}, "com.example.first"], MESSAGES[name], "garbage"))
    ordeal.is_over("com.example.first", SessionClosed)
    assert peer.heard[-1][0] == wamp.GOODBYE
    ordeal.recovers()


# What is no message.

NO_MESSAGES = {
    **{f"code {text}": f"[{text},1,{{}}]" for text in (
        "7", "99", "256", "0", "-1", "1.5", "338", "1180591620717411303424", "true", "false", "null", "50.0", "5e1",
        '"50"', '"RESULT"', '""', "[50]", "[]", "{}",
    )},
    **{text: text for text in ("[]", "[[]]", "[null]", "{}", "5", "50.5", '"text"', "true", "false", "null",
                               '{"0":50,"1":1,"2":{}}')},
}  # fmt: skip


@pytest.mark.parametrize("name", NO_MESSAGES)
def test_what_is_no_message(ordeal, name):
    text = NO_MESSAGES[name]
    no_list = not isinstance(json.loads(text), list) or text == "[]"
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.say(text, [50, 1, {}, ["too late"]]))
    ordeal.is_over("must be a list that is not empty" if no_list else "no message has the code")
    ordeal.recovers()


@pytest.mark.parametrize("text", ["[]", "[7,1]", "[99]", "[true,1,{}]", "{}", "null", '"text"'])
def test_what_is_no_message_while_joining(ordeal, wamp, text):
    ordeal.make()
    starting, peer = ordeal.begin()
    peer.expect(wamp.HELLO)
    peer.say(text)
    ordeal.cannot_start(starting, "message", WampProtocolError)
    aborted(ordeal, "message")
    assert not ordeal.records()
    ordeal.tries_again()


# Messages that are legal now, and not what they must be.

_WRONG_IDS = ["true", "false", '"1"', "1.0", "1.5", "0", "-1", "9007199254740993", "1e3", "null", "[1]", "{}"]
_NO_URIS = [
    '""', '"."', '"a..b"', '".a"', '"a."', '"a b"', '"a\\tb"', '"a#b"', '"a\\nb"', "5", "true", "null", "[]",
    '{"a":"b"}', r'"\u0000YS5i"',
]  # fmt: skip
_NO_DICTIONARIES = ["[]", "null", "5", '"text"', "true", r'"\u0000YQ=="']

WRONG = {
    "RESULT: request_id": [f"[50,{value},{{}}]" for value in _WRONG_IDS],
    "ERROR: request_id": [f'[8,48,{value},{{}},"a.b"]' for value in _WRONG_IDS],
    "REGISTERED: registration_id": [f"[65,7,{value}]" for value in _WRONG_IDS],
    "SUBSCRIBED: subscription_id": [f"[33,6,{value}]" for value in _WRONG_IDS],
    "PUBLISHED: publication_id": [f"[17,5,{value}]" for value in _WRONG_IDS],
    "EVENT: subscription_id": [f"[36,{value},1,{{}}]" for value in _WRONG_IDS],
    "EVENT: publication_id": ["[36,1,true,{}]", "[36,1,0,{}]"],
    "INVOCATION: request_id": [f"[68,{value},1,{{}}]" for value in _WRONG_IDS],
    "INVOCATION: registration_id": [f"[68,1,{value},{{}}]" for value in _WRONG_IDS],
    "INTERRUPT: request_id": [f"[69,{value},{{}}]" for value in _WRONG_IDS],
    # 0 is for revocations here, which must say of what.
    "UNREGISTERED: request_id": [f"[67,{value}]" for value in _WRONG_IDS if value != "0"],
    "UNREGISTERED: details": [
        "[67,0]",
        "[67,0,{}]",
        '[67,0,{"subscription":1}]',
        '[67,0,{"registration":true}]',
        '[67,0,{"registration":"1"}]',
        "[67,1,[]]",
    ],
    "UNSUBSCRIBED: details": ["[35,0]", "[35,0,{}]", '[35,0,{"registration":1}]', '[35,0,{"subscription":0}]'],
    "ERROR: request_type": [f'[8,{value},1,{{}},"a.b"]' for value in ("50", "7", "0", "true", '"48"', "48.0", "null")],
    "ERROR: error": [f"[8,48,1,{{}},{value}]" for value in _NO_URIS],
    "GOODBYE: reason": [f"[6,{{}},{value}]" for value in _NO_URIS],
    "RESULT: details": [
        *(f"[50,1,{value}]" for value in _NO_DICTIONARIES),
        '[50,1,{"progress":1}]',
        '[50,1,{"progress":"yes"}]',
        '[50,1,{"callee":"joe"}]',
        '[50,1,{"ppt_scheme":5}]',
        '[50,1,{"enc_algo":5}]',
    ],
    "ERROR: details": [f'[8,48,1,{value},"a.b"]' for value in _NO_DICTIONARIES],
    "GOODBYE: details": [*(f'[6,{value},"a.b"]' for value in _NO_DICTIONARIES), '[6,{"message":5},"a.b"]'],
    "EVENT: details": [
        *(f"[36,1,1,{value}]" for value in _NO_DICTIONARIES),
        '[36,1,1,{"topic":5}]',
        '[36,1,1,{"topic":"not a uri"}]',
        '[36,1,1,{"publisher":true}]',
        '[36,1,1,{"retained":"yes"}]',
    ],
    "INVOCATION: details": [
        *(f"[68,1,1,{value}]" for value in _NO_DICTIONARIES),
        '[68,1,1,{"receive_progress":1}]',
        '[68,1,1,{"caller":"joe"}]',
        '[68,1,1,{"procedure":"not a uri"}]',
        '[68,1,1,{"timeout":-1}]',
        '[68,1,1,{"timeout":true}]',
    ],
    "INTERRUPT: options": [*(f"[69,1,{value}]" for value in _NO_DICTIONARIES), '[69,1,{"mode":"maybe"}]'],
    "RESULT: args": [f"[50,1,{{}},{value}]" for value in ("{}", '"text"', "5", "true", r'"\u0000YQ=="')],
    "RESULT: kwargs": [f"[50,1,{{}},[],{value}]" for value in ("[]", '"text"', "5", "true", r'"\u0000YQ=="')],
    "EVENT: args": ["[36,1,1,{},{}]", '[36,1,1,{},"text"]'],
    "INVOCATION: kwargs": ["[68,1,1,{},[],[]]", "[68,1,1,{},[],5]"],
    "ERROR: args": ['[8,48,1,{},"a.b",{}]', '[8,48,1,{},"a.b",5]'],
    "RESULT: the list must have": ["[50]", "[50,1]", "[50,1,{},[],{},1]", "[50,1,{},[],{},null]"],
    "ERROR: the list must have": ["[8]", "[8,48,1,{}]", '[8,48,1,{},"a.b",[],{},1]'],
    "GOODBYE: the list must have": ["[6]", "[6,{}]", '[6,{},"a.b",[]]'],
    "EVENT: the list must have": ["[36,1,1]", "[36,1,1,{},[],{},1]"],
    "INVOCATION: the list must have": ["[68,1,1]", "[68,1,1,{},[],{},1]"],
    "INTERRUPT: the list must have": ["[69,1]", "[69,1,{},1]"],
    "PUBLISHED: the list must have": ["[17,5]", "[17,5,1,{}]"],
    "SUBSCRIBED: the list must have": ["[33]", "[33,6]", "[33,6,1,{}]"],
    "REGISTERED: the list must have": ["[65,7]", "[65,7,1,{}]"],
    "UNREGISTERED: the list must have": ["[67]", "[67,1,{},1]"],
    "EVENT_RECEIVED: the list must have": ["[337]", "[337,1,2]"],
    "EVENT_RECEIVED: publication_id": ["[337,true]"],
    # A list of a million elements costs nobody a million checks.
    "PUBLISHED: the list must have 3": ["[17,5,1" + ",0" * 1_000_000 + "]"],
}


@pytest.mark.parametrize(
    ("cause", "text"),
    [pytest.param(cause, text, id=f"{cause} {text[:40]}") for cause, texts in WRONG.items() for text in texts],
)
def test_what_is_not_as_it_must_be(ordeal, cause, text):
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.say(text, [50, 1, {}, ["too late"]]))
    ordeal.is_over(cause)
    ordeal.recovers()


WRONG_WELCOMES = [
    *(f"[2,{value},{{}}]" for value in _WRONG_IDS),
    *(f"[2,1,{value}]" for value in _NO_DICTIONARIES),
    "[2]",
    "[2,1]",
    "[2,1,{},{}]",
    '[2,1,{"roles":[]}]',
    '[2,1,{"roles":{"dealer":[]}}]',
    '[2,1,{"roles":{"dealer":{"features":[]}}}]',
    '[2,1,{"roles":{"dealer":{"features":{"call_canceling":"yes"}}}}]',
    '[2,1,{"authid":5}]',
    '[2,1,{"authextra":[]}]',
    '[4,5,{}]',
    '[4,"ticket"]',
    '[4,"ticket",[]]',
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG_WELCOMES)
def test_what_is_not_as_it_must_be_while_joining(ordeal, wamp, text):
    name = {2: "WELCOME", 4: "CHALLENGE"}[json.loads(text)[0]]
    ordeal.make(auth=Ticket("joe", "secret"))
    starting, peer = ordeal.begin()
    peer.expect(wamp.HELLO)
    peer.say(text)
    ordeal.cannot_start(starting, f"{name}: ", WampProtocolError)
    aborted(ordeal, f"{name}: ")
    assert not ordeal.records()
    ordeal.tries_again()


WRONG_CHALLENGES = {
    "another method": ["telepathy", {}],
    "a method of a megabyte": ["x" * 1_000_000, {}],
    "nothing to sign": ["wampcra", {}],
    "a number to sign": ["wampcra", {"challenge": 5}],
    "half a surrogate pair to sign": ["wampcra", {"challenge": "\ud800"}],
    "salt of half a surrogate pair": [
        "wampcra",
        {"challenge": "x", "salt": "\ud800", "iterations": 1, "keylen": 32},
    ],
    "no iterations": ["wampcra", {"challenge": "x", "salt": "x", "keylen": 32}],
    "a boolean for iterations": ["wampcra", {"challenge": "x", "salt": "x", "iterations": True, "keylen": 32}],
    "iterations below 1": ["wampcra", {"challenge": "x", "salt": "x", "iterations": -1, "keylen": 32}],
    "iterations for ever": ["wampcra", {"challenge": "x", "salt": "x", "iterations": 2**31 - 1, "keylen": 32}],
    "a key of 4 GiB": ["wampcra", {"challenge": "x", "salt": "x", "iterations": 1, "keylen": 2**32}],
}


@pytest.mark.parametrize("name", WRONG_CHALLENGES)
def test_a_challenge_that_cannot_be_answered(ordeal, wamp, name):
    """It is a message as it must be; but there is no answer to it."""
    ordeal.make(auth=WampCRA("joe", "secret"))
    starting, peer = ordeal.begin()
    peer.expect(wamp.HELLO)
    peer.say([wamp.CHALLENGE, *WRONG_CHALLENGES[name]])
    error = ordeal.cannot_start(starting, "")
    assert len(str(error)) < 1000
    peer.until_closed()
    assert peer.heard[-1] == [wamp.ABORT, {"message": "the challenge cannot be answered"}, peer.heard[-1][2]]
    assert not ordeal.records()
    ordeal.tries_again()


def test_a_challenge_that_nobody_asked_for(ordeal, wamp):
    """It is no violation; but there is nothing to answer it with."""
    ordeal.make()
    starting, peer = ordeal.begin()
    peer.expect(wamp.HELLO)
    peer.say([wamp.CHALLENGE, "telepathy", {}])
    ordeal.cannot_start(starting, "telepathy")
    peer.until_closed()
    assert peer.heard[-1][0] == wamp.ABORT
    assert peer.heard[-1][2] != "wamp.error.protocol_violation"
    ordeal.tries_again()


# Replies, deliveries and revocations for what never was.

NEVER_ASKED = {
    "[50,500,{}]": "RESULT for request 500",
    "[50,8,{}]": "RESULT for request 8",
    "[50,9007199254740992,{}]": "RESULT for request 9007199254740992",
    '[8,48,500,{},"a.b"]': "ERROR for request 500",
    '[8,16,500,{},"a.b"]': "ERROR for request 500",
    '[8,32,500,{},"a.b"]': "ERROR for request 500",
    '[8,34,500,{},"a.b"]': "ERROR for request 500",
    '[8,64,500,{},"a.b"]': "ERROR for request 500",
    '[8,66,500,{},"a.b"]': "ERROR for request 500",
    '[8,68,500,{},"a.b"]': "ERROR for request 500",
    "[17,500,1]": "PUBLISHED for request 500",
    "[33,500,1]": "SUBSCRIBED for request 500",
    "[35,500]": "UNSUBSCRIBED for request 500",
    "[65,500,1]": "REGISTERED for request 500",
    "[67,500]": "UNREGISTERED for request 500",
}


@pytest.mark.parametrize("text", NEVER_ASKED)
def test_a_reply_for_an_id_never_given_out(ordeal, text):
    ordeal.suspend()
    ordeal.suffer(lambda peer: peer.say(text))
    ordeal.is_over(NEVER_ASKED[text])
    ordeal.recovers()


@pytest.mark.parametrize(
    ("text", "waiting", "cause"),
    [
        ("[36,500,1,{}]", ("call", "publish", "register"), "EVENT for 500"),
        ("[68,1,500,{}]", ("call", "publish", "subscribe"), "INVOCATION for 500"),
    ],
    ids=["EVENT", "INVOCATION"],
)
def test_a_delivery_for_what_was_never_acknowledged(ordeal, text, waiting, cause):
    # None of its kind is being asked for: that would be no violation, see below.
    ordeal.suspend(waiting=waiting)
    ordeal.suffer(lambda peer: peer.say(text))
    ordeal.is_over(cause)
    ordeal.recovers()


# What is no violation, however odd.

ODD = {
    "an ERROR that says CALL for what was a SUBSCRIBE": ['[8,48,7,{},"a.b"]'],
    "an ERROR that says SUBSCRIBE for what was a CALL": ['[8,32,5,{},"a.b"]'],
    "ERRORs of all other kinds for a REGISTER": [f'[8,{code},8,{{}},"a.b"]' for code in (16, 32, 34, 48, 66, 68)],
    "a RESULT for what was no CALL": [f"[50,{number},{{}}]" for number in (1, 2, 3, 4, 6, 7, 8, 9, 10)],
    "a REGISTERED for what was no REGISTER": [f"[65,{number},900]" for number in (3, 4, 5, 6, 7, 9, 10)],
    "a SUBSCRIBED for what was no SUBSCRIBE": [f"[33,{number},900]" for number in (1, 2, 5, 6, 8, 9, 10)],
    "an UNREGISTERED for what was no UNREGISTER": [f"[67,{number}]" for number in range(1, 9)],
    "an UNSUBSCRIBED for what was no UNSUBSCRIBE": [f"[35,{number}]" for number in range(1, 10)],
    "a PUBLISHED for what was no PUBLISH": [f"[17,{number},1]" for number in (1, 2, 3, 4, 5, 7, 8, 9, 10)],
    "a REGISTERED once more": ["[65,1,100]", "[65,1,900]"],
    "a SUBSCRIBED once more": ["[33,3,200]", "[33,3,900]"],
    "an INVOCATION while a REGISTER is under way": ["[68,1,900,{}]"],
    "an INVOCATION while its UNREGISTER is under way": ["[68,1,101,{}]"],
    "an EVENT while a SUBSCRIBE is under way": ["[36,900,1,{}]"],
    "an EVENT while its UNSUBSCRIBE is under way": ["[36,201,1,{}]"],
    "an INTERRUPT for nothing": ["[69,1,{}]", "[69,9007199254740992,{}]", '[69,2,{"mode":"kill"}]'],
    "a revocation of no registration": ['[67,0,{"registration":900}]', '[67,0,{"registration":900,"reason":"a.b"}]'],
    "a revocation of no subscription": ['[35,0,{"subscription":900}]', '[35,0,{"subscription":900,"reason":null}]'],
    "EVENT_RECEIVED": ["[337,1]"],
    "a key that nobody knows": ['[36,200,1,{"x_of_the_future":[1,{"a":null}]}]'],
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_and_no_violation(ordeal, green, name):
    busy = Busy(ordeal, green)
    busy.peer.say(*ODD[name])
    # All that was asked for is still answered: nothing odd has taken an answer's place.
    answers = ("RESULT", "PUBLISHED", "SUBSCRIBED", "REGISTERED", "UNREGISTERED", "UNSUBSCRIBED")
    for answer in answers:
        green.sleep(0)
        assert not busy.waits[answer].done
        busy.peer.say(MESSAGES[answer])
        busy.waits[answer].result()
    assert set(ordeal.client.registration_map) == {100, 102}
    assert set(ordeal.client.subscription_map) == {200, 202}
    ordeal.leaves()
    not_aborted(ordeal)
    assert not ordeal.records()


@pytest.mark.parametrize("answer", ["RESULT", "PUBLISHED", "SUBSCRIBED", "REGISTERED", "UNREGISTERED", "UNSUBSCRIBED"])
@pytest.mark.parametrize("then", ["the same", "an ERROR"])
def test_a_reply_that_comes_twice(ordeal, green, answer, then):
    """The second is late, and no violation."""
    busy = Busy(ordeal, green)
    reply = MESSAGES[answer]
    error = [8, reply[0] - (2 if answer == "RESULT" else 1), reply[1], {}, "com.example.failed"]
    busy.peer.say(reply, reply if then == "the same" else error)
    busy.waits[answer].result()
    calling = green.spawn(ordeal.client.call, "com.example.after")
    busy.peer.expect(48, 11)
    busy.peer.say([50, 11, {}])
    calling.result()
    ordeal.leaves()
    not_aborted(ordeal)
    assert not ordeal.records()


def test_deliveries_for_what_has_just_been_removed(ordeal, green, wamp):
    busy = Busy(ordeal, green)
    busy.peer.say(MESSAGES["UNREGISTERED"], [68, 9, 101, {}], MESSAGES["UNSUBSCRIBED"], [36, 201, 1, {}])
    error = busy.peer.hear()
    assert error[:5] == [wamp.ERROR, wamp.INVOCATION, 9, {}, "wamp.error.no_such_registration"]
    # Revoked by the router, which a log record tells: for these, too, more may be on the way.
    busy.peer.say([67, 0, {"registration": 100}], [68, 10, 100, {}], [35, 0, {"subscription": 200}], [36, 200, 1, {}])
    assert busy.peer.hear()[2:5] == [10, {}, "wamp.error.no_such_registration"]
    assert not busy.invoked and not busy.events
    assert [record.levelname for record in ordeal.records()] == ["WARNING", "WARNING"]
    ordeal.leaves()
    not_aborted(ordeal)


def test_a_reply_to_a_publication_that_asked_for_none(ordeal, green):
    peer = ordeal.join()
    ordeal.client.publish(topic="com.example.t", x=1)
    peer.expect(16, 1)
    peer.say([17, 1, 5], [8, 16, 1, {}, "com.example.failed"])
    ordeal.leaves()
    not_aborted(ordeal)
    assert not ordeal.records()


class Nested(Client):
    """User code that waits for the router, in a callee and in an event handler."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.raised = []

    def ask(self):
        try:
            self.call("com.example.inner")
        except Exception as error:
            self.raised.append(error)
            raise

    @callee(procedure="com.example.p")
    def p(self):
        self.ask()

    @subscribe(topic="com.example.t")
    def on_t(self, meta):
        self.ask()


@pytest.mark.parametrize(
    ("text", "cause", "kind"),
    [("garbage", "no JSON", WampProtocolError), ('[6,{},"com.example.over"]', "com.example.over", SessionClosed)],
)
def test_user_code_that_waits_when_the_router_lies(ordeal, green, wamp, text, cause, kind):
    """It raises the reason too; and what it only passes on is not logged once more."""
    ordeal.make(Nested)
    starting, peer = ordeal.begin()
    peer.welcome()
    peer.acknowledge(2)
    starting.result()
    peer.say([68, 1, 100, {}], [68, 2, 100, {}], [36, 101, 1, {}])
    for _ in range(3):
        peer.expect(wamp.CALL)
    # The last invocation comes together with the lie, and is never started.
    peer.say([68, 3, 100, {}], text)
    peer.until_closed()
    with pytest.raises(kind):
        ordeal.client.wait(1.0)
    green.wait_until(lambda: len(ordeal.client.raised) == 3)
    assert all(type(error) is kind and cause in str(error) for error in ordeal.client.raised)
    assert len(set(map(id, ordeal.client.raised))) == 3
    green.sleep(0.01)
    ordeal.has_logged(cause)


# While the roles are registered.


class WithRoles(Client):
    @callee(procedure="com.example.one")
    def one(self):
        pass

    @callee(procedure="com.example.two")
    def two(self):
        pass


@pytest.mark.parametrize(
    ("text", "cause", "kind"),
    [
        ("garbage", "no JSON", WampProtocolError),
        ("[2,1,{}]", "WELCOME", WampProtocolError),
        ("[50,3,{}]", "RESULT for request 3", WampProtocolError),
        ("[65,2]", "REGISTERED: ", WampProtocolError),
        ('[6,{},"com.example.over"]', "com.example.over", SessionClosed),
        ('[3,{},"com.example.over"]', "com.example.over", AbortError),
        ('[8,64,2,{},"com.example.over"]', "com.example.over", RemoteError),
    ],
)
@pytest.mark.parametrize("acknowledged", [0, 1])
def test_lies_while_the_roles_are_registered(ordeal, green, wamp, text, cause, kind, acknowledged):
    ordeal.make(WithRoles, close_timeout=0.2)
    starting, peer = ordeal.begin()
    peer.welcome()
    requests = [peer.expect(wamp.REGISTER), peer.expect(wamp.REGISTER)]
    replies = [[65, request[1], 100 + request[1]] for request in requests[:acknowledged]]
    if kind is RemoteError:
        replies = [[65, 1, 100]]  # all but the one that is refused, or start() waits for the rest
    peer.say(*replies, text)
    if kind is RemoteError:
        peer.farewell()
    ordeal.cannot_start(starting, cause, kind)
    peer.until_closed()
    assert (peer.heard[-1][0] == wamp.ABORT) is (kind is WampProtocolError)
    assert len(ordeal.records()) == (kind is not RemoteError)


# Under a binary serializer the rules are the same.


def msgpack_ordeal(ordeal):
    ordeal.router.speak("wamp.2.msgpack")
    return ordeal.suspend(serializers=["msgpack"])


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        (b"", "MessagePack"),
        (b"\xc1", "MessagePack"),
        (b"\x93\x32\x01", "MessagePack"),
        (b"\x93\x32\x01\x80\x00", "MessagePack"),
        (b"\x91" * 100_000, "MessagePack"),
        (b"\xdd\xff\xff\xff\xff", "MessagePack"),
        (b"\xdb\xff\xff\xff\xff", "MessagePack"),
        (b"\x94\x32\x01\x80\x91\xa1\xff", "MessagePack"),
        (b"\x90", "must be a list that is not empty"),
        (b"\x80", "must be a list that is not empty"),
        (b"\x93\xcb\x40\x49\x00\x00\x00\x00\x00\x00\x01\x80", "no message has the code"),
        (b"\x93\xc3\x01\x80", "no message has the code"),
        (b"\x93\x32\xc3\x80", "RESULT: request_id"),
        (b"\x93\x32\x01\x81\x01\x02", "RESULT: details"),
        (b"\x93\x32\xcd\x01\xf4\x80", "RESULT for request 500"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_lies_in_messagepack(ordeal, sent, cause):
    msgpack_ordeal(ordeal)
    ordeal.suffer(lambda peer: peer.say(sent))
    ordeal.is_over(cause)
    ordeal.recovers()


def test_a_text_frame_under_a_binary_subprotocol(ordeal):
    msgpack_ordeal(ordeal)
    ordeal.suffer(lambda peer: peer.raw(b"\x81\x09[50,1,{}]"))
    ordeal.is_over("a text frame under wamp.2.msgpack", ConnectionClosed, code=1003)
    ordeal.recovers()
