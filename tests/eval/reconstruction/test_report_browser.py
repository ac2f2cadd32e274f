"""The report in a real browser: it sorts, switches splits, plays nothing, asks for nothing, complains about nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import report_run

from eval.reconstruction import report as reporting

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")

TABLE = ".panel:not([hidden]) > .scroll table"
ROWS = f"{TABLE} tbody:first-of-type tr"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reporting.write(report_run.make(tmp_path_factory.mktemp("report") / "run"))


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The loaded page; after the test, that nothing was complained about or asked for."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    troubles: list[str] = []
    opened.on("console", lambda message: troubles.append(f"console: {message.text}"))
    opened.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    opened.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
    opened.on("request", lambda request: troubles.append(request.url) if _is_foreign(request.url, report) else None)
    opened.goto(report.as_uri())
    yield opened
    playing = opened.evaluate("[...document.querySelectorAll('audio')].filter((one) => !one.paused).length")
    context.close()
    assert troubles == []
    assert playing == 0


def _is_foreign(address: str, report: Path) -> bool:
    return not address.startswith(("data:", report.as_uri()))


def column(page: Any, index: int) -> list[float | None]:
    """The values by which the codecs' rows are sorted, from top to bottom."""
    script = "(rows, index) => rows.map((row) => row.cells[index].dataset.value ?? null)"
    values = page.locator(ROWS).evaluate_all(script, index)
    return [None if value is None else float(value) for value in values]


def names(page: Any) -> list[str]:
    return page.locator(f"{ROWS} .name").all_text_contents()


def heading(page: Any, text: str) -> tuple[Any, int]:
    found = page.locator(f"{TABLE} thead th", has_text=text).first
    return found, found.evaluate("(cell) => cell.cellIndex")


def test_a_click_sorts_by_number_and_a_second_one_the_other_way(page: Any):
    assert names(page) == ["alpha", "beta", report_run.HOSTILE, "delta"]
    mel, index = heading(page, "mel")
    assert mel.get_attribute("aria-sort") is None
    mel.locator("button").click()
    assert column(page, index) == [2.0, 9.25, 10.5, None]
    assert names(page) == [report_run.HOSTILE, "beta", "alpha", "delta"]
    assert mel.get_attribute("aria-sort") == "ascending"
    mel.locator("button").click()
    assert column(page, index) == [10.5, 9.25, 2.0, None]
    assert mel.get_attribute("aria-sort") == "descending"
    # Bounds and published rows stay in their own groups.
    assert page.locator(f"{TABLE} tbody.bounds .name").all_text_contents() == ["identity"]


def test_equal_values_keep_their_order_and_the_keyboard_sorts_too(page: Any):
    pesq, index = heading(page, "pesq")
    pesq.locator("button").focus()
    page.keyboard.press("Enter")
    assert pesq.get_attribute("aria-sort") == "descending"
    ordered = names(page)
    assert column(page, index) == [3.625, 3.3125, 1.5, None]
    count, _ = heading(page, "failed")
    count.locator("button").focus()
    page.keyboard.press("Space")
    assert names(page) == ordered
    assert page.locator(f"{TABLE} [aria-sort]").count() == 1


def test_tabs_switch_the_split_of_tables_and_samples(page: Any):
    _, index = heading(page, "mel")
    assert page.locator(".clip:visible").count() == 1
    page.get_by_role("tab", name="Music").click()
    assert page.locator(".panel:visible").count() == 1
    assert column(page, index) == [0.5, 1.75, 9.0, None]
    assert page.locator(".clip:visible").get_attribute("data-split") == "Music"
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="Overall").get_attribute("aria-selected") == "true"
    assert page.locator(".clip:visible").count() == 2


def test_published_rows_metrics_and_plots_can_be_chosen(page: Any):
    assert page.locator("tbody.published:visible").count() == 1
    page.locator(".show-published:visible").uncheck()
    assert page.locator("tbody.published:visible").count() == 0
    assert page.locator(".plots figure:visible").count() == 2
    page.locator(".chips:visible input").first.uncheck()
    assert page.locator(".plots figure:visible").get_attribute("data-choice") == "pesq"
    page.locator(".panel:visible summary", has_text="By source").click()
    page.locator(".panel:visible details[open] select").select_option("pesq")
    assert page.locator(".panel:visible [data-choice=pesq] table:visible").count() == 1
    assert page.locator(".panel:visible details [data-choice=mel] table:visible").count() == 0


def test_the_pictures_and_the_sounds_can_be_used(page: Any):
    sizes = page.evaluate("Promise.all([...document.images].map((one) => one.decode().then(() => one.naturalWidth)))")
    assert len(sizes) == 10
    assert min(sizes) > 100
    script = """new Promise((done) => {
        const sound = document.querySelector('audio');
        sound.addEventListener('loadedmetadata', () => done(sound.duration));
        sound.addEventListener('error', () => done(sound.error.message));
        sound.preload = 'metadata';
        sound.load();
    })"""
    assert page.evaluate(script) == pytest.approx(1.0)


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_is_no_wider_than_the_screen(page: Any, width: int):
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
