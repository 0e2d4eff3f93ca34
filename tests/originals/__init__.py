"""Agreement with the packages that the parametrizations come from; docs/parity.md has the table."""
