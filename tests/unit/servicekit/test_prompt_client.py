"""Our connection against a real broker, beside one of the library itself."""

import asyncio

import nats
import pytest
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.errors import KeyWrongLastSequenceError

from servicekit.broker import connect, disconnect
from servicekit.prompt_client import PromptClient
from tests import broker
from tests.waiting import eventually


@pytest.fixture
async def prompt(nats_url):
    client = await connect(nats_url, "prompt")
    yield client
    await client.close()


@pytest.fixture
async def plain(nats_url):
    client = await nats.connect(nats_url)
    yield client
    await client.close()


async def test_a_listener_gets_what_others_publish_in_order(prompt, plain):
    heard = []
    await prompt.listen("news.*", lambda subject, data: heard.append((subject, data)))
    await prompt.flush()
    sent = [(f"news.{number % 3}", b"%d" % number) for number in range(1000)]
    for subject, data in sent:
        await plain.publish(subject, data, headers={"a": "b"} if data == b"7" else None)
    await eventually(lambda: len(heard) == len(sent))
    assert heard == sent


async def test_what_was_published_before_a_flush_is_there_after_it(prompt, plain):
    got = []
    for number in range(50):
        subscription = await prompt.subscribe(f"once.{number}")
        await prompt.flush()
        await plain.publish(f"once.{number}", b"x")
        got.append((await subscription.next_msg(timeout=30)).data)
    assert got == [b"x"] * 50


async def test_a_listener_that_fails_is_told_of_and_hears_the_next(prompt, plain, caplog):
    heard = []

    def on_message(_subject, data):
        heard.append(int(data))

    await prompt.listen("numbers", on_message)
    await prompt.flush()
    for data in (b"1", b"none", b"2"):
        await plain.publish("numbers", data)
    await eventually(lambda: heard == [1, 2])
    assert "message handler failed" in caplog.text
    assert prompt.is_connected


async def test_a_listener_listens_on_when_the_broker_is_back(tmp_path):
    with broker.running(tmp_path) as url:
        client = await connect(url, "prompt")
        heard = []
        await client.listen("news", lambda _, data: heard.append(data))
    port = int(url.rsplit(":", 1)[1])
    with broker.running(tmp_path, port=port):
        async with asyncio.timeout(30):
            while not heard:
                await client.publish("news", b"back")
                await asyncio.sleep(0.05)
        await client.close()
    assert set(heard) == {b"back"}


async def test_everything_published_in_one_turn_arrives_however_much_it_is(prompt, plain):
    got = 0

    async def on_message(message):
        nonlocal got
        got += len(message.data)

    await plain.subscribe("bulk", cb=on_message)
    await plain.flush()
    await asyncio.gather(*(prompt.publish("bulk", bytes(500_000)) for _ in range(40)))
    await eventually(lambda: got == 40 * 500_000)


@pytest.mark.parametrize("end", [PromptClient.close, disconnect])
async def test_a_connection_ends_well_while_the_broker_is_away(tmp_path, end):
    with broker.running(tmp_path) as url:
        client = await connect(url, "left")
    await eventually(lambda: not client.is_connected)
    await client.publish("news", b"for nobody")
    await asyncio.wait_for(end(client), 30)
    assert client.is_closed


async def test_a_connection_ends_after_what_was_published(nats_url, prompt):
    leaving, heard = await connect(nats_url, "leaving"), []
    await prompt.listen("news", lambda _, data: heard.append(data))
    await prompt.flush()
    await leaving.publish("news", b"last words")
    await disconnect(leaving)
    await eventually(lambda: heard == [b"last words"])


@pytest.mark.parametrize("headers", [None, {"a": "b", "traceparent": "00-1-2-01"}])
async def test_what_it_publishes_arrives_whole(prompt, headers):
    subscription = await prompt.subscribe("whole")
    payload = bytes(range(256)) + b"\r\nPUB other 1\r\nx\r\n"
    await prompt.publish("whole", payload, reply="answer.here", headers=headers)
    message = await subscription.next_msg(timeout=30)
    assert (message.data, message.reply, message.headers) == (payload, "answer.here", headers)


@pytest.mark.parametrize(
    ("subject", "reply", "headers"),
    [
        ("", "", None),
        ("a b", "", None),
        ("a\r\nPUB b 0\r\n", "", None),
        ("a", "b\nc", None),
        ("a", "", {"b": "c\r\nd: e"}),
        ("a", "", {"b": "c\n"}),
        ("a", "", {"b\r\nc": "d"}),
    ],
)
async def test_no_command_is_smuggled_in(prompt, subject, reply, headers):
    with pytest.raises(NatsError):
        await prompt.publish(subject, b"x", reply=reply, headers=headers)
    await prompt.flush()


async def test_a_write_on_a_condition_is_refused_where_that_does_not_hold(prompt):
    bucket = await prompt.jetstream().create_key_value(bucket="conditions")
    revision = await bucket.update("key", b"1", await bucket.put("key", b"0"))
    with pytest.raises(KeyWrongLastSequenceError):
        await bucket.update("key", b"2", revision - 1)
    assert (await bucket.get("key")).value == b"1"


async def test_what_is_too_large_for_the_broker_is_refused(prompt):
    with pytest.raises(MaxPayloadError):
        await prompt.publish("a", bytes(prompt.max_payload + 1))
    assert prompt.is_connected


async def test_more_than_the_socket_takes_at_once_arrives(prompt):
    subscription = await prompt.subscribe("much", pending_bytes_limit=-1)
    sent = [bytes([number]) * 500_000 for number in range(40)]
    for payload in sent:
        await prompt.publish("much", payload)
    got = [(await subscription.next_msg(timeout=30)).data for _ in sent]
    assert got == sent
