"""# The upkeep of NAME

Once a week: compacts the tables' small files, removes files that no table version in use reads
any more, and drops batches from the warehouse that are past their retention. Nothing waits for
it, and the scores that are live are never touched.

If the task fails, read its sentence and clear it; a week without upkeep does no harm. By hand:
`daybreak run maintain NAME --date 2013-10-07`, where retention is counted from the date.
"""

from __future__ import annotations

from daybreak_airflow.dates import night
from daybreak_airflow.steps import StepOperator
from daybreak_airflow.wiring import date_field, declared, use_case_dag

FORM = {"date": date_field("As of", "Retention is counted from this date. Empty: the newest.")}

for plan in declared().plans:
    with use_case_dag(plan, "maintain", plan.usecase.schedule.maintain_cron, __doc__, FORM):
        StepOperator(task_id="maintain", step="maintain", use_case=plan.name, when=night)
