"""The report's three files say the same, and all of it is in the runs' files."""

import json
import re

from beamwise.experiments.comparison_report import write_comparison_report


def test_the_report_is_written_from_the_files(own_comparison):
    figures = write_comparison_report(own_comparison, ["ce", "tuned", "apao", "later"], [3, 4])
    out = own_comparison.out
    assert not list(out.glob(".*"))
    assert (out / "report.png").stat().st_size > 10_000
    content = json.loads((out / "report.json").read_text())
    assert content["users"] == 40
    assert content["settings"]["resamples"] == 500
    assert content["verdicts"].keys() == {"tuned", "apao", "later"}
    markdown = (out / "report.md").read_text()
    for method in figures.methods:
        (row,) = re.findall(
            rf"^\| {method.name} \| 2 \| (.*) \|$", markdown.split("## Exact")[0], re.M
        )
        cell = row.split(" | ")[1]
        saved = next(each for each in content["methods"] if each["name"] == method.name)
        interval = saved["metrics"]["recall@10"]["interval"]
        assert interval["mean"] == method.metrics["recall@10"].interval.mean
        assert cell.startswith(f"{interval['mean']:.4f}".removeprefix("0"))
    assert f"| {figures.methods[0].survival.pruned:,} (" in markdown


def test_a_later_report_takes_the_place_of_an_earlier_one(own_comparison):
    write_comparison_report(own_comparison, ["ce"], [3])
    assert "nothing to compare with yet" in (own_comparison.out / "report.md").read_text()
    write_comparison_report(own_comparison, ["apao"], [3, 4])
    assert "| apao | 2 |" in (own_comparison.out / "report.md").read_text()
