-- Runs once, when the volume is new: the databases of Airflow and MLflow, an owner each.
-- The warehouse and its roles are made by the service `migrate`, again at every start.
\set ON_ERROR_STOP on
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD

create role airflow login password :'airflow_password';
create role mlflow login password :'mlflow_password';

create database airflow owner airflow;
create database mlflow owner mlflow;

-- Each may connect to its own only.
revoke connect, temporary on database airflow from public;
revoke connect, temporary on database mlflow from public;
revoke connect on database postgres from public;
