"""The page in a real browser: from an upload to a zip, nothing loaded from elsewhere."""

import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("streamlit", reason="the page needs the extra 'ui'")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, and a browser")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed"),
]


@pytest.fixture
def address(tmp_path):
    words = [sys.executable, "-m", "dpsynth", "ui", "--no-browser", "--folder", str(tmp_path / "projects")]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().strip()
    server.send_signal(signal.SIGINT)
    assert server.wait(60) == 128 + signal.SIGINT


@pytest.fixture
def page(address):
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


def test_from_an_upload_to_a_zip(page, address, tmp_path):
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.goto(address.split("?")[0])
    page.wait_for_selector("text=whole address")
    assert page.get_by_role("button", name="Create").count() == 0
    page.goto(address)
    page.get_by_label("New project").fill("survey")
    page.get_by_role("button", name="Create").click()
    page.set_input_files("input[type=file]", EXAMPLES / "people.csv")
    page.wait_for_selector("text=people.csv")
    page.get_by_role("button", name="Take this file").click()
    page.wait_for_selector("text=PRIVATE")
    page.get_by_text("2 Schema", exact=True).first.click()
    page.get_by_role("tab", name="YAML").click()
    page.get_by_role("textbox", name="schema.yaml").fill((EXAMPLES / "people.yaml").read_text())
    page.get_by_role("button", name="Save YAML").click()
    page.wait_for_selector("text=by declared facts")
    page.get_by_text("3 Budget and method", exact=True).first.click()
    page.wait_for_selector("text=Who spends what")
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")  # by the keyboard alone: epsilon 2
    page.wait_for_selector("text=auto takes aim")
    page.get_by_text("4 Train", exact=True).first.click()
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_selector("text=Finished. Go on")
    page.get_by_text("5 Release", exact=True).first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the release").click()
    download.value.save_as(tmp_path / "release.zip")
    with zipfile.ZipFile(tmp_path / "release.zip") as archive:
        assert {"release/synthetic.csv", "release/privacy.json"} <= set(archive.namelist())
        assert not [name for name in archive.namelist() if "private" in name]
    page.get_by_role("tab", name="Evaluate").click()
    page.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_selector("text=PRIVATE: the report")
    assert hosts <= {"127.0.0.1", None}
