"""How the sums of a formula are computed, differentiable by the logits: this is the cost of a loss.

The sums of a prediction under AND and OR with a one-hot map are linear in sums of curves over the probabilities, for
any formula: `fused` computes these and stores no map for them. A formula that needs maps, such as the boundaries of the
prediction, is evaluated on dense maps, part by part, and evaluated again for the gradient: `recompute`.
"""
