"""Dagster's pages, in the words of a person who uses them."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

#: Milliseconds for what a page shows by itself, and for what the daemon does: it looks at its
#: backfills every 30 seconds.
SOON, LATER = 60_000, 420_000

expect.set_options(timeout=SOON)


@dataclass(kw_only=True)
class DagsterUi:
    page: Page
    url: str
    location: str
    screenshots: Path

    def shot(self, name: str) -> None:
        self.page.screenshot(path=self.screenshots / f"{name}.png")

    def open(self, path: str) -> None:
        self.page.goto(self.url + path, wait_until="domcontentloaded", timeout=SOON)

    # The asset graph of an inference

    def open_graph(self, inference: str) -> None:
        self.open(f"/locations/{self.location}/asset-groups/{inference}/lineage")
        expect(self.node("bundle")).to_be_visible()

    def node(self, asset: str) -> Locator:
        return self.page.get_by_text(asset, exact=True).first

    def materialize(self, inference: str, partition: str) -> None:
        """All assets of one partition, by the dialog; ends on the page of the run."""
        self._open_dialog(inference)
        self.page.get_by_text("Select a partition").click()
        self.page.get_by_placeholder("Filter partitions").fill(partition)
        self.page.get_by_role("menuitem").filter(has_text=re.compile(partition)).last.click()
        self.page.keyboard.press("Escape")
        self.shot(f"{inference}-dialog")
        self.page.get_by_role("button", name="Launch 1 run").click()
        self._view_toast("Launched run")

    def backfill(self, inference: str) -> None:
        """All assets of all partitions, by the dialog; ends on the page of the backfill."""
        self._open_dialog(inference)
        self.page.get_by_role("button", name="All", exact=True).click()
        self.shot(f"{inference}-dialog")
        self.page.get_by_role("button", name="Launch backfill").click()
        self._view_toast("Created backfill")

    def _open_dialog(self, inference: str) -> None:
        self.open_graph(inference)
        self.page.get_by_role("button", name="Materialize all").first.click()
        expect(self.page.get_by_text("Partition selection")).to_be_visible()

    def _view_toast(self, said: str) -> None:
        before = self.page.url
        expect(self.page.get_by_text(said)).to_be_visible()
        self.page.get_by_text("View", exact=True).last.click()
        self.page.wait_for_url(lambda url: "/runs/" in url and url != before)

    # The page of a run, and of a backfill

    def expect_status(self, status: str) -> None:
        expect(self.page.get_by_text(status, exact=True).first).to_be_visible(timeout=LATER)

    def expect_counts(self, asset: str, *, of: int, succeeded: int, failed: int) -> None:
        """What a backfill's page says of one asset, when nothing of it is in progress any more."""
        link = self.page.locator(f'a[href="/assets/{asset}"]')
        # The largest element that is about this asset alone.
        row = link.locator("xpath=ancestor::*[count(.//a[starts-with(@href, '/assets/')]) = 1]")
        said = re.compile(rf"100% completed\s+{of}\s+0\s+{succeeded}\s+{failed}\s*$")
        expect(row.first).to_have_text(said, use_inner_text=True, timeout=LATER)

    def _open_menu(self) -> None:
        menus = self.page.get_by_role("button").filter(has=self.page.get_by_label("expand_more"))
        menus.first.click()

    def re_execute_from_failure(self) -> None:
        """What failed of the backfill on the page; ends on the page of the new one."""
        self._open_menu()
        self.shot("re-execute-from-failure")
        self.page.get_by_role("menuitem", name="Re-execute from failure").click()
        self._view_toast("Created backfill")

    # The pages of an asset

    def open_partition(self, asset: str, partition: str) -> None:
        self.open(f"/assets/{asset}?view=partitions&partition={partition}")
        expect(self.page.get_by_text("Latest materialization")).to_be_visible()

    def expect_partitions(self, *, failed: int, materialized: int, missing: int) -> None:
        for counted in (
            f"Failed ({failed})",
            f"Materialized ({materialized})",
            f"Missing ({missing})",
        ):
            expect(self.page.get_by_text(counted, exact=True)).to_be_visible()

    def expect_materialized(self, asset: str, partition: str) -> None:
        """However long it takes."""
        shown = self.page.get_by_text("Materialized", exact=True).first
        self._until(
            lambda: self.open_partition(asset, partition),
            lambda: expect(shown).to_be_visible(timeout=5_000),
        )

    def expect_metadata(self, label: str, value: str) -> None:
        cell = self.page.get_by_role("cell", name=label, exact=True)
        expect(cell.locator("xpath=following-sibling::td[1]")).to_have_text(value)

    def colour_of(self, partition: str) -> str:
        """Of the partition's dot in the list: red, green or grey."""
        name = self.page.get_by_text(partition, exact=True).filter(visible=True).first
        rgb = name.evaluate(_COLOUR_OF_DOT)
        red, green, _ = rgb
        return "red" if red > 1.5 * green else "green" if green > 1.5 * red else "grey"

    def read_failure(self) -> Locator:
        """The event of the run that failed for the partition on the page."""
        self.page.get_by_text("View logs", exact=True).click()
        self.page.get_by_placeholder("Filter…").fill("type:STEP_FAILURE")
        event = self.page.get_by_text("STEP_FAILURE").last
        expect(event).to_be_visible()
        return event.locator("xpath=ancestor::*[contains(., 'failed for')][1]")

    def open_plots(self, asset: str) -> None:
        self.open(f"/assets/{asset}?view=overview")
        self.page.get_by_role("button", name="Plots").click()

    def plot(self, series: str) -> Locator:
        title = self.page.get_by_text(series, exact=True).first
        return title.locator("xpath=following::canvas[1]")

    def _until(self, look: Callable[[], None], check: Callable[[], None]) -> None:
        """Look again until the check holds: not every page of Dagster's moves by itself."""
        deadline = time.monotonic() + LATER / 1000
        while True:
            look()
            try:
                check()
                return
            except AssertionError:
                if time.monotonic() > deadline:
                    raise


_COLOUR_OF_DOT = """(name) => {
    for (let row = name; row; row = row.parentElement) {
        for (const inside of row.querySelectorAll('*')) {
            const style = getComputedStyle(inside);
            if (style.borderRadius === '100%')
                return style.backgroundColor.match(/\\d+/g).map(Number);
        }
    }
}"""
