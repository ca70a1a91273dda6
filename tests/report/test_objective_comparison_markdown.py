"""The report says every figure where it belongs."""

from dataclasses import replace

from beamwise.report.objective_comparison import Maker, Reproduction
from beamwise.report.objective_comparison_markdown import comparison_markdown


def section(text, heading):
    return text.split(f"## {heading}\n")[1].split("\n## ")[0]


def row(text, name):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_means_and_differences_stand_in_one_cell(compared):
    text = comparison_markdown(compared)
    beam, exact = section(text, "Beam search"), section(text, "Exact ranking")
    assert row(beam, "method") == ["method", "seeds", "R@5", "R@10", "N@5", "N@10"]
    assert row(beam, "ce")[1:3] == ["2", ".1000 [.0900, .1200], std .0030"]
    expected = ".1000 [.0900, .1200], std .0030<br>+.0100 [+.0060, +.0150], p .20"
    assert row(beam, "tuned")[3] == expected
    expected = ".2000 [.1900, .2200], std .0030<br>**+.0300 [+.0260, +.0350], p .010**"
    assert row(exact, "tuned")[2:] == [expected] * 4


def test_model_and_survival_stand_side_by_side(compared):
    cause = section(comparison_markdown(compared), "Model or survival, recall@10")
    assert row(cause, "tuned")[3:] == [
        "**-.0200 [-.0240, -.0150], p .040**",
        "model better, survival worse",
    ]
    assert "| ce |" not in cause


def test_what_the_beam_lost(compared):
    lost = section(comparison_markdown(compared), "What the beam lost")
    told = ["6, 2, 0, 0, 1", "4 (44.4 %)"]
    assert row(lost, "ce") == ["ce", "40", "10 (25.0 %)", *told, "5", "64.6 %"]
    by_item = section(comparison_markdown(compared), "By item")
    assert row(by_item, "method") == ["method", "recall@10, beam", "recall@10, exact"]
    assert row(by_item, "ce") == ["ce", ".0900", ".1900"]


def test_training_says_what_it_took_and_what_was_tried(compared):
    text = comparison_markdown(compared)
    training = section(text, "Training")
    # 100 seconds over 10 epochs; the grid's other point took 70 seconds more.
    assert row(training, "ce") == ["ce", "ce", "-", "5.0", "10.0", ".0600", "1", "100.0 s"]
    assert row(training, "tuned")[6:] == ["2", "2.8 min"]
    assert row(training, "later")[1:3] == ["s-dpo", "ce"]
    tried = section(text, "Settings tried")
    assert row(tried, "`a.b=1`") == ["`a.b=1`", "1", ".0400", "70.0 s"]
    assert row(tried, "**`a.b=2`**") == ["**`a.b=2`**", "1", ".0500", "40.0 s"]


def test_what_made_the_runs_is_said(compared):
    assert "## Made by" not in comparison_markdown(compared)
    makers = (Maker(5, "commit abc", "A processor"), Maker(1, None, ""))
    made = section(comparison_markdown(replace(compared, made_by=makers)), "Made by")
    assert row(made, "5") == ["5", "commit abc", "A processor"]
    assert row(made, "1") == ["1", "not said", "not said"]


def test_the_papers_figures_stand_beside_ours(compared):
    assert "Beside the paper" not in comparison_markdown(compared)
    printed = (
        Reproduction("ce", {"recall@5": 0.11}, "reproduced", {}),
        Reproduction("tuned", {"recall@5": 0.2}, None, {"recall@5": "holds"}),
    )
    beside = section(comparison_markdown(replace(compared, printed=printed)), "Beside the paper")
    assert row(beside, "method") == ["method", "recall@5", "level", "direction"]
    assert row(beside, "ce")[1:] == [".1100<br>.1000 [.0900, .1200]", "reproduced", "-"]
    assert row(beside, "tuned")[2:] == ["-", "holds"]
    assert "ours are below it too" in beside


def test_what_is_missing_and_what_is_conditional_is_said(compared):
    text = comparison_markdown(compared, "report.png")
    assert text.startswith("# Three methods\n")
    assert "1,234 test targets, beam of 10" in text
    assert "and count by semantic ID." in text
    assert "and count by title." in comparison_markdown(replace(compared, leaves="title"))
    assert "Holm's correction over the 2 comparisons of the column" in text
    assert "- msl: no test of seed 1" in text
    assert "](report.png)" in text
    assert "![" not in comparison_markdown(compared)


def test_a_baseline_alone_is_a_report_too(compared):
    alone = replace(compared, methods=compared.methods[:1], missing={})
    text = comparison_markdown(alone)
    assert "There is nothing to compare with yet." in text
    assert "Not there yet" not in text
    assert "## Settings tried" not in text


def test_one_seed_and_unknown_times_are_left_empty(compared):
    ce = compared.methods[0]
    metrics = {
        name: replace(each, interval=replace(each.interval, std=None))
        for name, each in ce.metrics.items()
    }
    runs = (replace(ce.runs[0], train_seconds=None, best_validation=None),)
    one = replace(ce, seeds=(0,), metrics=metrics, runs=runs)
    text = comparison_markdown(replace(compared, methods=(one,)))
    assert row(section(text, "Beam search"), "ce")[2] == ".1000 [.0900, .1200], std -"
    assert row(section(text, "Training"), "ce")[3:] == ["4.0", "-", "-", "1", "-"]
