"""The console programs: the only place that turns an error into one line."""
