"""What Airflow's own server shows of Daybreak, to whoever may see the DAG that it is about."""

from __future__ import annotations

from html import escape

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from daybreak_airflow.addresses import GATES
from jobs.lake import files
from jobs.quality.kept import GateAnswer, answers_of
from jobs.settings import Settings
from jobs.spec.read import names

# The documents of Great Expectations have their style in them. They also have values of the data,
# not always escaped: so nothing in them may run, be sent, or be fetched from another host.
SAFE = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:50rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.4rem .8rem;text-align:left;"
    "border-bottom:1px solid #ccc}td.number{text-align:right}"
)
MAY_SEE = [Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE))]

app = FastAPI(title="Daybreak", docs_url=None, redoc_url=None, openapi_url=None)


@app.get(GATES, dependencies=MAY_SEE)
def gates(dag_id: str, batch: str) -> HTMLResponse:
    """What the gates of a run's dates said, table by table."""
    found = _answers(dag_id, batch)
    rows = "".join(
        f'<tr><td><a href="{escape(batch)}/{escape(each.table)}/{escape(each.name)}">'
        f"{escape(each.table)}</a></td>"
        f"<td>{'let through' if each.passed else 'refused'}</td>"
        f'<td class="number">{each.rows:,}</td><td>{escape(each.checked_at[:19])}</td></tr>'
        for each in found
    )
    title = f"Gates of {escape(dag_id)}, {escape(batch)}"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1><table><thead><tr><th>Table</th><th>Answer</th><th>Rows</th>"
        f"<th>Checked at (UTC)</th></tr></thead><tbody>{rows}</tbody></table></body></html>",
        headers=SAFE,
    )


@app.get(f"{GATES}/{{table}}/{{name}}", dependencies=MAY_SEE)
def data_docs(dag_id: str, batch: str, table: str, name: str) -> HTMLResponse:
    """The Data Docs of one validation of a table."""
    found = [each for each in _answers(dag_id, batch) if (each.table, each.name) == (table, name)]
    if found and (page := files.read_text(found[0].page)) is not None:
        return HTMLResponse(page, headers=SAFE)
    raise HTTPException(404, f"No gate looked at {table} for {batch}, or it is not kept any more.")


def _answers(dag_id: str, batch: str) -> list[GateAnswer]:
    settings, name = Settings(), dag_id.rpartition("__")[0]
    # Only what is there is looked up: neither name can lead out of its folder. The plan is not
    # read: that a use case's file is wrong by now must not hide what was found.
    there = name in names(settings.usecases)
    if there and (found := answers_of(f"{settings.lake}/{name}", batch)):
        return found
    raise HTTPException(404, f"No gate of {dag_id} looked at {batch}, or it is not kept any more.")
