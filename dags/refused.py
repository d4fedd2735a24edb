"""Shows in Airflow why a use case has no DAG.

It makes no DAG of its own: an import error takes down every DAG of its file, so the sentences
about use-case files that are wrong are raised here, where they harm no other use case.
"""

from __future__ import annotations

from daybreak_airflow.wiring import declared
from jobs.errors import Refused

if refusals := declared().refusals:
    raise Refused(" ".join(error.sentence for error in refusals), "The other use cases go on.")
