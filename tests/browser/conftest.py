"""A real browser without a window: Chromium, driven through selenium, with nothing downloaded by either."""

import os
import shutil
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVERS = ("chromedriver",)
NEEDED = "GROKINTERP_NEEDS_BROWSER"
"""Set in continuous integration, where a missing browser is a failure."""


def first_of(names) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """One browser for all tests; its downloads go to `driver.downloads`."""
    browser, helper = first_of(BROWSERS), first_of(DRIVERS)
    if browser is None or helper is None:
        missing = "no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get(NEEDED):
            pytest.fail(missing)
        pytest.skip(missing)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    one = webdriver.Chrome(options=options, service=Service(helper))
    one.downloads = tmp_path_factory.mktemp("downloads")
    one.set_script_timeout(60)
    one.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(one.downloads)})
    yield one
    one.quit()


@pytest.fixture(scope="session")
def report_path(grokked_run) -> Path:
    """The page of a run that grokked."""
    import grokinterp as gi

    return gi.report(grokked_run, show_progress=False)
