"""Maps, the logic that combines them, pooling, and the way from labels and logits to maps."""
