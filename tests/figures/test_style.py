import matplotlib

from dpsynth.figures.style import figure, figure_style, render, save


def picture():
    with figure_style():
        drawn = figure(2, 1)
        drawn.subplots().plot([0, 1], [1, 0])
    return drawn


def test_saves_each_format_and_makes_folders(tmp_path):
    files = save(picture(), tmp_path / "new" / "a.b")
    assert [file.name for file in files] == ["a.b.png", "a.b.svg"]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in files[1].read_bytes()


def test_the_same_picture_gives_the_same_bytes():
    assert render(picture(), "svg") == render(picture(), "svg")
    assert render(picture(), "png") == render(picture(), "png")


def test_the_callers_settings_come_back():
    before = dict(matplotlib.rcParams)
    render(picture())
    assert dict(matplotlib.rcParams) == before
