"""What a person sees and does in the Dagster UI, click by click."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1_800),
]

ASSETS = ("requests", "batches", "raw_outputs", "results", "bundle")
ITEMS = 4


def test_a_partition_waits_for_the_provider_and_shows_its_results_when_they_are_there(ui, project):
    sent = project.sent()
    ui.open_graph("animals")
    ui.shot("graph")

    ui.materialize("animals", "part-03")
    ui.expect_status("Success")
    ui.expect_materialized("animals/batches", "part-03")
    ui.shot("batches-waiting")
    ui.open_partition("animals/results", "part-03")
    ui.expect_partitions(failed=0, materialized=0, missing=6)
    project.finish()
    ui.expect_materialized("animals/results", "part-03")

    ui.expect_partitions(failed=0, materialized=1, missing=5)
    ui.expect_metadata("dagster/row_count", str(ITEMS))
    ui.expect_metadata("coverage", "1")
    ui.shot("results-metadata")
    assert project.sent() - sent == ITEMS


def test_of_60_partitions_two_broken_ones_are_red_alone_and_only_they_are_sent_again(ui, project):
    batches, sent = project.batches(), project.sent()
    project.write("plants", "part-17", more='{"id": "part-17-4", "word"\n')
    project.write("plants", "part-42", more='{"id": "part-42-4"}\n')

    ui.backfill("plants")
    ui.expect_counts("plants/batches", of=60, succeeded=58, failed=2)
    ui.shot("backfill-waiting")
    project.finish()
    for asset in ASSETS:
        ui.expect_counts(f"plants/{asset}", of=60, succeeded=58, failed=2)
    backfill = ui.page.url
    ui.page.goto(backfill)
    ui.expect_status("Failed")
    ui.shot("backfill-two-failed")

    assert project.batches() - batches == 58
    assert project.sent() - sent == 58 * ITEMS

    ui.open_partition("plants/requests", "part-17")
    ui.expect_partitions(failed=2, materialized=58, missing=0)
    assert [ui.colour_of(key) for key in ("part-16", "part-17", "part-18")] == [
        "green",
        "red",
        "green",
    ]
    ui.shot("partition-failed")
    failure = ui.read_failure()
    expect(failure).to_contain_text("part-17.jsonl, line 5")
    expect(failure).to_contain_text(re.compile(r"part-42\.jsonl, row 4: word"))
    ui.shot("failure-event")

    ui.open_plots("plants/results")
    expect(ui.plot("coverage")).to_be_visible()
    ui.plot("coverage").scroll_into_view_if_needed()
    ui.shot("plots")

    project.write("plants", "part-17")
    project.write("plants", "part-42")
    ui.page.goto(backfill)
    ui.re_execute_from_failure()
    ui.expect_counts("plants/batches", of=2, succeeded=2, failed=0)
    project.finish()
    for asset in ASSETS:
        ui.expect_counts(f"plants/{asset}", of=2, succeeded=2, failed=0)
    ui.expect_status("Succeeded")
    ui.shot("backfill-re-executed")
    ui.open_partition("plants/results", "part-17")
    ui.expect_partitions(failed=0, materialized=60, missing=0)

    assert project.batches() - batches == 60
    assert project.sent() - sent == 60 * ITEMS
