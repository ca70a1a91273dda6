"""Table 3: one stage and two."""

from beamwise.experiments.objective_comparison import Comparison
from beamwise.experiments.paper import table3
from beamwise.experiments.paper.setting import Setting

from .conftest import evidence_from, method


def test_methods_of_one_stage_and_of_two(tmp_path):
    comparison = Comparison(table3.comparison(Setting("office", "tiger")), tmp_path)
    runs = {
        run.method: run.config for name in comparison.methods for run in comparison.any_runs(name)
    }
    assert runs["s-dpo-one-stage"].objective.reference == "none"
    assert runs["s-dpo-one-stage-initial"].objective.reference == "initial-weights"
    assert runs["s-dpo-one-stage"].objective.ce_weight == 1.0
    assert runs["apao-pairwise"].objective.ce_weight == 1.0
    assert runs["ce-apao-pairwise"].objective.ce_weight == 0.0
    second = [name for name, method in comparison.methods.items() if method.start_from == "ce"]
    assert second == ["ce-s-dpo", "ce-apao-pointwise", "ce-apao-pairwise"]


def test_the_paper_is_beside_ours_where_it_has_the_data(evidence_of):
    evidence = evidence_of("table3", ("ce", "apao-pointwise"))
    section = table3.section(evidence)
    beside = section.tables[0]
    rows = {row[0]: row for row in beside.rows}
    assert [column.group for column in beside.columns] == ["", "", "N@10", "N@10", ""]
    assert (rows["ce"][2], rows["apao-pointwise"][2]) == (0.0292, 0.0337)  # of Table 1, and 3


def test_s_dpo_of_one_stage_stands_beside_both_references_as_the_collapse_that_it_is():
    setting = Setting("office", "tiger")
    printed = table3.printed(setting)
    assert printed["s-dpo-one-stage"] == printed["s-dpo-one-stage-initial"] == {"ndcg@10": 0.0116}
    assert table3.printed(Setting("yelp", "tiger")) == {}
    names = ("s-dpo-one-stage", "s-dpo-one-stage-initial")
    better, worse = method(names[0], 0.2, 0.1, 0.01), method(names[1], 0.012, -0.08, 0.01)
    evidence = evidence_from(setting, method("ce", 0.1), better, worse, experiment="table3")
    rows = {row[0]: row[-2:] for row in table3.section(evidence).tables[0].rows}
    assert rows[names[0]] == ("not reproduced", "opposite")
    assert rows[names[1]] == ("undecided", "holds")
