"""What `up` writes: private, complete, and read back as it was written."""

from __future__ import annotations

import configparser
import json
import os
import stat
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from daybreak_local import keys, orchestrator, record
from daybreak_local.places import MARK, SERVICE_MARK, Places, write_private
from daybreak_local.supervision import Program, _rendered, service_environment
from jobs.errors import Refused
from jobs.settings import Settings, settings_file

PORTS = {"airflow": 18080, "mlflow": 15000, "postgres": 15432, "spark": 25002}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path / "50% off")
    found.make()
    return found


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), _mode(path)) == ("new", 0o600)
    assert [left.name for left in tmp_path.iterdir()] == ["secret"]


def test_keys_are_made_once_and_each_is_another(places: Places) -> None:
    made = keys.load_or_make(places)
    assert keys.load_or_make(places) == made == keys.load(places)
    assert len(set(vars(made).values())) == len(vars(made))
    assert _mode(places.keys) == 0o600


def test_damaged_keys_are_refused_not_replaced(places: Places) -> None:
    places.keys.write_text('{"postgres_superuser": ')
    with pytest.raises(Refused, match=r"secrets\.json"):
        keys.load_or_make(places)


def test_settings_survive_a_second_start(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    first = record.write(places.home, PORTS)
    assert record.write(places.home, PORTS) == first
    assert record.recorded_ports(record.read(places.home)) == PORTS
    assert _mode(settings_file(places.home)) == 0o600
    monkeypatch.setenv("DAYBREAK_HOME", str(places.home))
    assert Settings() == first


def test_a_home_of_an_older_version_is_given_what_a_new_role_needs(places: Places) -> None:
    first = record.write(places.home, PORTS)
    path = settings_file(places.home)
    written = json.loads(path.read_text())
    del written["labeller_password"], written["mlflow_password"]
    path.write_text(json.dumps(written))
    later = record.write(places.home, PORTS)
    assert len(record.secret(later.labeller_password)) > 20
    assert later.reader_password == first.reader_password
    # What a service keeps for itself is not made anew: it would no longer let us in.
    assert later.mlflow_password is None


def test_the_environment_tunes_but_does_not_readdress(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAYBREAK_SPARK_MEMORY", "3g")
    monkeypatch.setenv("DAYBREAK_SPARK", "local[7]")
    monkeypatch.setenv("DAYBREAK_WAREHOUSE_PORT", "1")
    written = record.write(places.home, PORTS)
    assert written.spark_memory == "3g"
    assert (written.spark, written.warehouse_port) == ("connect://localhost:25002", 15432)


def test_settings_with_an_unknown_field_are_refused(places: Places) -> None:
    settings_file(places.home).write_text(json.dumps({"sparks": "local"}))
    with pytest.raises(Refused, match="sparks"):
        record.read(places.home)


def test_supervisord_reads_what_was_written(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program("spark", ["/bin/echo", "100%", "two words"], places.spark, {"A": "1,2 %s"})
    write_private(places.supervisord_conf, _rendered(places, [program]))
    options = ServerOptions()
    monkeypatch.setattr("sys.argv", ["supervisord"])
    options.realize(["-c", str(places.supervisord_conf)])
    (group,) = options.process_group_configs
    (config,) = group.process_configs
    assert config.command.endswith("/bin/echo 100% 'two words'")
    assert config.environment == {"A": "1,2 %s", SERVICE_MARK: "spark"}
    assert (config.autostart, config.killasgroup, config.directory) == (
        False,
        True,
        str(places.spark),
    )
    assert config.stdout_logfile == str(places.log_of("spark"))
    assert options.umask == 0o077


def test_services_inherit_the_home_and_nothing_that_confuses_them(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("DAYBREAK_SPARK", "local[7]")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    passed = service_environment(places)
    assert passed[MARK] == passed["DAYBREAK_HOME"] == str(places.home)
    assert passed["AWS_REGION"] == "eu-west-1"
    assert not {"AIRFLOW__CORE__EXECUTOR", "DAYBREAK_SPARK"} & set(passed)


def test_airflow_reads_ports_paths_and_secrets(places: Places) -> None:
    settings = record.write(places.home, PORTS)
    made = keys.load_or_make(places)
    orchestrator.prepare(places, settings, made)
    written = configparser.ConfigParser()
    written.read(places.airflow / "airflow.cfg")
    assert written["api"]["port"] == "18080"
    assert written["api"]["host"] == "127.0.0.1"
    assert written["core"]["execution_api_server_url"] == "http://127.0.0.1:18080/execution/"
    assert written["logging"]["base_log_folder"] == str(places.logs / "airflow")
    assert made.airflow_database in written["database"]["sql_alchemy_conn"]
    assert {_mode(path) for path in places.airflow.rglob("*") if path.is_file()} == {0o600}


def test_a_long_home_gets_a_short_socket(tmp_path: Path) -> None:
    near, far = Places(Path("/h")), Places(tmp_path / ("x" * 120))
    assert near.socket == Path("/h/run/supervisor.sock")
    assert len(os.fsencode(far.socket)) < 90
    assert far.socket != Places(tmp_path / ("y" * 120)).socket
