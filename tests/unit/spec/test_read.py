"""What is wrong in a use-case file is said by line and field, with what may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import Refused
from jobs.fields import DAYS, TIME
from jobs.settings import PROJECT
from jobs.spec.read import load, names
from jobs.spec.schema import schema
from jobs.spec.sentences import PATTERNS
from tests.unit.spec.lending import LENDING, changed, refusal, written

FIELDS = [
    ("timezone:", "colour: red\ntimezone:", "7: unknown field 'colour'"),
    ("timezone: Europe/Vienna\n", "", "2: field 'timezone' is missing"),
    (
        "- {name: shelf, expression: upper(shelf)}",
        "- {name: shelf}",
        "45: field 'slices[0].expression' is missing",
    ),
    ("  owner: library", "  owner:", "5: about.owner should be text, not nothing"),
    ("  owner: library", "  owner: 7", "5: about.owner should be text in quotes, not 7"),
    ("  owner: library", "  owner: ''", "5: about.owner is empty"),
    (
        "  owner: library",
        "  owner: library\n  users: [NO]",
        "6: about.users[0] should be text in quotes, not NO",
    ),
    (
        "about:\n  question: Which books come back late?\n  owner: library",
        "about: books",
        "3: about should be a mapping of fields, not 'books'",
    ),
    ("key: [day, book], date", "key: day, date", "6: entity.key should be a list, not 'day'"),
    ("key: [shelf]", "key: []", "28: sources.shelves.key is empty"),
    ("min: 1}", "min: one}", "19: sources.loans.columns.book.min should be a number, not 'one'"),
    (
        "type: integer",
        "type: int",
        "19: sources.loans.columns.book.type should be 'string', 'integer', 'number', 'boolean', "
        "'date' or 'timestamp', not 'int'",
    ),
    (
        "parameters: {max_depth: 4}",
        "rounds: 1.5",
        "43: model.rounds should be a whole number, not 1.5",
    ),
    ("parameters: {max_depth: 4}", "rounds: 0", "43: model.rounds should be at least 1, not 0"),
    (
        "parameters: {max_depth: 4}",
        "parameters: {max_depth: [4]}",
        "43: model.parameters.max_depth should be a number or a whole number or text, not a list",
    ),
    (
        "slices:",
        "promote: {confidence: 1.5}\nslices:",
        "44: promote.confidence should be less than 1, not 1.5",
    ),
    (
        "start: 2020-01-01",
        "start: soon",
        "10: schedule.start should be a date such as 2013-01-31, not 'soon'",
    ),
    (
        'cutoff: "03:00"',
        "cutoff: 13:30",
        '11: cutoff: a time of day is hours and minutes in quotes, such as "02:00"',
    ),
    (
        "maturity: 28 days",
        "maturity: a month",
        "34: label.maturity: 'a month' is no number of days, such as `28 days`",
    ),
    (
        "maturity: 28 days",
        "maturity: 28 days\n  feedback: ask",
        "35: label.feedback should be true or false, not 'ask'",
    ),
    *(
        ("maturity: 28 days", f"maturity: 28 days\n  labellers: {named}", f"35: {said}")
        for named, said in (
            (
                "[shelf]",
                "label.labellers: there is nobody to agree with: name two columns or more",
            ),
            ("[shelf, shelf]", "label.labellers: a column is named twice"),
            (
                "[shelf, shelv]",
                "label.labellers: 'shelv' is not a column of loans (did you mean 'shelf'?)",
            ),
            (
                "[shelf, day]",
                "label.labellers: 'day' is of type date, which names no class",
            ),
        )
    ),
    (
        "maturity: 28 days",
        "maturity: 28 days\n  rare: {}",
        "35: label.rare: it needs `rows` or `share`",
    ),
    ("maturity: 28 days", "maturity: -1", "34: label.maturity should be at least 0, not -1"),
    (
        'cron: "0 3 * * *"',
        "cron: every day",
        "9: schedule.cron: 'every day' is not a five-field cron expression",
    ),
    (
        "Europe/Vienna",
        "Europe/Viena",
        "7: timezone: 'Europe/Viena' is not an IANA time zone (did you mean 'Europe/Vienna'?)",
    ),
    (
        "name: lending",
        "name: Lending!",
        "2: name should be up to 48 small letters, digits and underscores, beginning with a "
        "letter, not 'Lending!'",
    ),
    (
        "  shelves:\n",
        "  Shelves of Books:\n",
        "25: sources.Shelves of Books should be up to 48 small letters, digits and underscores, "
        "beginning with a letter, not 'Shelves of Books'",
    ),
    (
        "    - month",
        "    - month(day)",
        "39: features.numeric[0] should be up to 48 small letters, digits and underscores, "
        "beginning with a letter, not 'month(day)'",
    ),
    (
        "references: shelves.shelf",
        "references: shelves",
        "20: sources.loans.columns.shelf.references should be a column of a snapshot, written "
        "SOURCE.COLUMN, not 'shelves'",
    ),
    (
        "expect: expect_column_mean_to_be_between",
        "expect: mean",
        "49: gates.silver.loans[0].expect should be the name of an expectation, such as "
        "expect_column_mean_to_be_between, not 'mean'",
    ),
    ("name: lending", "1: x\nname: lending", "2: 1: Keys should be strings"),
    (
        "parameters: {max_depth: 4}",
        "seed: .nan",
        "43: model.seed should be a finite number, not .nan",
    ),
    (
        "name: lending",
        "name: museum",
        "2: name is 'museum' but the folder is 'lending': give both the same name",
    ),
]
# What does not fit something else in the file.
RECIPE = (
    "  categorical: [shelf, book]\n  text: [note]\n  transforms:\n    - {do: length, of: note}\n"
)
TRANSFORMS = [
    (
        "  categorical: [shelf, book]\n",
        "  categorical: [shelf, book]\n  text: [note]\n",
        "41: features.text: no transform uses 'note': add one, such as `{do: tfidf, of: note}`, or "
        "take it out",
    ),
    *(
        ("  categorical: [shelf, book]\n", f"{RECIPE}    - {step}\n", f"44: {said}")
        for step, said in (
            (
                "{do: scail, of: month, by: robust}",
                "features.transforms[1]: there is no step 'scail' (did you mean 'scale'?)",
            ),
            ("{of: month}", "field 'features.transforms[1].do' is missing"),
            (
                "{do: clip, of: mnth, low: 0}",
                "features.transforms[1]: there is no column 'mnth' at this point (did you mean "
                "'month'?)",
            ),
            (
                "{do: tfidf, of: shelf}",
                "features.transforms[1]: 'shelf' is a category, and tfidf takes a text",
            ),
            (
                "{do: clip, of: month, lowest: 0}",
                "unknown field 'features.transforms[1].lowest' (did you mean 'low'?)",
            ),
            (
                "{do: winsorise, of: month, high: 99}",
                "features.transforms[1].high should be at most 1, not 99",
            ),
            (
                "{do: log, of: month, as: Month}",
                "features.transforms[1].as should be small letters, digits and underscores, "
                "beginning with a letter, not 'Month'",
            ),
        )
    ),
]
MISFITS = [
    (
        "    columns:\n      day: {type: date}",
        "    known: dey + 1\n    columns:\n      day: {type: date}",
        "17: sources.loans.known: 'dey' is not a column of source loans (did you mean 'day'?)",
    ),
    (
        "    columns:\n      day: {type: date}",
        "    known: book\n    columns:\n      day: {type: date}",
        "17: sources.loans.known: 'book' is a integer, and when a row could be known is a date or "
        "a timestamp",
    ),
    (
        "book], date: day",
        "book], date: dai",
        "6: entity.date: 'dai' is not a column of loans (did you mean 'day'?)",
    ),
    (
        "book], date: day",
        "book], date: book",
        "6: entity.date: 'book' of loans is of type integer, and must be a date",
    ),
    (
        "book], date: day",
        "book]",
        "6: entity.source: 'loans' has files of days, and an entity without `date` is in a "
        "snapshot",
    ),
    (
        "  maturity: 28 days\n",
        "",
        "31: label: it needs `maturity`, after how many days a label is final",
    ),
    (
        "date: day, source: loans",
        "date: day, source: loan",
        "6: entity.source: 'loan' is not one of sources (did you mean 'loans'?)",
    ),
    (
        "label:\n  source: loans",
        "label:\n  source: shelves",
        "32: label.source: 'shelves' lacks 'day', a column of entity.key",
    ),
    (
        "    date: day\n",
        "    date: dai\n",
        "16: sources.loans.date: 'dai' is not a column (did you mean 'day'?)",
    ),
    (
        "    key: [day, book]\n    date",
        "    key: [day, boock]\n    date",
        "15: sources.loans.key: 'boock' is not a column (did you mean 'book'?)",
    ),
    (
        "    rules:",
        "    usual: {leave_out: [days_lat]}\n    rules:",
        "22: sources.loans.usual.leave_out: 'days_lat' is not a column (did you mean 'days_late'?)",
    ),
    (
        "    rules:",
        "    unique: [[book, shelv]]\n    rules:",
        "22: sources.loans.unique: 'shelv' is not a column (did you mean 'shelf'?)",
    ),
    (
        "date={date}",
        "date",
        "14: sources.loans.landing: a daily source has {date} in it, a snapshot has not",
    ),
    (
        "    date: day\n    col",
        "    col",
        "13: sources.loans: a daily source needs `date`, the column with the row's day",
    ),
    (
        "days_late: {type: number}",
        "days_late: {type: string, max: 3}",
        "21: sources.loans.columns.days_late.type: min and max are of numbers, and this is a "
        "string",
    ),
    (
        "days_late: {type: number}",
        "days_late: {type: number, format: M/d/yyyy}",
        "21: sources.loans.columns.days_late.format: dates and timestamps have a format, and this "
        "is of type number",
    ),
    (
        "day: {type: date}",
        "day: {type: date, format: MM/DD/YYYY}",
        "18: sources.loans.columns.day.format: 'MM/DD/YYYY' has 'DD', and what is read is yyyy, "
        "yy, M, MM, MMM, MMMM, d, dd, H, HH, h, hh, a, m, mm, s, ss, SSS, XXX, XX, Z; other text "
        "is in quotes, such as 'T'",
    ),
    (
        "day: {type: date}",
        "day: {type: date, format: 'yyyy-MM-dd HH:mm', zone: UTC}",
        "18: sources.loans.columns.day.zone: a date is the day as it is written, in no zone: take "
        "it out, or declare a timestamp",
    ),
    (
        "days_late: {type: number}",
        "due: {type: timestamp, format: 'yyyy-MM-dd HH:mm'}",
        "21: sources.loans.columns.due.format: 'yyyy-MM-dd HH:mm' says no zone: add `zone`, such "
        "as Europe/Vienna, or XXX",
    ),
    (
        "days_late: {type: number}",
        "due: {type: timestamp, format: 'yyyy-MM-dd HH:mmXXX', zone: UTC}",
        "21: sources.loans.columns.due.zone: the format 'yyyy-MM-dd HH:mmXXX' says the zone "
        "itself: take it out",
    ),
    (
        "days_late: {type: number}",
        "due: {type: timestamp, format: 'yyyy-MM-dd HH:mm', zone: Wien}",
        "21: sources.loans.columns.due.zone: 'Wien' is not an IANA time zone",
    ),
    (
        "days_late: {type: number}",
        "due: {type: timestamp, zone: UTC}",
        "21: sources.loans.columns.due.zone: it is of timestamps with a `format` that says no zone",
    ),
    (
        "days_late: {type: number}",
        "days_late: {type: number, since: 2020-02-01}",
        "21: sources.loans.columns.days_late: since, until and formerly need the source's "
        "`drift: declared`",
    ),
    (
        "    columns:\n      day: {type: date}",
        "    drift: declared\n    columns:\n      day: {type: date, until: 2020-02-01}",
        "19: sources.loans.columns.day: it is in key or date, which the files of every day have",
    ),
    (
        "    date: day\n    columns:",
        "    date: due\n    columns:\n      due: {type: date}",
        "33: label.source: 'loans' is laid out by 'due', and labels are of entity.date 'day': "
        "both must be the same column",
    ),
    (
        "    key: [day, book]\n",
        "    key: [day, book, shelf]\n",
        "32: label.source: 'loans' may have rows of one entity and day that differ in 'shelf': its "
        "key is entity.key and entity.date",
    ),
    (
        "  maturity: 28 days\n",
        "  within: {days: 7, do: count}\n  maturity: 28 days\n",
        "34: label.within.do: `count` makes labels of `type: regression`",
    ),
    (
        "  maturity: 28 days\n",
        "  within: {days: 0, do: any}\n  maturity: 28 days\n",
        "34: label.within.days should be at least 1, not 0",
    ),
    (
        "  source: loans\n  expression: days_late > 1\n",
        "  source: shelves\n  expression: shelf = 'A'\n  within: {days: 7, do: any}\n",
        "32: label.source: 'shelves' lacks 'book', a column of entity.key",
    ),
    (
        "  expression: days_late > 1\n",
        "  expression: days_late\n  within: {days: 7, do: any}\n",
        "33: label.expression: 'days_late' is a number, which is neither true nor false: "
        "compare it with one",
    ),
    (
        "  expression: days_late > 1\n  maturity: 28 days\n",
        "  expression: days_late > 1\n  within: {days: 7, do: any}\n  maturity: 28 days\n"
        "folds: {by: time}\n",
        "36: folds.by: labels of `within` reach from a fold's training into its test: by another "
        "way",
    ),
    (
        "  expression: days_late > 1\n",
        "  expression: prediction_date > day\n  within: {days: 7, do: any}\n",
        "33: label.expression: 'prediction_date' is not a column of source loans",
    ),
    (
        "references: shelves.shelf",
        "references: shelves.shelve",
        "20: sources.loans.columns.shelf.references: 'shelves.shelve' is not a column of a "
        "snapshot",
    ),
    (
        "shelf: {type: string}\nlabel",
        "shelf: {type: string, references: loans.shelf}\nlabel",
        "30: sources.shelves.columns.shelf.references: a snapshot refers to nothing",
    ),
    (
        "    loans:\n      - expect",
        "    loan:\n      - expect",
        "48: gates.silver.loan: there is no such source (did you mean 'loans'?)",
    ),
    (
        "{column: days_late,",
        "{column: days_lat,",
        "50: gates.silver.loans[0].arguments: 'days_lat' is not a column of loans (did you mean "
        "'days_late'?)",
    ),
    (
        "gates:\n",
        "gates:\n  features: [{expect: expect_column_to_exist, arguments: {column: mont}}]\n",
        "47: gates.features[0].arguments: 'mont' is not a feature (did you mean 'month'?)",
    ),
    (
        "parameters: {max_depth: 4}",
        "parameters: {max_deep: 4}",
        "43: model.parameters.max_deep: it cannot be set (did you mean 'max_depth'?); what can: "
        "base_score, colsample_bylevel, colsample_bynode, colsample_bytree, gamma, grow_policy, "
        "learning_rate, max_bin, max_delta_step, max_depth, max_leaves, min_child_weight, "
        "num_parallel_tree, reg_alpha, reg_lambda, scale_pos_weight, subsample",
    ),
    (
        "predict: {columns: [month]}",
        "predict: {columns: [months]}",
        "51: predict.columns: 'months' is not a feature (did you mean 'month'?)",
    ),
    (
        "columns: [month]}",
        "columns: [book]}",
        "51: predict.columns: 'book' is published already, in the key",
    ),
    (
        "rule: {by: [shelf]}",
        "rule: {by: [shelv]}",
        "42: model.rule.by: 'shelv' is not a feature (did you mean 'shelf'?)",
    ),
    *(
        ("slices:", f"split: {split}\nslices:", f"44: {said}")
        for split, said in (
            ("{by: tiem}", "split: there is no kind 'tiem' (did you mean 'time'?)"),
            ("random", "split should be a mapping of fields, not 'random'"),
            ("{validation: 0.2}", "split.validation should be a whole number, not 0.2"),
            (
                "{by: random, holdout: 28 days}",
                "split.holdout should be a number, not '28 days'",
            ),
            ("{by: random, holdout: 1}", "split.holdout should be less than 1, not 1"),
            (
                "{by: random, validation: 0.5, holdout: 0.5}",
                "split.holdout: with validation it takes all rows: leave some to train on",
            ),
            ("{stratify: true}", "split.stratify is a field of another kind: take it out"),
            ("{by: group}", "field 'split.group' is missing"),
            (
                "{by: group, group: shelv}",
                "split.group: 'shelv' is neither in the key nor a feature (did you mean 'shelf'?)",
            ),
            (
                "{by: group, group: month}",
                "split.group: 'month' is a number, which names no groups",
            ),
        )
    ),
    *(
        ("parameters: {max_depth: 4}", f"imbalance: {imbalance}", f"43: {said}")
        for imbalance, said in (
            ("weight", "model.imbalance should be a mapping of fields, not 'weight'"),
            ("{by: weight, to: 1}", "model.imbalance.to should be less than 1, not 1"),
            (
                "{by: undersample}",
                "model.imbalance: `by: undersample` needs `to`, the share that yes has then, and "
                "is of yes and no",
            ),
            (
                "{to: 0.2}",
                "model.imbalance.to: say how, too: `by: weight`, `oversample` or `undersample`",
            ),
        )
    ),
    (
        "parameters: {max_depth: 4}",
        "parameters: {scale_pos_weight: 3}\n  imbalance: {by: weight}",
        "43: model.parameters.scale_pos_weight: model.imbalance sets it: take one of them out",
    ),
    *(
        ("parameters: {max_depth: 4}", f"tune: {{search: {{{search}}}}}", f"43: {said}")
        for search, said in (
            (
                "max_deep: [3, 4]",
                "model.tune.search.max_deep: it cannot be searched for (did you mean "
                "'max_depth'?); what can: colsample_bylevel, colsample_bynode, colsample_bytree, "
                "gamma, grow_policy, learning_rate, max_delta_step, max_depth, max_leaves, "
                "min_child_weight, num_parallel_tree, reg_alpha, reg_lambda, subsample, ridge",
            ),
            ("gamma: {low: 2}", "field 'model.tune.search.gamma.high' is missing"),
            (
                "gamma: {low: 2, high: 1}",
                "model.tune.search.gamma.low: 2 is not less than `high`, which is 1",
            ),
            (
                "gamma: {low: 0, high: 1, log: true}",
                "model.tune.search.gamma.low: 0 has no logarithm: more than 0, or take `log` out",
            ),
            (
                "max_depth: {low: 2, high: 4.5}",
                "model.tune.search.max_depth: it is a whole number",
            ),
            ("ridge: [0, 0.1]", "model.tune.search.ridge: it is a number more than 0"),
            ("max_depth: [.inf, 3]", "model.tune.search.max_depth: inf is not a finite number"),
            (
                "subsample: {low: 0.5, high: 2}",
                "model.tune.search.subsample: 2 is no share: more than 0, and up to 1",
            ),
            (
                "grow_policy: {low: 1, high: 2}",
                "model.tune.search.grow_policy: it is a list of depthwise and lossguide",
            ),
            (
                "grow_policy: [depthwise, deep]",
                "model.tune.search.grow_policy: 'deep' is not depthwise or lossguide",
            ),
        )
    ),
    *(
        ("parameters: {max_depth: 4}", f"parameters: {{{parameters}}}", f"43: {said}")
        for parameters, said in (
            ("subsample: 0", "model.parameters.subsample: 0 is no share: more than 0, and up to 1"),
            (
                "learning_rate: fast",
                "model.parameters.learning_rate: 'fast' is not a finite number",
            ),
            ("max_depth: 4.5", "model.parameters.max_depth: it is a whole number"),
            ("max_bin: 1", "model.parameters.max_bin: 1 is less than 2"),
            ("gamma: -1", "model.parameters.gamma: -1 is less than 0"),
        )
    ),
    (
        "parameters: {max_depth: 4}",
        "tune: {minutes: 0}",
        "43: model.tune.minutes should be more than 0, not 0",
    ),
    (
        "parameters: {max_depth: 4}",
        "tune: {trials: 2000}",
        "43: model.tune.trials should be at most 1000, not 2000",
    ),
    (
        "parameters: {max_depth: 4}",
        "seed: -1",
        "43: model.seed should be at least 0, not -1",
    ),
    *(
        ("parameters: {max_depth: 4}", f"candidates: {candidates}", f"{line}: {said}")
        for candidates, line, said in (
            (
                "[rule, xgboost]",
                43,
                "model.candidates: `constant` is what every model has to beat: add it",
            ),
            ("[constant, rule, rule]", 43, "model.candidates: each candidate is named once"),
            (
                "[constant, linear]",
                42,
                "model.rule: it is of rule, which is not one of model.candidates: take it out",
            ),
            (
                "[constant, rule]\n  rounds: 9",
                44,
                "model.rounds: it is of xgboost, which is not one of model.candidates: take it out",
            ),
            (
                "[constant, rule, xgboost]\n  tune: {search: {ridge: [0.1, 1]}}",
                44,
                "model.tune.search.ridge: it is of linear, which is not one of model.candidates: "
                "take it out",
            ),
        )
    ),
    (
        "  rule: {by: [shelf]}\n",
        "",
        "41: model: `rule` is missing: add it, such as `rule: {by: [COLUMN]}`, or take the rule "
        "out of `candidates`",
    ),
]


NUMBER = "  type: regression\nfeatures:"
THREE = "  type: multiclass\n  classes: [late, lost, here]\n"
LABELS = [
    (
        {"features:": "  type: multiclass\n  classes: [late, here]\nfeatures:"},
        "36: label.classes: `type: multiclass` takes 3 different `classes` or more, and two are "
        "`type: binary`",
    ),
    *(
        ({"features:": f"{THREE}  group: {group}\nfeatures:"}, f"37: label.group.{said}")
        for group, said in (
            ("{othr: [gone]}", "othr: 'othr' is not one of classes"),
            ("{lost: [gone, here]}", "lost: 'here' becomes 'lost': take it out of classes"),
            ("{lost: [gone], here: [gone]}", "lost: 'gone' is named twice"),
            ("{lost: []}", "lost is empty"),
        )
    ),
    (
        {"features:": "  group: {lost: [gone]}\nfeatures:"},
        "35: label.group: label.type is binary, and there are no other classes than yes and no: "
        "take it out",
    ),
    (
        {"features:": "  type: multiclass\nfeatures:"},
        "31: label: `type: multiclass` takes 3 different `classes` or more, and two are "
        "`type: binary`",
    ),
    (
        {"features:": "  classes: [late, lost, here]\nfeatures:"},
        "35: label.classes: they are of `type: multiclass`, and this is binary",
    ),
    (
        {"features:": "  type: multiclass\n  classes: [late, la-te, la te]\nfeatures:"},
        "36: label.classes: 'la-te' and 'la te' would both be the column score_la_te",
    ),
    (
        {"features:": f"  type: multiclass\n  classes: [a, b, {'x' * 60}]\nfeatures:"},
        f"36: label.classes: the column score_{'x' * 60} is longer than 63 characters",
    ),
    (
        {"features:": "  type: multiclass\n  classes: [a, b, NO]\nfeatures:"},
        "36: label.classes[2] should be text in quotes, not NO",
    ),
    (
        {
            "features:": f"{THREE}features:",
            "    - month": "    - score_lost",
            "columns: [month]": "columns: [score_lost]",
        },
        "36: label.classes: the column score_lost of a class is in the key or predict.columns "
        "already",
    ),
    (
        {"features:": f"{THREE}features:", "parameters:": "metric: roc_auc\n  parameters:"},
        "45: model.metric: label.type is multiclass, which is judged by log_loss or f1_weighted "
        "or f1_macro or accuracy, not roc_auc",
    ),
    (
        {
            "features:": f"{THREE}features:",
            "model:": "  transforms:\n    - {do: target, of: shelf}\nmodel:",
        },
        "44: features.transforms[0]: label.type is multiclass, and classes have no mean: take it "
        "out",
    ),
    (
        {"features:": f"{THREE}features:", "parameters:": "calibrate: isotonic\n  parameters:"},
        "45: model.calibrate: label.type is multiclass, which is calibrated by none or temperature "
        "or auto, not isotonic",
    ),
    (
        {"parameters:": "calibrate: temperature\n  parameters:"},
        "43: model.calibrate: label.type is binary, which is calibrated by auto or isotonic or "
        "sigmoid or none, not temperature",
    ),
    (
        {"columns: [month]": "threshold: {maximise: f1, fixed: 0.5}"},
        "51: predict.threshold.fixed: maximise chooses the threshold already: take one of them out",
    ),
    (
        {"columns: [month]": "threshold: {maximise: f_beta}"},
        "51: predict.threshold: `maximise: f_beta` and `beta` go together",
    ),
    (
        {"columns: [month]": "threshold: {at_least: {precision: 0.8, recall: 0.5}}"},
        "51: predict.threshold.at_least: it is of `precision` or of `recall`",
    ),
    (
        {"columns: [month]": "threshold: {cost: {false_positive: 1}}"},
        "51: field 'predict.threshold.cost.false_negative' is missing",
    ),
    (
        {"columns: [month]": "interval: 0.9"},
        "51: predict.interval: label.type is binary, and only numbers have an interval: take it "
        "out",
    ),
    (
        {
            "features:": NUMBER,
            "slices:": "promote: {max_slice_loss: 2}\nslices:",
            "    - month": "    - low",
            "columns: [month]": "columns: [low], interval: 0.9",
        },
        "53: predict.interval: its column low is in the key or predict.columns already",
    ),
    (
        {"columns: [month]": "costs: {late: {punctual: 3}}"},
        "51: predict.costs: label.type is binary, and what its errors cost is said by "
        "predict.threshold: take it out",
    ),
    (
        {"features:": f"{THREE}features:", "columns: [month]": "costs: {lots: {kept: 3}}"},
        "53: predict.costs: 'lots' is not one of label.classes (did you mean 'lost'?)",
    ),
    (
        {"features:": f"{THREE}features:", "columns: [month]": "costs: {lost: {lost: 3}}"},
        "53: predict.costs: to be right about 'lost' costs nothing: take it out",
    ),
    (
        {"features:": f"{THREE}features:", "days_late > 1": "days_late"},
        "33: label.expression: 'days_late' is a number, which names no class",
    ),
    (
        {"parameters:": "metric: mae\n  parameters:"},
        "43: model.metric: label.type is binary, which is judged by roc_auc or pr_auc or log_loss, "
        "not mae",
    ),
    (
        {"features:": NUMBER, "parameters:": "metric: log_loss\n  parameters:"},
        "44: model.metric: label.type is regression, which is judged by rmse or mae, not log_loss",
    ),
    (
        {"features:": NUMBER, "parameters:": "calibrate: isotonic\n  parameters:"},
        "44: model.calibrate: label.type is regression, and a predicted number is no probability: "
        "take it out",
    ),
    (
        {"features:": NUMBER, "max_depth:": "scale_pos_weight: 3, max_depth:"},
        "44: model.parameters.scale_pos_weight: label.type is regression, and there is no yes to "
        "weigh: take it out",
    ),
    (
        {"features:": NUMBER, "gates:": "split: {by: random, stratify: true}\ngates:"},
        "47: split.stratify: label.type is regression, and numbers have no classes to keep the "
        "shares of: take it out",
    ),
    (
        {"features:": NUMBER, "parameters: {max_depth: 4}": "imbalance: {by: weight}"},
        "44: model.imbalance: label.type is regression, and numbers have no classes to balance: "
        "take it out",
    ),
    (
        {
            "features:": f"{THREE}features:",
            "parameters: {max": "imbalance: {by: weight, to: 0.3}\n  parameters: {max",
        },
        "45: model.imbalance.to: label.type is multiclass, and the share is that of yes, and "
        "classes are made alike: take it out",
    ),
    (
        {"features:": NUMBER, "columns: [month]": "threshold: {maximise: f1}"},
        "52: predict.threshold: label.type is regression, and there is no yes to choose: take it "
        "out",
    ),
    (
        {"features:": NUMBER},
        "45: slices: label.type is regression, so promote.max_slice_loss must say how much a slice "
        "may lose, in the label's unit",
    ),
    (
        {
            "features:": NUMBER,
            "slices:": "promote: {max_slice_loss: 2, max_calibration_error: 0.1}\nslices:",
        },
        "45: promote.max_calibration_error: label.type is regression, and a predicted number is no "
        "probability: take it out",
    ),
    (
        {
            "features:": NUMBER,
            "slices:": "promote: {max_slice_loss: 2}\nslices:",
            "days_late > 1": "shelf",
        },
        "33: label.expression: 'shelf' is a string, which is no number",
    ),
    (
        {"parameters:": "objective: poisson\n  parameters:"},
        "43: model.objective: label.type is binary, and only numbers have another objective than "
        "that of their type: take it out",
    ),
    (
        {
            "features:": NUMBER,
            "slices:": "promote: {max_slice_loss: 2}\nfolds: {by: stratified}\nslices:",
        },
        "46: folds.by: label.type is regression, which has no classes: say `by: random`",
    ),
    (
        {"slices:": "folds: {by: random, gap: 3}\nslices:"},
        "44: folds.gap: it is of `by: time`, and this is random: take it out",
    ),
    (
        {"slices:": "evaluation: {fairness: [shelf, shelv]}\nslices:"},
        "44: evaluation.fairness[1]: 'shelv' is not one of slices (did you mean 'shelf'?)",
    ),
    (
        {"slices:": "folds: {number: 5}\nslices:"},
        "44: field 'folds.by' is missing",
    ),
    (
        {"slices:": "split: {by: group, group: shelf}\nfolds: {by: random}\nslices:"},
        "45: folds.by: it tears rows of one shelf apart, which split keeps together: take folds "
        "out, or test on later rows: `by: time`",
    ),
    (
        {
            "key: [day, book], date": "key: [day, labelled_by], date",
            "    key: [day, book]\n": "    key: [day, labelled_by]\n",
            "      book: {type": "      labelled_by: {type",
            "maturity: 28 days": "maturity: 28 days\n  feedback: true",
        },
        "35: label.feedback: 'labelled_by' in entity.key is a column of every table of feedback "
        "already",
    ),
    (
        {"      book: {type": "      prediction_date: {type: date}\n      book: {type"},
        "17: sources.loans.columns: 'prediction_date' is a column that the platform makes itself: "
        "call it otherwise (a column of files has `header: prediction_date` then)",
    ),
    (
        {
            "key: [day, book], date": "key: [day, label], date",
            "    key: [day, book]\n": "    key: [day, label]\n",
            "      book: {type": "      label: {type",
        },
        "6: entity.key: 'label' is a column that the platform makes itself: call it otherwise "
        "(a column of files has `header: label` then)",
    ),
    (
        {"    - month": "    - month\n    - score"},
        "35: features: 'score' is a column that the platform makes itself: call it otherwise "
        "(a column of files has `header: score` then)",
    ),
    (
        {
            "    - month": "    - month\n    - batch_id",
            "predict: {columns: [month": "predict: {columns: [batch_id",
        },
        "52: predict.columns: 'batch_id' is a column that the platform makes itself: call it "
        "otherwise (a column of files has `header: batch_id` then)",
    ),
]


@pytest.mark.parametrize(("changes", "said"), LABELS)
def test_what_does_not_fit_the_label_is_one_sentence_with_its_line(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    text = LENDING
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    assert refusal(tmp_path, text) == f"usecase.yaml:{said}."


@pytest.mark.parametrize(("old", "new", "said"), FIELDS + MISFITS + TRANSFORMS)
def test_what_is_wrong_is_one_sentence_with_its_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert refusal(tmp_path, changed(old, new)) == f"usecase.yaml:{said}."


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "about:\n",
            "abuot:\n",
            ["2: field 'about' is missing", "3: unknown field 'abuot' (did you mean 'about'?)"],
        ),
        (
            "  owner: library",
            "  owners: library",
            [
                "3: field 'about.owner' is missing",
                "5: unknown field 'about.owners' (did you mean 'owner'?)",
            ],
        ),
        (
            "min: 1}",
            "min: one, max: two}",
            [
                "19: sources.loans.columns.book.min should be a number, not 'one'",
                "19: sources.loans.columns.book.max should be a number, not 'two'",
            ],
        ),
    ],
)
def test_all_that_is_wrong_is_said_at_once(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    lines = "; ".join(f"usecase.yaml:{one}" for one in said)
    assert refusal(tmp_path, changed(old, new)) == f"2 problems: {lines}."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "usecase.yaml:1: the file should be a mapping of fields, not nothing."),
        ("- a\n- b\n", "usecase.yaml:1: the file should be a mapping of fields, not a list."),
        (
            changed("name: lending", "name: [lending"),
            "usecase.yaml:3: not valid YAML: while parsing a flow sequence, expected ',' or ']', "
            "but got ':'.",
        ),
        (
            changed("2020-01-01", "2020-02-30"),
            "usecase.yaml:10: not valid YAML: 2020-02-30: day is out of range for month.",
        ),
        (
            LENDING + "---\nname: other\n",
            "usecase.yaml:52: not valid YAML: expected a single document in the stream, but found "
            "another document.",
        ),
        (
            changed("name: lending", "name: \x07"),
            r"usecase.yaml:2: not valid YAML: it has the character '\x07'.",
        ),
        (
            changed("  owner: library", "  owner: library\n  owner: museum"),
            "usecase.yaml:6: 'about.owner' is given twice, first in line 5.",
        ),
        (
            changed("- {name: shelf,", "- {name: shelf, name: book,"),
            "usecase.yaml:45: 'slices[0].name' is given twice, first in line 45.",
        ),
    ],
)
def test_what_is_no_use_case_at_all(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(tmp_path, text) == said


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "usecase.yaml").write_bytes(LENDING.replace("back", "zur\xfcck").encode("latin-1"))
    with pytest.raises(Refused, match=r"usecase\.yaml is not UTF-8 text"):
        load(folder)


def test_a_part_that_is_merged_in_has_the_line_where_it_is_written(tmp_path: Path) -> None:
    text = changed("book: {type: integer, min: 1}", "book: &whole {type: integer, min: one}")
    text = text.replace("days_late: {type: number}", "days_late: {<<: *whole, min: 0}")
    assert refusal(tmp_path, text) == (
        "usecase.yaml:19: sources.loans.columns.book.min should be a number, not 'one'."
    )


def patterns(part: object) -> set[str]:
    """The patterns in a part of the schema."""
    if isinstance(part, list):
        return set().union(*map(patterns, part))
    if not isinstance(part, dict):
        return set()
    own = {part["pattern"]} if isinstance(part.get("pattern"), str) else set()
    return own.union(*map(patterns, part.values()))


def test_every_pattern_of_a_field_has_its_words() -> None:
    # What is no days or no time of day has its words already.
    assert patterns(schema()) - {DAYS, TIME} == set(PATTERNS)


def test_an_unknown_use_case_names_the_known_ones() -> None:
    usecases = PROJECT / "jobs/usecases"
    with pytest.raises(Refused) as refused:
        load(usecases / "flight_delays")
    assert "(did you mean 'flight_delay'?)" in refused.value.sentence
    assert "flight_delay" in refused.value.remedy
    assert "flight_delay" in names(usecases)
