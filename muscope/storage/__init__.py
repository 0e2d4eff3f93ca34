"""The database is the truth: tables, queries and the state machine of a bundle. SQL lives here."""
