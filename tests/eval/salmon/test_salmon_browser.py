"""The SALMon report in a real browser: it switches scores, sorts, fits the screen, and complains about nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import salmon_runs

from eval.salmon import published_accuracies, report, salmon_results, salmon_table

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")

ROWS = ".panel:not([hidden]) > .scroll table tbody:first-of-type tr"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The loaded page; at the end, that nothing was complained about or asked for."""
    run, folder = salmon_runs.run(), Path(tmp_path_factory.mktemp("salmon")) / "run"
    table = salmon_table.tables(run, "token", "good")
    settings = salmon_results.SalmonSettings(("salmon",), "token", 8, "cpu", baseline="good")
    kept = salmon_runs.samples(folder)
    contents = salmon_results.document(run, table, salmon_runs.suite(), settings, kept, published_accuracies.rows())
    salmon_results.write(folder, contents, salmon_results.pair_rows(run), "")
    written = report.write(folder)
    troubles: list[str] = []
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        opened.on("console", lambda message: troubles.append(f"console: {message.text}"))
        opened.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        opened.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        opened.goto(written.as_uri())
        yield opened
        browser.close()
    assert troubles == []


def test_a_heading_sorts_within_the_measured_models(page: Any):
    page.locator(".panel:not([hidden]) thead th", has_text="RIR").first.locator("button").click()
    assert page.locator(f"{ROWS} .name").all_text_contents() == ["good", salmon_runs.HOSTILE, "uniform"]
    assert page.locator(".panel:not([hidden]) tbody.published tr:not(.group)").count() == len(
        published_accuracies.rows()
    )


def test_tabs_switch_the_scores_and_leave_the_pairs_to_listen_to(page: Any):
    page.get_by_role("tab", name="Summed").click()
    assert page.locator(".panel:visible h2").first.text_content() == (
        "Leaderboard by log-likelihood summed over the tokens"
    )
    assert page.locator(".clip:visible").count() == len(salmon_runs.PARTS)
    page.get_by_role("tab", name="Nats a token").click()
    assert page.locator(".panel:visible").count() == 1


def test_parts_and_published_rows_can_be_left_out(page: Any):
    assert page.locator(".plots figure:visible").count() == 3
    page.locator(".chips:visible input").first.uncheck()
    assert page.locator(".plots figure:visible").count() == 2
    page.locator(".show-published:visible").uncheck()
    assert page.locator(".published:visible").count() == 0


def test_pictures_are_sound_and_recordings_can_be_played(page: Any):
    sizes = page.evaluate("Promise.all([...document.images].map((one) => one.decode().then(() => one.naturalWidth)))")
    assert len(sizes) == 6
    script = """new Promise((done) => {
        const sound = document.querySelector('audio');
        sound.addEventListener('loadedmetadata', () => done(sound.duration));
        sound.addEventListener('error', () => done(sound.error.message));
        sound.preload = 'metadata';
        sound.load();
    })"""
    assert page.evaluate(script) == pytest.approx(1.0)


@pytest.mark.parametrize("width", [390, 800, 1100, 1440])
def test_the_page_is_no_wider_than_the_screen(page: Any, width: int):
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
