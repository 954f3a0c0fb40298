"""The page in a real browser: no error, no request, one slider that moves everything, keys, hover, dark, phone."""

import json
import shutil
import time

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.config import RunConfig

pytest.importorskip("selenium", reason="selenium is not installed; pip install 'grokinterp[test]'")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = [
    pytest.mark.browser,
    # selenium's own sockets, left to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def wait(driver, script, *arguments, seconds=60):
    """Until the script returns something true; that is returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = driver.execute_script(script, *arguments)
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {script}")


def show(driver, path, width=1280, height=900, dark=False):
    """Load the page anew in a window of that size, and wait until it is ready."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get_log("browser")
    driver.get_log("performance")
    driver.get(path.as_uri())
    wait(driver, "return document.documentElement.dataset.ready === 'true'")


def names(driver):
    return driver.execute_script("return [...document.querySelectorAll('.card')].map(c => c.id.slice(5))")


def drawn(driver, name):
    """Bring a card into sight and wait until its figure is of the chosen checkpoint; what it shows, as text."""
    script = """
    const card = document.getElementById('view-' + arguments[0]);
    card.scrollIntoView({block: 'center'});
    const plot = card.querySelector('.plot');
    if (!plot.querySelector('.main-svg') || card.dataset.stale !== 'false') return null;
    const { shapes, annotations } = plot.layout;
    return JSON.stringify([plot.data, shapes, annotations, card.querySelector('.when').textContent]);
    """
    return wait(driver, script, name)


def step(driver):
    return int(driver.find_element(By.CSS_SELECTOR, "#now b").text.removeprefix("step "))


def press(driver, *keys):
    chain = ActionChains(driver)
    for key in keys:
        chain = chain.send_keys(key)
    chain.perform()


def slide(driver, index):
    driver.execute_script(
        "const s = document.getElementById('slider'); s.value = arguments[0]; s.dispatchEvent(new Event('input'));",
        index,
    )


def errors(driver):
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def requests(driver):
    """Addresses that the browser asked for, but those of data that the page itself holds."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if not url.startswith(("data:", "blob:"))]


def test_the_page_loads_and_draws_every_view_without_an_error_or_a_request(driver, report_path):
    show(driver, report_path)
    for name in names(driver):
        assert drawn(driver, name)
    assert errors(driver) == []
    assert requests(driver) == [report_path.as_uri()]
    assert len(names(driver)) == 17


def test_one_slider_moves_every_view(driver, report_path, grokked_run):
    show(driver, report_path)
    last = {name: drawn(driver, name) for name in names(driver)}
    slide(driver, 0)
    assert step(driver) == grokked_run.steps[0]
    first = {name: drawn(driver, name) for name in names(driver)}
    still = [name for name in first if first[name] == last[name]]
    assert not still
    assert errors(driver) == []


def test_arrow_keys_home_end_and_space_move_it(driver, report_path, grokked_run):
    show(driver, report_path)
    steps = grokked_run.steps
    for keys, place in (
        ([Keys.HOME], 0),
        ([Keys.ARROW_LEFT], 0),
        ([Keys.ARROW_RIGHT] * 3, 3),
        ([Keys.ARROW_LEFT], 2),
        ([Keys.END], len(steps) - 1),
    ):
        press(driver, *keys)
        assert step(driver) == steps[place]
    press(driver, Keys.HOME, " ")
    wait(driver, "return document.querySelector('#now b').textContent.slice(5) >= arguments[0]", steps[2])
    press(driver, " ")
    stopped = step(driver)
    time.sleep(0.6)
    assert step(driver) == stopped
    assert driver.find_element(By.ID, "play").get_attribute("aria-label") == "play"


def test_tab_reaches_every_control_and_its_focus_is_seen(driver, report_path):
    show(driver, report_path)
    reached = set()
    for _ in range(12):
        press(driver, Keys.TAB)
        reached.add(driver.execute_script("return document.activeElement.id || document.activeElement.ariaLabel"))
        width = driver.execute_script("return getComputedStyle(document.activeElement).outlineWidth")
        assert width != "0px"
    assert {"theme", "save Loss as png", "save Loss as svg"} <= reached


def test_hovering_says_the_exact_value(driver, report_path, grokked_run):
    show(driver, report_path)
    drawn(driver, "spectrum")
    k = grokked_run.key_frequencies.ks[0]
    bar = driver.find_elements(By.CSS_SELECTOR, "#view-spectrum .bars .point path")[k]
    ActionChains(driver).move_to_element(bar).perform()
    text = wait(driver, "return document.querySelector('#view-spectrum .hoverlayer').textContent")
    table = grokked_run.table("embedding_spectrum.components")
    last = table[(table["step"] == table["step"].max()) & (table["matrix"] == "W_E") & (table["k"] == k)]
    assert f"k = {k}" in text
    assert float(text.split("norm ")[1]) == pytest.approx(float(last["norm"].iloc[0]), rel=1e-5)


def test_a_click_on_a_frequency_follows_it_in_every_view(driver, report_path, grokked_run):
    show(driver, report_path)
    key = grokked_run.key_frequencies.ks[0]
    other = next(k for k in range(1, grokked_run.task.coordinates.n // 2) if k not in grokked_run.key_frequencies.ks)
    drawn(driver, "spectrum")
    bar = driver.find_elements(By.CSS_SELECTOR, "#view-spectrum .bars .point path")[other]
    ActionChains(driver).move_to_element(bar).click().perform()
    wait(driver, "return document.getElementById('other-k').value === String(arguments[0])", other)
    following = ("spectrum", "spectrogram", "circle", "pca", "clusters", "neurons", "correct", "answer", "attention")
    before = {name: drawn(driver, name) for name in (*following, "progress")}
    assert f"k = {other} at" in before["circle"]
    assert f"excluded (k = {other} alone" in before["progress"]
    driver.find_element(By.CSS_SELECTOR, f"#follow button[data-k='{key}']").click()
    changed = {name: drawn(driver, name) for name in before}
    # no cluster of its own, so that nothing of the other one was shown there
    assert [name for name in before if changed[name] == before[name]] in ([], ["clusters"])
    assert f"k = {key} at" in changed["circle"]
    assert errors(driver) == []


def test_dark_is_taken_from_the_system_and_switched_by_the_button(driver, report_path):
    ground = "return getComputedStyle(document.body).backgroundColor"
    paper = "return document.querySelector('#view-loss .plot').layout.paper_bgcolor"
    show(driver, report_path, dark=True)
    drawn(driver, "loss")
    dark = driver.execute_script(ground), driver.execute_script(paper)
    driver.execute_script("window.scrollTo(0, 0)")
    driver.find_element(By.ID, "theme").click()
    drawn(driver, "loss")
    light = driver.execute_script(ground), driver.execute_script(paper)
    assert dark == ("rgb(19, 20, 21)", "#1d1f21")
    assert light == ("rgb(246, 247, 248)", "#ffffff")
    assert errors(driver) == []


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_window(width, driver, report_path):
    show(driver, report_path, width=width, height=844)
    for name in names(driver):
        drawn(driver, name)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    outside = driver.execute_script(
        "return [...document.querySelectorAll('.card, .plot, .main-svg, #player > *')]"
        ".filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).map(e => e.className.baseVal || e.id)"
    )
    assert outside == []


def test_a_figure_is_saved_as_png_and_as_svg(driver, report_path):
    show(driver, report_path)
    for name, head in (("spectrum", b"<svg"), ("table", b"<svg"), ("table", b"\x89PNG")):
        form = "svg" if head == b"<svg" else "png"
        drawn(driver, name)
        driver.execute_script(
            f"[...document.querySelectorAll('#view-{name} button')].find(b => b.textContent === '{form}').click()"
        )
        end = time.monotonic() + 60
        while not (found := list(driver.downloads.glob(f"*-{name}-*.{form}"))) and time.monotonic() < end:
            time.sleep(0.1)
        assert found, f"{name} was not saved as {form}"
        assert found[0].read_bytes().startswith(head)
    assert errors(driver) == []
    assert requests(driver) == [report_path.as_uri()]


def test_a_hostile_name_is_text(driver, grokked_run, tmp_path):
    name = "</script><script>alert(1)</script> \"'&amp; <img src=x onerror=alert(2)> 🙂"
    copy = gi.open(shutil.copytree(grokked_run.path, tmp_path / "run"))
    copy.rundir.write_config(RunConfig.from_mapping({**copy.config.model_dump(), "name": name}))
    show(driver, gi.report(gi.open(copy.path), show_progress=False))
    assert driver.find_element(By.TAG_NAME, "h1").text == f"{name}: {copy.config.task.operation}"
    assert driver.execute_script("return document.images.length + document.querySelectorAll('h1 *').length") == 0
    assert errors(driver) == []


@pytest.mark.parametrize(
    ("task", "model", "absent"),
    [
        ({"p": 7, "frac_train": 0.6}, {"kind": "mlp"}, "Attention to the left operand"),
        ({"operation": "x.y", "group": "S3", "p": None}, None, "The circle of one frequency"),
    ],
    ids=["mlp", "S3"],
)
def test_what_a_run_cannot_show_is_listed_and_no_box_is_empty(task, model, absent, driver, tmp_path):
    config = small_config(task=task) if model is None else {"task": task, "model": model, "train": {"steps": 20}}
    config = config if model is None else gi.RunConfig.from_mapping(config)
    run = gi.train(config, tmp_path / "run", show_progress=False)
    gi.analyze(run, ["accuracy_loss", "weight_norm", "symbol_pca"], show_progress=False, jobs=1)
    show(driver, gi.report(run, show_progress=False))
    for name in names(driver):
        assert drawn(driver, name)
    listed = [item.text for item in driver.find_elements(By.CSS_SELECTOR, "#missing li")]
    assert any(line.startswith(f"{absent}: ") for line in listed)
    assert errors(driver) == []
