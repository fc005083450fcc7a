"""Faults in what scores and losses are computed by, and the quick tests that find them."""

from helpers.mutation import Mutation

OF_SCORES = (
    Mutation(
        "algebra: a label map within a mask forgets its own mask",
        "self.mask if mask is self.mask else self.mask & mask, self.num_classes)",
        "mask, self.num_classes)",
        ("tests/algebra/test_maps.py::test_an_operation_gives_what_it_gives_on_dense_maps",),
    ),
    Mutation(
        "algebra: the first class is missing in dilated labels",
        "(bit >= 0)",
        "(bit > 0)",
        ("tests/algebra/test_maps.py::test_an_operation_gives_what_it_gives_on_dense_maps",),
    ),
    Mutation(
        "algebra: the soft union adds g(p) at the labels",
        "(-1, there)",
        "(1, there)",
        ("tests/test_loss.py::test_naive_miou_is_the_soft_iou",),
    ),
    Mutation(
        "algebra: XOR adds its AND",
        "addcmul_(c, d, value=-1)",
        "addcmul_(c, d, value=1)",
        ("tests/algebra/test_logic.py::test_every_operation_has_the_curve_of_its_name",),
    ),
    Mutation(
        "algebra: both operands take the first curve",
        "_bend(b, second)",
        "_bend(b, first)",
        ("tests/algebra/test_logic.py::test_two_curves_are_one_for_each_operand_in_order",),
    ),
    Mutation(
        "algebra: ignored pixels erode a soft map",
        "return 1 - dilate(masked(1 - m, valid), size)",
        "return 1 - dilate(1 - m, size)",
        ("tests/algebra/test_morphology.py::test_neither_the_border_nor_an_ignored_region_erodes",),
    ),
    Mutation(
        "algebra: a class that is ignored stays in the averages",
        "return ignore_index is not None and 0 <= ignore_index < num_classes",
        "return False",
        ("tests/test_ignored_class.py::test_the_mean_is_that_of_the_other_classes",),
    ),
    Mutation(
        "algebra: AND with soft labels is a product",
        "torch.minimum(x, y) if _with_soft_labels(first, second) else x * y",
        "x * y",
        (
            "tests/tasks/test_soft_labels.py::test_without_curves_the_loss_of_labels_against_themselves_is_0_and_minimal",
        ),
    ),
    Mutation(
        "tasks: the threshold of logits is that of probabilities",
        "math.log(one / (1 - one)) if from_logits else one for one",
        "one for one",
        ("tests/tasks/test_equal_tasks.py::test_the_threshold_is_that_of_the_probability",),
    ),
    Mutation(
        "formulas: weights of classes below 1 are cut to whole numbers",
        "weights * given[n]",
        "weights * given[n].to(weights.dtype)",
        ("tests/tasks/test_averages.py::test_metrics_average_as_a_loop_does",),
    ),
    Mutation(
        "loss: an image that is all ignored counts in the average",
        "some & torch.stack(list(count))",
        "some",
        ("tests/tasks/test_laws.py::test_an_image_that_is_all_ignored_changes_nothing",),
    ),
    Mutation(
        "kernels: the slope of a masked sum is not masked",
        "torch.mul(slope, mask, out=block.of(slopes[n]))",
        "block.of(slopes[n]).copy_(slope)",
        ("tests/kernels/test_kernels.py::test_every_loss_has_the_value_and_gradient_of_dense_maps",),
    ),
    Mutation(
        "kernels: the gradient of the softmax lacks its sum over the classes",
        "return d.addcmul_(probs, d.sum(dim=1, keepdim=True), value=-1)",
        "return d",
        ("tests/kernels/test_kernels.py::test_every_loss_has_the_value_and_gradient_of_dense_maps",),
    ),
    Mutation(
        "kernels: saved blocks overlap by one element",
        "begin = end",
        "begin = end - 1",
        ("tests/kernels/test_kernels.py::test_a_batch_of_several_blocks_has_the_same_sums",),
    ),
    Mutation(
        "kernels: recomputed sums are those of the last images",
        "total[name][classes] += value",
        "total[name][classes] = value",
        (
            "tests/kernels/test_kernels.py::test_sums_that_are_recomputed_image_by_image_and_class_by_class_are_the_same",
        ),
    ),
    Mutation(
        "curves: the slope has a wrong sign",
        "rise.sub_(self.bend / 2)",
        "rise.add_(self.bend / 2)",
        ("tests/test_formulas.py::test_gradient_is_that_of_finite_differences",),
    ),
    Mutation(
        "curves: the pole is always the start of the piece",
        "pole = u0 if a <= b else u2",
        "pole = u0",
        ("tests/test_curves.py::test_bezier_is_the_parametric_curve",),
    ),
    Mutation(
        "curves: the identity is counted from the wrong point",
        "u = 1 / (self.num_inner + 2 - k)",
        "u = 1 / (self.num_inner + 3 - k)",
        ("tests/test_curves.py::test_the_identity_bends_nothing",),
    ),
    Mutation(
        "formulas: the band of BIoU is a pixel too narrow",
        "size = window(self.width, true.shape[2:], self.spacing)\n        band",
        "size = window(self.width - 1, true.shape[2:], self.spacing)\n        band",
        ("tests/test_metrics.py::test_the_extent_of_a_boundary_is_an_option",),
    ),
    Mutation(
        "formulas: the tolerance of BF1 is a pixel too wide",
        "size = window(self.tolerance, true.shape[2:], self.spacing)",
        "size = window(self.tolerance + 1, true.shape[2:], self.spacing)",
        ("tests/test_metrics.py::test_the_extent_of_a_boundary_is_an_option",),
    ),
    Mutation(
        "formulas: a window in millimetres reaches half as far",
        "2 * int(extent / size * _SLACK) + 1",
        "int(extent / size * _SLACK) // 2 * 2 + 1",
        ("tests/test_lengths.py::test_a_window_holds_the_pixels_within_the_length",),
    ),
    Mutation(
        "formulas: the surface Dice counts the surface of the truth alone",
        'ratio(sums["matched"] + sums["found"], sums["pred"] + sums["true"])',
        'ratio(sums["found"], sums["true"])',
        ("tests/test_formulas.py::test_exact_reading_is_the_definition",),
    ),
    Mutation(
        "formulas: F-beta counts precision beta times as much",
        "(1 + square) * hit + wrong + square * missed",
        "(1 + square) * hit + square * wrong + missed",
        ("tests/test_overlap_formulas.py::test_the_score_of_a_class_is_that_of_torchmetrics",),
    ),
    Mutation(
        "formulas: FWIoU weighs all classes the same",
        'name: ClassVar[str] = "fwiou"\n\n    def class_weights',
        'name: ClassVar[str] = "fwiou"\n\n    def unused',
        ("tests/test_formulas.py::test_exact_reading_is_the_definition",),
    ),
    Mutation(
        "formulas: a ratio divides by 0",
        "return numerator / denominator.clamp_min(1e-6)",
        "return numerator / denominator",
        ("tests/test_loss.py::test_a_batch_that_is_all_ignored_teaches_nothing",),
    ),
    Mutation(
        "loss: the average over present classes is that over all",
        '"present": lambda formula, sums: sums["true"] > 0,',
        '"present": lambda formula, sums: torch.ones_like(sums["true"]),',
        ("tests/test_loss.py::test_present_averages_over_fewer_classes_than_all",),
    ),
    Mutation(
        "losses: the mean is taken over all pixels, ignored ones too",
        "values.sum() / valid.sum().clamp_min(1)",
        "values.sum() / valid.numel()",
        ("tests/test_losses.py::test_a_loss_is_its_definition",),
    ),
    Mutation(
        "metrics: ignored pixels count as class 0",
        "true = label_map(labels, num_classes, ignore_index, dtype=torch.int32)",
        "true = label_map(labels % 255, num_classes, None, dtype=torch.int32)",
        ("tests/test_formulas.py::test_ignored_pixels_change_nothing",),
    ),
    Mutation(
        "metrics: a batch takes the place of the earlier ones",
        "setattr(self, name, getattr(self, name) + value)",
        "setattr(self, name, value)",
        ("tests/test_metrics.py::test_merging_two_halves_is_the_whole",),
    ),
    Mutation(
        "metrics: all metrics bear the same mark, so that a collection ties them",
        "{**states, self._mark(): torch",
        '{**states, "mark": torch',
        ("tests/test_metric_collections.py::test_metrics_that_differ_in_their_sums_stay_apart",),
    ),
    Mutation(
        "theta: the operations are sorted by name",
        "dict(zip(formula.operations, rows, strict=True))",
        "dict(zip(sorted(formula.operations), rows, strict=True))",
        ("tests/test_theta.py::test_the_order_is_declared_and_not_alphabetical",),
    ),
)
