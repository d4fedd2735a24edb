"""A checksum of a batch that Spark and Postgres both work out, in any order of rows.

Each row is written as one text: for every column the length of its value in bytes, a colon and
the value, or `~` where it is null, so that no two rows share a text. The checksum is the sum of
the first 60 bits of each text's MD5. Numbers enter by the bits of their IEEE 754 double, so that
no rounding hides a difference. MD5 guards against accidents here, not against an adversary.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql
from pyspark.sql import functions as F

from jobs.errors import Refused
from jobs.prediction.published_table import Column, PublishedTable
from jobs.prediction.warehouse import Connection, one

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame


HALF = 30


@dataclass(frozen=True)
class Fingerprint:
    """Rows, and the sum of their digests."""

    rows: int
    checksum: int


def of_gold(frame: DataFrame, table: PublishedTable, date: dt.date) -> Fingerprint:
    """The fingerprint of the rows to be published for `date`, in one Spark job.

    Raises:
        Refused: there are no rows, rows of another date, a key or prediction that is missing,
            or a score that is missing, NaN or infinite.
    """
    checked = {"no score that is a finite number": ~_finite(_named("score"))}
    for column in (*table.key, *table.scores[1:]):
        checked[f"no {column.name}"] = _named(column.name).isNull()
    dates = [name for name in {table.date_column, "prediction_date"} if name in frame.columns]
    for name in dates:
        checked[f"another {name} than {date}"] = ~_named(str(name)).eqNullSafe(F.lit(date))
    digest = F.conv(F.substring(F.md5(_text(table)), 1, 15), 16, 10).cast("bigint")
    names = [f"check_{number}" for number in range(len(checked))]
    # First by row, then in sum: Spark does not know that `java_method` is deterministic here.
    by_row = frame.select(
        digest.alias("digest"),
        *[check.alias(name) for name, check in zip(names, checked.values(), strict=True)],
    )
    # The digests' halves are summed apart: their sums fit a bigint, which is quicker to add.
    row = by_row.agg(
        F.count(F.lit(1)),
        F.sum(F.shiftright("digest", HALF)),
        F.sum(F.col("digest").bitwiseAND(F.lit((1 << HALF) - 1))),
        *[F.count_if(F.col(name)) for name in names],
    ).collect()[0]
    bad = [f"{count} have {what}" for what, count in zip(checked, row[3:], strict=True) if count]
    if bad or not row[0]:
        found = "; ".join(bad) if bad else "there is nothing to publish"
        raise Refused(
            f"The predictions of {table.use_case} for {date} have {row[0]} rows: {found}.",
            f"Nothing was published. Run `daybreak run predict {table.use_case} --date {date}` "
            "again, or mend the features.",
        )
    return Fingerprint(int(row[0]), (int(row[1]) << HALF) + int(row[2]))


def of_batch(connection: Connection, table: PublishedTable, batch_id: int) -> Fingerprint:
    """The fingerprint of the rows of a batch in the warehouse."""
    texts = sql.SQL(" || ").join(_sql_text(column) for column in table.stored)
    row = one(
        connection,
        sql.SQL(
            "SELECT count(*), coalesce(sum(('x' || substr(md5({}), 1, 15))::bit(60)::bigint), 0) "
            "FROM {}"
        ).format(texts, table.partition(batch_id)),
    )
    return Fingerprint(int(row[0]), int(row[1]))


def quoted(name: str) -> str:
    """A column's name as Spark SQL takes it, whatever it is made of."""
    return "`" + name.replace("`", "``") + "`"


def _named(name: str) -> Expression:
    return F.col(quoted(name))


def _finite(value: Expression) -> Expression:
    # Infinity minus itself is NaN, which Spark holds to be equal to itself.
    return value.isNotNull() & ~F.isnan(value - value)


def _text(table: PublishedTable) -> Expression:
    texts: Sequence[Expression] = [_value_text(column) for column in table.stored]
    return F.concat(
        *[F.coalesce(F.concat(F.octet_length(t), F.lit(":"), t), F.lit("~")) for t in texts]
    )


def _value_text(column: Column) -> Expression:
    value = _named(column.name)
    if column.kind == "date":
        return F.unix_date(value).cast("string")
    if column.kind == "timestamp":
        return F.unix_micros(value).cast("string")
    if column.kind == "number":
        bits = F.java_method(F.lit("java.lang.Double"), F.lit("doubleToLongBits"), value)
        return F.when(value.isNotNull(), bits)
    return value.cast("string")


def _sql_text(column: Column) -> sql.Composed:
    value = sql.Identifier(column.name)
    forms = {
        "date": "({} - date '1970-01-01')::text",
        "timestamp": "(extract(epoch FROM {}) * 1000000)::bigint::text",
        "number": "('x' || encode(float8send({}), 'hex'))::bit(64)::bigint::text",
        "boolean": "{}::text",
        "integer": "{}::text",
        "string": "{}",
    }
    text = sql.SQL(forms[column.kind]).format(value)
    return sql.SQL("coalesce(octet_length({0}) || ':' || {0}, '~')").format(text)
