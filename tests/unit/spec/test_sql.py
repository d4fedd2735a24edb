"""SQL in a use case is judged before Spark is there, and never more strictly than Spark would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from jobs.spec.sql import Expression, mistakes
from tests.unit.spec.lending import changed, refusal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

WRONG = [
    (
        "days_late > 1",
        "days_lat > 1",
        "33: label.expression: 'days_lat' is not a column of source loans (did you mean "
        "'days_late'?)",
    ),
    (
        "days_late > 1",
        "loans.days_late > 1",
        "33: label.expression: 'loans.days_late' is not a column of source loans (did you mean "
        "'days_late'?)",
    ),
    (
        "days_late >= 0",
        "days_late >= least",
        "24: sources.loans.rules[0].expression: 'least' is not a column of source loans",
    ),
    (
        "upper(shelf)",
        "month + book + prediction_date + days_late",
        "45: slices[0].expression: 'days_late' is not a feature or part of the key",
    ),
    (
        "days_late > 1",
        "select days_late > 1",
        "33: label.expression: this is a statement, and an expression over one row belongs here",
    ),
    (
        "days_late > 1",
        "drop table loans",
        "33: label.expression: this is a statement, and an expression over one row belongs here",
    ),
    (
        "days_late > 1",
        "days_late >",
        "33: label.expression: something is missing after '>' in this SQL",
    ),
    (
        "days_late > 1",
        "(days_late > 1",
        "33: label.expression: ')' is missing after '1' in this SQL",
    ),
    ("days_late > 1", "days_late > 1 day", "33: label.expression: 'day' is unexpected in this SQL"),
    (
        "days_late > 1",
        "days_late > 1; book > 1",
        "33: label.expression: there are several statements, and one expression belongs here",
    ),
    (
        "days_late > 1",
        "days_late > 'x",
        "33: label.expression: a quotation mark or a comment in this SQL has no end",
    ),
    ("days_late > 1", " ", "33: label.expression: there is no SQL here"),
    (
        "days_late > 1",
        "days_late > avg(days_late)",
        "33: label.expression: avg is of many rows, and an expression sees one row at a time",
    ),
    (
        "days_late > 1",
        "days_late > mean(days_late)",
        "33: label.expression: mean is of many rows, and an expression sees one row at a time",
    ),
    (
        "days_late > 1",
        "row_number() over (order by days_late) > 1",
        "33: label.expression: row_number looks over a window, and an expression sees one row at "
        "a time",
    ),
    (
        "days_late > 1",
        "days_late > (select 1)",
        "33: label.expression: there is a query in it, and an expression sees one row at a time",
    ),
    (
        "days_late > 1",
        "days_late > rand()",
        "33: label.expression: rand gives something else each time, and a step that runs again "
        "must give the same",
    ),
    (
        "days_late > 1",
        "day > current_date",
        "33: label.expression: current_date gives something else each time, and a step that runs "
        "again must give the same",
    ),
    (
        "days_late > 1",
        "unix_timestamp() > days_late",
        "33: label.expression: current_timestamp gives something else each time, and a step that "
        "runs again must give the same",
    ),
    (
        "days_late > 1",
        "now() > day",
        "33: label.expression: now gives something else each time, and a step that runs again "
        "must give the same",
    ),
    (
        "days_late > 1",
        "shelf",
        "33: label.expression: 'shelf' is a string, which is neither true nor false: compare it "
        "with one",
    ),
    (
        "days_late >= 0",
        "days_late",
        "24: sources.loans.rules[0].expression: 'days_late' is a number, which is neither true "
        "nor false: compare it with one",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG)
def test_what_is_wrong_is_one_sentence_with_its_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert refusal(tmp_path, changed(old, f'"{new}"')) == f"usecase.yaml:{said}."


@pytest.mark.parametrize(("sign", "quote"), [("|", ""), (">", ""), ("", ""), ("", '"'), ("", "'")])
def test_the_line_of_a_long_expression_is_that_of_the_mistake(
    tmp_path: Path, sign: str, quote: str
) -> None:
    begin = f"{sign}\n    " if sign else quote
    text = changed("days_late > 1", f"{begin}days_late > 1\n    or bok > 7\n    or book = 9{quote}")
    line = 35 if sign else 34
    assert refusal(tmp_path, text) == (
        f"usecase.yaml:{line}: label.expression: 'bok' is not a column of source loans "
        "(did you mean 'book'?)."
    )


COLUMNS = {
    "n": "integer",
    "x": "number",
    "s": "string",
    "b": "boolean",
    "d": "date",
    "t": "timestamp",
}
SQL_TYPES = {"integer": "bigint", "number": "double"}

# Of every corner of Spark's grammar and of its functions one.
SOUND = r"""
n >= 30
not b
!b
b and (n > 1 or x is null)
n <=> 1
n == 1 and n != 2 and n <> 3
n between 1 and 2
n not in (1, 2)
s like 'a%' escape '!'
s ilike 'a%'
s like any ('a%', 'b%')
s rlike r'\\d'
s = "it's"
s = 'it\'s'
s || 'x' = 'yx'
N > 1 and `n` > 1
n % 2 = 1 and n div 2 = 0
n & 1 = 1 and n | 2 = 3 and n ^ 1 = 2 and ~n = 3
n << 2 > 1
1L < n and x < 2.5D and x < 1e3 and x < 2.5BD
x::int > 1
cast(x as decimal(10, 2)) > 1
try_cast(s as int) is not null
b is true
b is not unknown
n is distinct from 1
if(b, n, x) > 1
case when b then 'a' when n > 1 then 'b' else 'c' end
case n when 1 then 2 end
coalesce(n, x, 0) > 1
nvl2(n, 1, 2) > 1
nullif(n, 0) is null
greatest(n, x) > least(n, 1)
date '2020-01-01' < d
timestamp '2020-01-01 00:00:00' < t
d + interval 3 days > d
t - interval '1' hour < t
d + interval '1-2' year to month > d
datediff(d, date '2020-01-01') > 1
datediff(day, t, t) > 1
date_diff(d, d) > 1
dateadd(day, 1, t) > t
date_add(d, 1) > d
timestampdiff(MINUTE, t, t) > 1
timestampadd(HOUR, 1, t) > t
extract(hour from t) > 1
date_part('hour', t) > 1
hour(from_utc_timestamp(t, 'Europe/Vienna')) in (1, 2)
dayofweek(d) in (1, 7)
weekday(d) > 4
date_trunc('hour', t) = t
date_format(d, 'yyyy') = '2020'
to_date(s, 'yyyy-MM-dd') = d
unix_timestamp(t) > 1
months_between(t, t) > 1
make_date(2020, 1, 1) = d
last_day(d) = d
to_timestamp(s) > t
substring(s from 1 for 2) = 'ab'
substr(s, 1, 2) = 'ab'
trim(both 'x' from s) = 'a'
position('a' in s) > 0
overlay(s placing 'b' from 1) = 'b'
left(s, 2) = right(s, 2)
regexp_extract(s, '([0-9]+)', 1) = '1'
split(s, ',')[0] = 'a'
element_at(split(s, ','), 1) = 'a'
exists(split(s, ','), part -> part = 'a')
size(filter(split(s, ','), part -> length(part) > n)) > 1
aggregate(array(1, 2), 0, (sum, each) -> sum + each) > 1
transform(array(1, 2), a -> transform(array(3), c -> a + c))[0][0] > 1
named_struct('a', 1).a = 1
struct(n, s).n = 1
map('a', 1)['a'] = 1
map_filter(map('a', 1), (k, v) -> k = 'a' and v > n) is not null
array_contains(array(n), 1)
mask(s, upperChar => 'Q') = 'Q'
format_string('%s', s) = 'a'
typeof(n) = 'bigint'
hash(s) % 10 = 1
xxhash64(s, n) > 1
round(x, 2) > ceil(x) + floor(x) + sqrt(x) + ln(x) + log(2, x) + pow(x, 2)
try_divide(n, 0) is null
width_bucket(x, 0, 1, 10) > 1
s collate UTF8_LCASE = 'a'
assert_true(n > 1) is null
get_json_object(s, '$.a') = '1'
n > 1 -- as a comment says
n /* a comment */ > 1
-n < +n
""".strip().splitlines()

# These Spark refuses, too.
UNSOUND = r"""
n >
(n > 1
n > 1)
n > 1 1
n > 'x
n, x
select n
drop table n
n > 1 where b
m > 1
n.x > 1
transform(array(1), a -> a + m)[0] > 1
case when b
n > 1; x > 1
""".strip().splitlines()


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    types = ", ".join(f"{name} {SQL_TYPES.get(kind, kind)}" for name, kind in COLUMNS.items())
    return spark.createDataFrame([], types)


def said(text: str) -> list[str]:
    wrong = mistakes(Expression((), text, "a column", COLUMNS))
    return [each.said for each in wrong]


@pytest.mark.parametrize("text", SOUND)
def test_what_spark_takes_is_taken(rows: DataFrame, text: str) -> None:
    assert rows.select(F.expr(text)).schema is not None
    assert said(text) == []


@pytest.mark.parametrize("text", UNSOUND)
def test_what_is_no_expression_spark_refuses_too(rows: DataFrame, text: str) -> None:
    with pytest.raises(PySparkException):
        assert rows.select(F.expr(text)).schema is not None
    assert said(text) != []


def test_what_the_parser_stumbles_over_is_left_to_spark() -> None:
    assert said("map('a')") == []
    assert said("a_function_of_tomorrow(n)") == []
    assert said("_arrived_at > t") == []
