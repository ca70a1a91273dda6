"""Table 2: counts of a data set beside the published ones."""

from collections import Counter
from dataclasses import replace

import pytest

from beamwise.catalog import Catalog
from beamwise.data.dataset import CATALOG_FOLDER
from beamwise.data.published_statistics import PUBLISHED
from beamwise.experiments.paper import table2


def test_counts_of_the_data_stand_beside_the_papers(setting, monkeypatch):
    section = table2.section("office", setting.data_folder)
    paper, ours = section.tables[0].rows
    assert paper == ("paper", 4905, 2420, 53258, pytest.approx(0.45, abs=5e-3), None, None)
    users, items, interactions = ours[1:4]
    assert (users, ours[4]) == (40, pytest.approx(100 * interactions / (users * items)))
    leaves = Counter(Catalog.load(setting.data_folder / CATALOG_FOLDER).leaf_of_item.tolist())
    assert ours[5:] == (len(leaves), sum(each for each in leaves.values() if each > 1))
    assert section.findings[0].endswith("the paper has 4,905, 2,420 and 53,258.")
    same = replace(PUBLISHED["office"], users=users, items=items, interactions=interactions)
    monkeypatch.setitem(PUBLISHED, "office", same)
    again = table2.section("office", setting.data_folder)
    assert again.findings == ("Users, items and interactions are the paper's.",)


def test_items_with_one_id_are_counted_each(setting, monkeypatch):
    shared = Catalog.from_tokens([[3, 3], [2, 3], [3, 3], [2, 2], [2, 2], [2, 2]])
    monkeypatch.setattr(table2, "_catalog", lambda _: shared)
    assert table2.section("mine", setting.data_folder).tables[0].rows[0][5:] == (3, 5)


def test_data_that_no_paper_has_and_data_that_are_not_there(setting, tmp_path):
    section = table2.section("mine", setting.data_folder)
    assert [row[0] for row in section.tables[0].rows] == ["ours"]
    assert section.findings == ()
    with pytest.raises(ValueError, match="no dataset folder at"):
        table2.section("office", tmp_path / "nowhere")
