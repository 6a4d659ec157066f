"""The documentation's site as a person sees it: headless Chromium, on a laptop's and a phone's screen."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support import ROOT

if os.environ.get("CI"):
    from selenium import webdriver  # in CI it is a fault when this is missing
else:
    webdriver = pytest.importorskip("selenium.webdriver")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
LAPTOP, PHONE = (1366, 768), (390, 844)
PAGES = sorted(str(p.relative_to(ROOT / "docs").with_suffix(".html")) for p in (ROOT / "docs").rglob("*.md"))
# Without a network: what Chromium would ask its maker for is switched off.
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
SWITCHES += ["--disable-background-networking", "--disable-component-update"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    others = ROOT / ".cache/kept-by-the-documentation"  # what other tools keep there is theirs
    others.mkdir(parents=True, exist_ok=True)
    made = subprocess.run([sys.executable, ROOT / "dev.py", "docs"], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    others.rmdir()
    handler = functools.partial(Quiet, directory=str(ROOT / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not (CHROMIUM and DRIVER) and not os.environ.get("CI"):
        pytest.skip("needs chromium and chromedriver (Debian: chromium-driver)")
    options = webdriver.ChromeOptions()
    for switch in [*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(switch)
    options.binary_location = CHROMIUM
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def show(browser: Any, url: str, size: tuple[int, int]) -> None:
    width, height = size
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(url)


def is_any_visible(browser: Any, selector: str) -> bool:
    return bool(
        browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].some(e => { const b = e.getBoundingClientRect();"
            "return b.width > 0 && b.left >= 0 && b.right <= innerWidth && b.top < innerHeight; })",
            selector,
        )
    )


# What is wider than the page must lie in a box of its own that scrolls.
OVERFLOWING = """
const wide = [];
for (const e of document.querySelectorAll("article *")) {
  if (e.getBoundingClientRect().right <= innerWidth + 1) continue;
  let box = e;
  while (box && !["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX)) box = box.parentElement;
  if (!box || box === document.body || box === document.documentElement) wide.push(e.outerHTML.slice(0, 120));
}
return [document.documentElement.scrollWidth - innerWidth, wide.slice(0, 5)];
"""


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_no_page_scrolls_sideways_and_navigation_can_be_reached(browser: Any, site: str, size: tuple[int, int]) -> None:
    for page in PAGES:
        show(browser, site + page, size)
        overhang, wide = browser.execute_script(OVERFLOWING)
        assert overhang <= 0 and not wide, (page, overhang, wide)
        assert browser.find_element("css selector", "article h1").text, page
        navigation = "header label[for=__drawer]" if size == PHONE else ".md-sidebar--primary .md-nav__link"
        assert is_any_visible(browser, navigation), page


def test_the_phones_menu_opens(browser: Any, site: str) -> None:
    show(browser, site + "index.html", PHONE)
    browser.find_element("css selector", "header label[for=__drawer]").click()
    assert browser.execute_script("return document.querySelector('#__drawer').checked")
    titles = {link.get_attribute("href") for link in browser.find_elements("css selector", ".md-sidebar--primary a")}
    assert site + "install.html" in titles


def test_dark_mode_changes_the_colours(browser: Any, site: str) -> None:
    show(browser, site + "index.html", LAPTOP)
    colours = [browser.execute_script("return getComputedStyle(document.body).backgroundColor")]
    browser.execute_script("document.querySelector('form[data-md-component=palette] label:not([hidden])').click()")
    colours.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


def test_code_is_highlighted_and_can_be_copied(browser: Any, site: str) -> None:
    show(browser, site + "runners.html", LAPTOP)
    assert browser.find_elements("css selector", "article pre .kn"), "no highlighted import"
    assert browser.find_elements("css selector", "article .md-code__button, article .md-clipboard"), "no copy button"


def test_the_reference_has_every_public_name(site: str) -> None:
    import fastlambda

    text = (ROOT / "site/reference/runtime.html").read_text()
    missing = [name for name in {*fastlambda._ROOMS} - {"__version__"} if f'id="fastlambda.{name}"' not in text]
    assert not missing


def test_the_search_knows_the_pages(site: str) -> None:
    index = (ROOT / "site/search.json").read_text()
    for word in ("InvocationTimeout", "FASTLAMBDA_GUARD", "BatchRunner"):
        assert word in index


def test_nothing_is_fetched_from_another_host(browser: Any, site: str) -> None:
    show(browser, site + "performance.html", LAPTOP)
    seen = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert seen and all(name.startswith((site, "data:", "blob:")) for name in seen), seen


def test_the_plots_of_the_benchmark_are_shown(browser: Any, site: str) -> None:
    show(browser, site + "performance.html", LAPTOP)
    widths = browser.execute_script("return [...document.querySelectorAll('article img')].map(i => i.naturalWidth)")
    assert len(widths) >= 3 and all(widths)
