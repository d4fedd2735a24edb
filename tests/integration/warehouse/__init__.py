"""The warehouse on a real Postgres, which is started once for all of these tests."""
