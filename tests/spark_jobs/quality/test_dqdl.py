import pytest

from ragstone.runtime.errors import ConfigError
from spark_jobs.quality.dqdl import exempt, rules_in, same_rule, scoped, told


def test_rules_are_cut_at_commas_outside_quotes_and_brackets():
    text = """# Rules, with = [ in a comment
    Rules = [
        ColumnValues "kind" in ["a, b", "c]"],
        # Not this one.
        (RowCount < 20) or
            (Mean "size" > 3),
        ColumnValues "hash" matches "^(a,|b  c){2,3}$",
    ]
    """
    assert rules_in(text, "x.rows.dqdl") == (
        'ColumnValues "kind" in ["a, b", "c]"]',
        '(RowCount < 20) or (Mean "size" > 3)',
        'ColumnValues "hash" matches "^(a,|b  c){2,3}$"',
    )
    assert rules_in("# Nothing.\nRules = []", "x.rows.dqdl") == ()


def test_a_file_that_is_no_list_of_rules_is_named():
    with pytest.raises(ConfigError, match="not DQDL") as refused:
        rules_in("RowCount > 0", "wiki.gate.dqdl")
    assert refused.value.where == "conf/quality/wiki.gate.dqdl"


@pytest.mark.parametrize(
    ("rule", "bound"),
    [
        ('Mean "size" > 3', 'Mean "size" > 3 where "source = \'wiki\'"'),
        ('ColumnValues "a" matches "(x)"', 'ColumnValues "a" matches "(x)" where "source = \'wiki\'"'),
        (
            '(RowCount < 20) or ((Mean "a" > 1) and (ColumnValues "b" matches "(y)"))',
            '(RowCount < 20 where "source = \'wiki\'") or ((Mean "a" > 1 where "source = \'wiki\'") and '
            '(ColumnValues "b" matches "(y)" where "source = \'wiki\'"))',
        ),
    ],
)
def test_a_rule_of_a_source_is_bound_to_its_rows_in_every_part(rule, bound):
    assert scoped(rule, "wiki") == bound


def test_sources_are_quoted_and_those_that_cannot_be_are_refused():
    assert scoped("RowCount > 0", "o'neill").endswith("where \"source = 'o''neill'\"")
    assert exempt("RowCount > 0", ["a", "b"]) == "RowCount > 0 where \"coalesce(source, '') not in ('a', 'b')\""
    with pytest.raises(ConfigError, match="of this name"):
        scoped("RowCount > 0", 'say "so"')
    with pytest.raises(ConfigError, match="where of its own"):
        scoped('Mean "a" > 1 where "b = 2"', "wiki")


def test_directives_are_told_apart():
    text = "# without: RowCount > 0\n#  watch: Column.a.Mean \n# A comment.\nRules = []"
    assert (told(text, "without"), told(text, "watch")) == (("RowCount > 0",), ("Column.a.Mean",))
    assert same_rule('Mean  "a" > 1', 'Mean "a" > 1,')
    assert not same_rule('Mean "a" > 1', 'Mean "a" > 10')
