"""How `ytempire evaluate` shows what it measured."""

from __future__ import annotations

from ml.cli.models import _tables


def test_the_model_stands_above_its_baselines_in_a_table_of_each_part():
    spam = {"auc": 0.98, "baselines": {"tfidf_logistic": {"auc": 0.96}}}
    toxicity = {"auc": 0.88, "baselines": {"tfidf_logistic": {"auc": 0.79}}}
    tables = list(_tables("M8", {"spam": spam, "toxicity": toxicity}))
    assert [table.title for table in tables] == ["M8 spam", "M8 toxicity"]
    rows = [list(column.cells) for column in tables[1].columns]
    assert rows == [["model", "tfidf_logistic"], ["0.8800", "0.7900"]]
