"""The listening page in a real browser: it plays, follows, answers keys, asks for nothing, complains about nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from soundcodec_llmcodec.audio import Clip
from soundcodec_llmcodec.listening import Excerpt, build
from soundcodec_llmcodec.pages import single_file

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")

SECONDS = 4
AUTOPLAY = "--autoplay-policy=no-user-gesture-required"


@pytest.fixture
def page(tmp_path, tiny_codec) -> Iterator[Any]:
    """The loaded page of two clips; after the test, that nothing was complained about or asked for."""
    generator = np.random.default_rng(0)
    clips = [Clip(generator.uniform(-0.1, 0.1, (1, SECONDS * 16_000)).astype(np.float32), 16_000) for _ in range(2)]
    excerpts = [Excerpt(f"<i>{index}.wav", clip, SECONDS) for index, clip in enumerate(clips)]
    file = single_file.write(build(excerpts, [tiny_codec], title="<b>"), tmp_path / "page.html")
    troubles: list[str] = []
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", AUTOPLAY])
        opened = browser.new_page(viewport={"width": 1200, "height": 900})
        opened.on("console", lambda message: troubles.append(f"console: {message.text}"))
        opened.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        own = ("data:", file.as_uri())
        opened.on("request", lambda asked: None if asked.url.startswith(own) else troubles.append(asked.url))
        opened.goto(file.as_uri())
        until(opened, "[...document.querySelectorAll('audio')].every((one) => one.readyState >= 1)")
        yield opened
        browser.close()
    assert troubles == []


def until(page: Any, expression: str) -> None:
    """Wait until it holds. Playwright's own waiting evaluates strings in the page, which the page's policy refuses."""
    for _ in range(500):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not within 10 s: {expression}")


def sound(index: int) -> str:
    return f"document.querySelectorAll('audio')[{index}]"


def test_every_sound_can_be_played(page):
    durations = page.evaluate("[...document.querySelectorAll('audio')].map((one) => one.duration)")
    assert durations == [SECONDS] * 4


def test_the_playhead_runs_and_another_player_goes_on_from_there(page):
    assert page.locator(".head:visible").count() == 0
    page.evaluate(f"{sound(1)}.currentTime = 2; {sound(1)}.play()")
    until(page, f"{sound(1)}.currentTime > 2.1")
    page.evaluate(f"{sound(0)}.play()")
    until(page, f"{sound(1)}.paused && {sound(0)}.currentTime > 2.1")
    page.evaluate(f"{sound(0)}.pause()")
    # Spectrograms of both lanes and the strip, of this clip alone.
    heads = page.locator(".head:visible").evaluate_all("(heads) => heads.map((one) => parseFloat(one.style.left))")
    assert len(heads) == 3
    assert len(set(heads)) == 1
    assert 50 < heads[0] <= 100
    assert "frame 1" in page.locator(".readout").first.text_content()
    page.evaluate(f"{sound(3)}.play()")
    until(page, f"{sound(3)}.currentTime > 0")
    assert page.evaluate(f"{sound(3)}.currentTime") < 2
    page.evaluate(f"{sound(3)}.pause()")


def test_keys_go_from_frame_to_frame_and_tell_the_code(page):
    strip = page.locator(".strip").first
    codes = strip.get_attribute("data-codes").split(" ")
    strip.focus()
    for key in ("PageDown", "Home", "PageUp", "ArrowRight", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    assert strip.get_attribute("aria-valuenow") == "11"
    assert strip.get_attribute("aria-valuetext") == f"0.22 s, frame 11, code {codes[11]}"
    assert page.locator(".readout").first.text_content() == strip.get_attribute("aria-valuetext")
    assert page.evaluate(f"{sound(1)}.currentTime") == pytest.approx(0.22)
    page.keyboard.press("End")
    assert strip.get_attribute("aria-valuenow") == str(len(codes) - 1)
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    until(page, f"!{sound(1)}.paused")
    page.keyboard.press("Space")
    until(page, f"{sound(1)}.paused")


def test_pointing_tells_the_code_and_a_click_goes_there(page):
    strip = page.locator(".strip").first
    box = strip.bounding_box()
    page.mouse.move(box["x"] + 0.5025 * box["width"], box["y"] + 5)
    assert page.locator(".readout").first.text_content().startswith("2.00 s, frame 100, code ")
    picture = page.locator(".picture").first
    box = picture.bounding_box()
    picture.click(position={"x": 0.25 * box["width"], "y": 20})
    assert page.evaluate(f"{sound(0)}.currentTime") == pytest.approx(1, abs=0.01)


def test_zoom_widens_the_lanes_within_the_page(page):
    wide = page.evaluate("document.querySelector('.lanes').scrollWidth")
    page.locator(".zoom").first.select_option("4")
    assert page.evaluate("document.querySelector('.lanes').scrollWidth") == pytest.approx(4 * wide, rel=0.01)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
