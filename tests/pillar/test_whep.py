"""A pillar's WebRTC, with a real client: pictures, tone, the operator's voice; and that everything is given back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import aiohttp
import aioice.ice
import pytest
from pillar_rig import (
    DEVICE,
    SDP,
    TestTown,
    Voice,
    Watcher,
    assert_all_is_free,
    idle_pillar,
    loudness,
    open_sockets,
    pitch_of,
    run,
    until,
    watching,
)

from common import webrtc
from common.webrtc import BadOffer
from sim.pillar import PillarServer, whep
from sim.pillar.watchers import WATCHERS_MAX
from sim.real.flash_image import PROJECT

SOUND_BLOCKS = 50
PITCH_ERROR_HZ = 3


def url(server: PillarServer) -> str:
    return server.stream(DEVICE)["webrtc"]


def test_pictures_advance(town: TestTown) -> None:
    server, pillar, _ = town

    async def watch() -> None:
        async with watching(url(server)) as watcher:
            await until(lambda: len(watcher.pictures) >= 20, "twenty pictures")
            stamps = [picture.pts or 0 for picture in watcher.pictures]
            assert stamps == sorted(set(stamps)), "the pictures' times do not rise"
            shown = {picture.to_ndarray().tobytes() for picture in watcher.pictures}
            assert len(shown) > len(stamps) / 2  # a loaded machine shows one twice
            assert (watcher.pictures[0].width, watcher.pictures[0].height) == (640, 360)

    run(watch())


def test_the_tone_begins_with_the_call_has_its_pitch_and_ends_with_it(town: TestTown) -> None:
    server, pillar, column = town

    async def listen() -> None:
        async with watching(url(server)) as watcher:
            await until(lambda: len(watcher.sound) >= SOUND_BLOCKS, "sound")
            assert loudness(watcher.sound) == 0, "there is no call, and something is to be heard"
            column.show("relay", closed=True)
            await until(lambda: loudness(watcher.sound[-5:]) > 1000, "the tone")
            first = len(watcher.sound)
            await until(lambda: len(watcher.sound) >= first + SOUND_BLOCKS, "a second of the tone")
            assert abs(pitch_of(watcher.sound[first:]) - pillar.intercom.pitch_hz) < PITCH_ERROR_HZ
            column.show("relay", closed=False)
            await until(lambda: loudness(watcher.sound[-5:]) < 20, "silence after the call")

    run(listen())


def test_the_operators_voice_arrives_during_the_call_only(town: TestTown) -> None:
    server, pillar, column = town

    async def speak() -> None:
        async with watching(url(server), Voice()) as watcher:
            await until(lambda: len(watcher.sound) >= SOUND_BLOCKS, "the connection stands")
            assert pillar.state()["heard"] == 0
            column.show("relay", closed=True)
            await until(lambda: pillar.state()["heard"] > 0.7, "the voice (half of full scale: 0.85)")
            column.show("relay", closed=False)
            assert pillar.state()["heard"] == 0

    run(speak())


def test_the_operator_and_the_person_at_the_pillar_hear_each_other(town: TestTown) -> None:
    server, pillar, column = town
    column.show("relay", closed=True)

    async def talk() -> None:
        async with (
            watching(url(server), Voice(300)) as operator,
            watching(f"{server.page(DEVICE)}person", Voice(700), video=False) as person,
        ):
            assert f"/{DEVICE}/person/" in person.session
            await until(lambda: loudness(operator.sound[-5:]) > 5000, "the person, five times as loud as the tone")
            await until(lambda: loudness(person.sound[-5:]) > 5000, "the operator")
            said, heard = len(operator.sound), len(person.sound)
            await until(lambda: len(operator.sound) >= said + SOUND_BLOCKS, "a second of the person")
            await until(lambda: len(person.sound) >= heard + SOUND_BLOCKS, "a second of the operator")
            assert abs(pitch_of(operator.sound[said:]) - 700) < PITCH_ERROR_HZ
            assert abs(pitch_of(person.sound[heard:]) - 300) < PITCH_ERROR_HZ
            assert pillar.state()["watchers"] == 1, "who stands at the pillar is no watcher"
            assert await person.hang_up() == 200
            await until(lambda: loudness(operator.sound[-5:]) < 5000, "the tone again")

    run(talk())


def test_who_asks_for_pictures_at_the_pillars_own_side_gets_none(town: TestTown) -> None:
    server, pillar, _ = town

    async def listen() -> None:
        async with watching(f"{server.page(DEVICE)}person") as person:
            await until(lambda: len(person.sound) >= 10, "sound")
            assert person.pictures == [] and pillar.camera.drawn == 0

    run(listen())


def test_delete_frees_everything(town: TestTown) -> None:
    server, pillar, _ = town

    async def come_and_go() -> None:
        async with aiohttp.ClientSession() as http:
            watcher = Watcher(http, url(server))
            assert await watcher.call() == 201
            assert pillar.state()["watchers"] == 1
            await until(lambda: watcher.pictures, "a picture")
            assert await watcher.hang_up() == 200
            assert pillar.state()["watchers"] == 0
            assert await watcher.hang_up() == 404, "ended twice"
            await watcher.close()

    sockets = open_sockets()
    run(come_and_go())
    assert_all_is_free(pillar, sockets)


def test_a_client_that_leaves_without_delete_frees_everything(town: TestTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "CONNECT_S", 600.0)  # that is not what frees it here
    server, pillar, _ = town

    async def come_and_go() -> None:
        async with watching(url(server)) as watcher:
            await until(lambda: watcher.pictures, "a picture")

    sockets = open_sockets()
    run(come_and_go())
    assert_all_is_free(pillar, sockets)


VANISHING = """
import asyncio, sys
from pillar_rig import until, watching

