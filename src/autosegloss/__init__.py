"""Auto Seg-Loss."""
