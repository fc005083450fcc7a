"""The console programs: the only place where an error becomes one line."""