async def watch():
    async with watching(sys.argv[1]) as watcher:
        await until(lambda: watcher.pictures, "a picture")
        print("watching", flush=True)
        await asyncio.sleep(3600)

asyncio.run(watch())
"""


def test_a_client_that_is_killed_is_noticed(town: TestTown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes from it any more, not even the end of its DTLS. Without consent checks it would stay for ever."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.3)
    monkeypatch.setattr(webrtc, "CONNECT_S", 600.0)
    server, pillar, _ = town
    sockets = open_sockets()
    command = [sys.executable, "-c", VANISHING, url(server)]
    path = os.pathsep.join([str(PROJECT), str(PROJECT / "tests" / "rigs")])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as client:
        assert client.stdout is not None and client.stdout.readline() == "watching\n"
        assert pillar.state()["watchers"] == 1
        client.send_signal(signal.SIGKILL)
    assert_all_is_free(pillar, sockets)


def test_who_never_connects_gives_up_the_place(town: TestTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "CONNECT_S", 0.3)
    server, pillar, _ = town

    async def only_ask() -> None:
        async with aiohttp.ClientSession() as http:
            watcher = Watcher(http, url(server))
            offer = await watcher.offer()
            async with http.post(url(server), data=offer, headers=SDP) as response:
                assert response.status == 201
            await watcher.close()

    sockets = open_sockets()
    run(only_ask())
    assert_all_is_free(pillar, sockets)


def test_a_session_that_fails_late_frees_what_it_had(town: TestTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "CONNECT_S", 600.0)
    server, pillar, _ = town
    answer = whep.Session.answer

    async def fail(session: whep.Session, offer: str) -> str:
        await answer(session, offer)  # from here on it has sockets
        raise BadOffer("too late")

    monkeypatch.setattr(whep.Session, "answer", fail)

    async def ask() -> None:
        async with aiohttp.ClientSession() as http:
            watcher = Watcher(http, url(server))
            assert await watcher.call() == 400
            await watcher.close()

    sockets = open_sockets()
    run(ask())
    assert_all_is_free(pillar, sockets)


def test_there_are_places_for_some_and_an_end_makes_room(town: TestTown) -> None:
    server, pillar, _ = town

    async def crowd() -> None:
        async with aiohttp.ClientSession() as http:
            watchers = [Watcher(http, url(server)) for _ in range(WATCHERS_MAX + 2)]
            assert [await watcher.call() for watcher in watchers[:WATCHERS_MAX]] == [201] * WATCHERS_MAX
            late, later = watchers[WATCHERS_MAX:]
            assert await late.call() == 503 and "watch this pillar already" in late.text
            assert await watchers[0].hang_up() == 200
            assert await later.call() == 201
            await until(lambda: all(watcher.pictures for watcher in [*watchers[1:WATCHERS_MAX], later]), "pictures")
            for watcher in watchers:
                await watcher.close()

    sockets = open_sockets()
    run(crowd())
    assert_all_is_free(pillar, sockets)


def test_the_servers_end_is_the_end_of_all_sessions() -> None:
    with idle_pillar() as (server, pillar, _):

        async def watch_the_end() -> None:
            async with watching(url(server)) as watcher:
                await until(lambda: watcher.pictures, "a picture")
                await asyncio.to_thread(server.stop)
                await until(lambda: watcher.connection.connectionState == "closed", "the session is over")

        run(watch_the_end())
        assert pillar.watchers.count == 0
