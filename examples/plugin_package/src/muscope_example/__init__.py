"""One plugin of each kind for muscope: an example to copy."""
