"""Where Daybreak's pages are on Airflow's server."""

from __future__ import annotations

# Below the server's own address.
PAGES = "/daybreak"
# Below that.
GATES = "/gates/{dag_id}/{batch}"
