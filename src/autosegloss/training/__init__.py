"""One run: its network, optimiser, callbacks, and the outcome that it writes into its folder."""
