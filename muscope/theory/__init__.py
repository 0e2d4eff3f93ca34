"""Theory is arithmetic: rules and expected exponents as functions on floats, no heavy library."""
