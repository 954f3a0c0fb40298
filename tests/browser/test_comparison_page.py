"""The page of many runs in a real browser: no error, no request, sorting, filtering, one run followed everywhere."""

import json

import pytest
from folders_of_runs import write_grid, write_run, write_troubles

import grokinterp as gi
from grokinterp.runs.rundir import RunDir

pytest.importorskip("selenium", reason="selenium is not installed; pip install 'grokinterp[test]'")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser.test_report_page import drawn, errors, names, press, requests, show, wait

pytestmark = [
    pytest.mark.browser,
    # selenium's own sockets, left to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
FOLLOWED = "muon-frac_train=0.6-seed1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of four settings, among them one with a page of its own, and some with troubles."""
    path = tmp_path_factory.mktemp("comparison") / "sweep"
    write_grid(path)
    write_troubles(path)
    RunDir(path / FOLLOWED).report_path.write_text("<title>its own page</title>")
    return path


@pytest.fixture(scope="module")
def page(folder):
    return gi.report(folder, show_progress=False)


def column(driver, label):
    """The texts of a column, from the top."""
    script = """
    const heads = [...document.querySelectorAll('.rows th')].map(th => th.textContent);
    const place = heads.indexOf(arguments[0]);
    const rows = [...document.querySelectorAll('.rows tbody tr')].filter(tr => !tr.hidden);
    return rows.map(tr => tr.cells[place].textContent);
    """
    return driver.execute_script(script, label)


def head(driver, label):
    buttons = driver.find_elements(By.CSS_SELECTOR, ".rows th button")
    return next(button for button in buttons if button.text.strip() == label)


def row(driver, name):
    rows = driver.find_elements(By.CSS_SELECTOR, ".rows tbody tr")
    return next(one for one in rows if one.find_element(By.TAG_NAME, "td").text == name)


def followed(driver):
    """The run's name in the bar at the foot; None where the bar is hidden."""
    return driver.execute_script(
        "const bar = document.getElementById('followed'); return bar.hidden ? null : bar.querySelector('b').textContent"
    )


def rings(driver, name):
    """How many rings around the followed run a figure has."""
    drawn(driver, name)
    script = (
        f"return document.querySelector('#view-{name} .plot').data.filter(t => t.marker && t.marker.size === 17).length"
    )
    return driver.execute_script(script)


def widest_lines(driver, name):
    """Curves of a panel that are drawn wide."""
    drawn(driver, name)
    script = f"return document.querySelector('#view-{name} .plot').data.filter(t => t.line.width === 3).length"
    return driver.execute_script(script)


def panel_of(driver, title):
    return driver.execute_script(
        "return [...document.querySelectorAll('#panels .card')]"
        ".find(c => c.querySelector('h3').textContent === arguments[0]).id.slice(5)",
        title,
    )


def test_the_page_loads_and_draws_every_figure_without_an_error_or_a_request(driver, page):
    show(driver, page)
    assert len(names(driver)) == 6  # steps, survival and four settings
    for name in names(driver):
        assert drawn(driver, name)
    assert errors(driver) == []
    assert requests(driver) == [page.as_uri()]
    assert "12 runs, of which 10 were watched" in driver.find_element(By.ID, "story").text
    assert len(driver.find_elements(By.CSS_SELECTOR, "#troubles li")) == 4


def test_a_click_on_a_column_sorts_by_it_and_a_second_one_the_other_way_round(driver, page):
    show(driver, page)
    head(driver, "grokked").click()
    up = column(driver, "grokked")
    assert up[:4] == ["100", "110", "200", "210"]
    assert up[4:8] == ["> 60", "> 100", "> 400", "> 400"]
    assert up[-2:] == ["–", "–"]
    head(driver, "grokked").click()
    down = column(driver, "grokked")
    assert down[:4] == ["> 400"] * 4
    assert down[-4:] == ["110", "100", "–", "–"]
    sorts = driver.execute_script("return [...document.querySelectorAll('.rows th')].map(th => th.ariaSort)")
    assert [sort for sort in sorts if sort not in ("none", None)] == ["descending"]


def test_the_keyboard_sorts_and_goes_from_row_to_row(driver, page):
    show(driver, page)
    driver.execute_script("arguments[0].focus()", head(driver, "grokked"))
    press(driver, Keys.ENTER)
    assert column(driver, "grokked")[0] == "100"
    labels = len(driver.find_elements(By.CSS_SELECTOR, ".rows th button"))
    at = driver.execute_script(
        "return [...document.querySelectorAll('.rows th button')].indexOf(document.activeElement)"
    )
    press(driver, *[Keys.TAB] * (labels - at))
    assert followed(driver) == "muon-frac_train=0.6-seed0"
    for keys, name in (
        ([Keys.ARROW_DOWN], FOLLOWED),
        ([Keys.ARROW_DOWN], "adamw-frac_train=0.6-seed0"),
        ([Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP], "muon-frac_train=0.6-seed0"),
        ([Keys.END], "lost"),
        ([Keys.ESCAPE], None),
    ):
        press(driver, *keys)
        assert followed(driver) == name
    assert errors(driver) == []


def test_every_control_is_reached_by_tab_and_its_focus_is_seen(driver, page):
    show(driver, page)
    name = """
    const e = document.activeElement;
    return e.id || e.ariaLabel || (e.labels && e.labels[0].innerText.split('\\n')[0]);
    """
    reached = set()
    for _ in range(14):
        press(driver, Keys.TAB)
        reached.add(driver.execute_script(name))
        assert driver.execute_script("return getComputedStyle(document.activeElement).outlineWidth") != "0px"
    assert {
        "theme",
        "search",
        "frac_train",
        "optimizer",
        "which steps",
        "save How many steps it took as png",
    } <= reached


def test_a_clicked_row_is_followed_in_every_figure(driver, page):
    show(driver, page)
    panel = panel_of(driver, "frac_train = 0.6, optimizer = muon")
    assert (rings(driver, "steps"), rings(driver, "survival"), widest_lines(driver, panel)) == (0, 0, 0)
    row(driver, FOLLOWED).click()
    assert followed(driver) == FOLLOWED
    assert row(driver, FOLLOWED).get_attribute("aria-current") == "true"
    assert (rings(driver, "steps"), rings(driver, "survival")) == (1, 1)
    assert widest_lines(driver, panel) == 4
    assert "followed" in driver.find_element(By.ID, f"view-{panel}").get_attribute("class")
    link = driver.find_element(By.CSS_SELECTOR, "#followed a")
    assert link.get_attribute("href").endswith("/sweep/muon-frac_train%3D0.6-seed1/report.html")
    driver.find_element(By.CSS_SELECTOR, "#followed button[aria-label='follow no run']").click()
    assert followed(driver) is None
    assert (rings(driver, "steps"), widest_lines(driver, panel)) == (0, 0)
    assert errors(driver) == []


def test_a_clicked_point_is_followed_and_its_row_comes_into_sight(driver, page):
    show(driver, page)
    drawn(driver, "steps")
    point = driver.find_elements(By.CSS_SELECTOR, "#view-steps .scatterlayer .point")[0]
    ActionChains(driver).move_to_element(point).click().perform()
    name = wait(driver, "const b = document.querySelector('#followed b'); return b && b.textContent")
    inside = driver.execute_script(
        "const box = document.querySelector('.rows').getBoundingClientRect();"
        "const row = document.querySelector('tr[aria-current=true]').getBoundingClientRect();"
        "return row.top >= box.top && row.bottom <= box.bottom + 1"
    )
    assert inside
    assert row(driver, name).get_attribute("aria-current") == "true"


def test_a_link_opens_the_run_s_own_page_and_the_others_have_the_command(driver, page):
    show(driver, page)
    assert "grokinterp report sweep/adamw-frac_train=0.3-seed0" in row(driver, "adamw-frac_train=0.3-seed0").text
    link = row(driver, FOLLOWED).find_element(By.TAG_NAME, "a")
    driver.execute_script("arguments[0].click()", link)
    wait(driver, "return document.title === 'its own page'")


def test_filters_leave_runs_out_of_the_table_and_of_the_figures(driver, page):
    show(driver, page)
    search = driver.find_element(By.CSS_SELECTOR, "#filters input")
    search.send_keys("muon 0.6")
    wait(driver, "return document.querySelector('#filters output').textContent === '2 of 12 runs shown'")
    assert column(driver, "run") == ["muon-frac_train=0.6-seed0", FOLLOWED]
    points = "return document.querySelector('#view-steps .plot').data.filter(t => t.customdata).flatMap(t => t.y)"
    drawn(driver, "steps")
    assert sorted(driver.execute_script(points)) == [100, 110]
    shown = "return [...document.querySelectorAll('#panels .card')].filter(c => !c.hidden).length"
    assert driver.execute_script(shown) == 1
    search.send_keys(" nothing like it")
    wait(driver, "return document.querySelector('#filters output').textContent === '0 of 12 runs shown'")
    assert driver.find_element(By.CSS_SELECTOR, ".rows .none").is_displayed()
    driver.find_element(By.CSS_SELECTOR, "#filters button").click()
    assert len(column(driver, "run")) == 12
    assert errors(driver) == []


def test_each_choice_of_the_figures_draws_without_an_error(driver, page):
    show(driver, page)
    drawn(driver, "steps")
    for card in ("steps", "survival"):
        for select in driver.find_elements(By.CSS_SELECTOR, f"#view-{card} select"):
            for option in select.find_elements(By.TAG_NAME, "option"):
                option.click()
                assert drawn(driver, card)
    assert errors(driver) == []


def test_dark_is_taken_from_the_system_and_switched_by_the_button(driver, page):
    ground = "return getComputedStyle(document.body).backgroundColor"
    paper = "return document.querySelector('#view-steps .plot').layout.paper_bgcolor"
    show(driver, page, dark=True)
    drawn(driver, "steps")
    assert (driver.execute_script(ground), driver.execute_script(paper)) == ("rgb(19, 20, 21)", "#1d1f21")
    driver.execute_script("window.scrollTo(0, 0)")
    driver.find_element(By.ID, "theme").click()
    drawn(driver, "steps")
    assert (driver.execute_script(ground), driver.execute_script(paper)) == ("rgb(246, 247, 248)", "#ffffff")
    assert errors(driver) == []


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_window(width, driver, page):
    show(driver, page, width=width, height=844)
    driver.execute_script("arguments[0].click()", row(driver, FOLLOWED))
    for name in names(driver):
        drawn(driver, name)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    outside = driver.execute_script(
        "return [...document.querySelectorAll('.card, .plot, .main-svg, .rows, #filters > *, #followed > *')]"
        ".filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).map(e => e.className.baseVal || e.id)"
    )
    assert outside == []


def test_after_a_dozen_panels_the_others_come_when_asked_or_followed(driver, tmp_path):
    write_grid(tmp_path, fractions=[0.05 * i for i in range(4, 19)], optimizers=("adamw",), seeds=1)
    show(driver, gi.report(tmp_path, show_progress=False))
    count = "return [...document.querySelectorAll('#panels .card')].filter(c => !c.hidden).length"
    assert driver.execute_script(count) == 12
    last = driver.find_elements(By.CSS_SELECTOR, ".rows tbody tr")[-1]
    driver.execute_script("arguments[0].click()", last)
    assert driver.execute_script(count) == 13
    driver.execute_script("arguments[0].click()", driver.find_element(By.ID, "more"))
    assert driver.execute_script(count) == 15
    assert not driver.find_element(By.ID, "more").is_displayed()
    assert errors(driver) == []


def test_hostile_names_are_text(driver, tmp_path):
    name = "<img src=x onerror=alert(1)>&amp;<!--"
    task = {"operation": "custom", "p": None, "table": [[0, 1], [1, 0]], "frac_train": 0.5}
    for i, file in enumerate(["</script><script>alert(2)</script>", "<b onmouseover=alert(3)>b</b>"]):
        write_run(tmp_path / "sweep", f"{name}{i}", memorised=10, grokked=50 + i, last=60, task=task | {"file": file})
    RunDir(tmp_path / "sweep" / f"{name}0").report_path.write_text("")
    outcomes = {f"{name}1": {"state": "failed", "why": "<img src=x onerror=alert(4)>"}}
    (tmp_path / "sweep" / "outcomes.json").write_text(json.dumps(outcomes))
    (tmp_path / "sweep" / "recipe.json").write_text(json.dumps({"name": "</script><script>alert(5)</script>"}))
    page = gi.report(tmp_path / "sweep", show_progress=False)
    show(driver, page)
    for card in names(driver):
        drawn(driver, card)
    driver.execute_script("document.querySelectorAll('.rows tbody tr')[1].click()")
    drawn(driver, "steps")
    assert followed(driver) == f"{name}1"
    assert driver.execute_script("return document.images.length + document.querySelectorAll('td b, h3 *').length") == 0
    assert column(driver, "run") == [f"{name}0", f"{name}1"]
    assert errors(driver) == []
    assert requests(driver) == [page.as_uri()]


def test_a_folder_of_one_run_and_one_of_unfinished_ones_are_shown_too(driver, tmp_path):
    write_run(tmp_path / "one", "only", memorised=10, grokked=50, last=60, budget=60)
    write_run(tmp_path / "begun", "a", last=0)
    RunDir(write_run(tmp_path / "begun", "b")).metrics_path.unlink()
    for folder, cards in (("one", ["steps", "survival", "panel-0"]), ("begun", ["steps", "survival"])):
        show(driver, gi.report(tmp_path / folder, show_progress=False))
        assert names(driver) == cards
        for name in cards:
            assert drawn(driver, name)
        assert errors(driver) == []
