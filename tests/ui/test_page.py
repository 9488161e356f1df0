"""The page, as somebody clicks through it, without a browser."""

import time
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the page needs the extra 'ui'")
from streamlit.testing.v1 import AppTest

import dpsynth.ui
from dpsynth.ui.server import FOLDER, TOKEN

PAGE = str(Path(dpsynth.ui.__file__).with_name("page.py"))
SCHEMA = """columns:
  age: {kind: integer, bounds: [0, 99]}
  sex: {kind: category, categories: [F, M]}
rows: 300
"""


@pytest.fixture
def opened(tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN, "right")
    monkeypatch.setenv(FOLDER, str(tmp_path / "projects"))

    def page(token="right"):
        found = AppTest.from_file(PAGE, default_timeout=60)
        found.query_params["token"] = token
        return clean(found.run())

    return page


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("age,sex\n" + "".join(f"{20 + n % 50},{'FM'[n % 2]}\n" for n in range(300)))
    return path


def clean(page):
    assert not page.exception, page.exception
    return page


def button(page, label):
    return next(each for each in page.button if each.label == label)


def text(page, label):
    return next(each for each in (*page.text_input, *page.text_area) if each.label == label)


def project(page, name="survey"):
    text(page, "New project").set_value(name)
    return clean(button(page, "Create").click().run())


def step(page, number):
    radio = next(each for each in page.sidebar.radio if each.label == "Step")
    return clean(radio.set_value(next(each for each in radio.options if each.startswith(number))).run())


def shown(page):
    parts = (*page.error, *page.warning, *page.success, *page.info, *page.text, *page.markdown, *page.code)
    return "\n".join(part.value for part in parts)


@pytest.mark.parametrize("token", ["", "wrong", "rightt", "ri\u00e9"])
def test_nothing_is_shown_without_the_token(opened, token):
    page = opened(token)
    assert "whole address" in page.error[0].value
    assert not page.button
    assert not page.sidebar.children or not page.sidebar.title


def take(page, people):
    text(page, "or name a file on this computer").set_value(str(people))
    return clean(button(page, "Take this file").click().run())


def test_from_a_file_to_a_release(opened, people):
    page = take(project(opened()), people)
    assert "PRIVATE" in page.error[0].value
    assert "not checked yet" in shown(step(page, "4"))
    page = step(page, "2")
    assert "2 of 2 columns are not checked" in shown(page)
    text(page, "schema.yaml").set_value(SCHEMA)
    page = clean(button(page, "Save YAML").click().run())
    assert "Saved." in shown(page)
    page = step(page, "3")
    assert "at most" in shown(page)
    page = step(page, "4")
    page = clean(button(page, "Train").click().run())
    end = time.monotonic() + 240  # training takes seconds, on a busy machine minutes
    while "Finished" not in shown(page) and time.monotonic() < end:
        time.sleep(0.5)
        page = clean(page.run())
    assert "Finished" in shown(page)
    page = step(page, "5")
    assert "differential privacy" in shown(page)
    text(page, "Conditions").set_value("{sex: [F]}")
    page = clean(button(page, "Draw").click().run())
    drawn = page.dataframe[0].value
    assert set(drawn["sex"]) == {"F"}
    text(page, "Title").set_value("A survey")
    page = clean(button(page, "Write the documents").click().run())
    folder = next(each.value for each in page.code if each.value.endswith("release"))
    assert "A survey" in (Path(folder) / "README.md").read_text()


def test_what_is_not_checked_can_be_estimated_privately(opened, people):
    page = step(take(project(opened()), people), "2")
    page = clean(button(page, "Estimate all that is not checked privately").click().run())
    assert "not checked" not in shown(page)
    assert "private" in text(page, "schema.yaml").value


@pytest.mark.parametrize("path", ["gone.csv", "people.xlsx"])
def test_a_mistake_is_a_line_on_the_page(opened, tmp_path, path):
    (tmp_path / "people.xlsx").write_text("x")
    page = take(project(opened()), tmp_path / path)
    assert len(page.error) == 1
    assert path in page.error[0].value.replace("\\", "")


def test_a_schema_that_does_not_read_is_not_saved(opened, people):
    page = step(take(project(opened()), people), "2")
    before = text(page, "schema.yaml").value
    text(page, "schema.yaml").set_value("columns: {age: {kind: integr}}")
    page = clean(button(page, "Save YAML").click().run())
    assert "integr" in page.error[0].value
    assert text(step(opened(), "2"), "schema.yaml").value == before


def test_names_are_shown_as_they_are(opened, tmp_path):
    """A column cannot bring Markdown, a picture or a script to the page."""
    evil = "![x](http://evil.example/a.png)<script>alert(1)</script> $a$"
    path = tmp_path / "evil.csv"
    path.write_text(f'"{evil}",b\n' + "1,2\n2,3\n" * 30)
    page = step(take(project(opened()), path), "2")
    for part in (*page.markdown, *page.warning, *page.error, *page.caption):
        assert "![x](" not in part.value
        assert "<script>" not in part.value
    text(page, "schema.yaml").set_value(f"columns:\n  '{evil}': {{kind: nonsense}}\n")
    page = clean(button(page, "Save YAML").click().run())
    assert page.error
    for part in page.error:
        assert "![x](" not in part.value
        assert "<script>" not in part.value.replace("\\<", "")


def test_two_sessions_do_not_mix(opened, people):
    one = take(project(opened(), "first"), people)
    two = project(opened(), "second")
    assert "people.csv" not in shown(two)
    assert str(people) in shown(clean(one.run()))
