"""One training run: its network, optimiser, callbacks, and the outcome it leaves on disk."""
