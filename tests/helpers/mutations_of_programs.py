"""Faults in search, data, training and report, and the quick tests that find them."""

from helpers.mutation import Mutation

OF_PROGRAMS = (
    Mutation(
        "search: the ratio of PPO is upside down",
        "self._ratio(TruncatedNormal(mean, self.sigma).log_prob(thetas) - old_log_prob)",
        "self._ratio(old_log_prob - TruncatedNormal(mean, self.sigma).log_prob(thetas))",
        ("tests/search/test_ppo.py::test_objective_and_its_gradient",),
    ),
    Mutation(
        "search: PPO takes the larger of the clipped and the free objective",
        "torch.minimum(ratio * gain, clipped * gain)",
        "torch.maximum(ratio * gain, clipped * gain)",
        ("tests/search/test_ppo.py::test_objective_and_its_gradient",),
    ),
    Mutation(
        "search: the normal distribution is not truncated",
        "np.log(self.sigma) - self._log_mass()",
        "np.log(self.sigma)",
        ("tests/search/test_policy.py::test_log_density_is_scipys",),
    ),
    Mutation(
        "search: the result is the last mean, not the best",
        'return max(means, key=attrgetter("score"))',
        "return means[-1]",
        (
            "tests/search/test_history.py::test_best_mean_is_that_of_the_step_with_the_highest_average_of_finished_trials",
        ),
    ),
    Mutation(
        "data: the hold-out trains and the rest validates",
        "return draw(len(samples), self.holdout, self.block, self.holdout_seed, groups)",
        "return draw(len(samples), self.holdout, self.block, self.holdout_seed, groups)[::-1]",
        ("tests/data/test_datamodule.py::test_the_hold_out_comes_out_of_the_training_split",),
    ),
    Mutation(
        "data: an orientation tag turns an image to the other side",
        "if orientation in (2, 3, 6, 7):",
        "if orientation in (2, 3, 5, 8):",
        ("tests/data/test_pictures.py::test_all_formats_agree_on_an_orientation_tag",),
    ),
    Mutation(
        "data: white is above the scale",
        "* 255 / np.float32(most)",
        "* 256 / np.float32(most)",
        ("tests/data/test_images.py::test_all_values_of_16_bits_are_kept",),
    ),
    Mutation(
        "data: images of one band are normalised like red",
        "(MEAN.mean(), STD.mean())",
        "(MEAN[0], STD[0])",
        ("tests/data/test_multiband.py::test_three_bands_take_a_mean_of_their_own_and_others_the_average",),
    ),
    Mutation(
        "data: a flip mirrors the image without its label",
        "*labels.shape[-2:]).float() - ignore_index",
        "*labels.shape[-2:]).float().flip(3) - ignore_index",
        ("tests/data/test_transforms.py::test_a_flip_mirrors_left_and_right",),
    ),
    Mutation(
        "data: masks to judge are resized like the images",
        "return resize.image(image), resize.shown(label)",
        "return resize(image, label)",
        ("tests/test_score_size.py::test_a_batch_holds_a_stack_for_each_size",),
    ),
    Mutation(
        "training: logits are scaled by the corners of pixels",
        'tuple(size), mode="bilinear", align_corners=False)',
        'tuple(size), mode="bilinear", align_corners=True)',
        ("tests/test_score_size.py::test_logits_of_half_precision_are_scaled_in_float32",),
    ),
    Mutation(
        "training: the head learns as slowly as the encoder",
        '"lr": lr * head_multiplier}]',
        '"lr": lr}]',
        ("tests/test_optimizers.py::test_the_rate_falls_polynomially_and_the_head_learns_faster",),
    ),
    Mutation(
        "report: the spread of a cell is that of a population",
        "statistics.stdev(percent)",
        "statistics.pstdev(percent)",
        ("tests/report/test_paper_tables.py::test_csv_has_a_line_a_cell",),
    ),
    Mutation(
        "training: a training that goes on draws other random numbers",
        'torch.set_rng_state(state["torch"])',
        'state["torch"]',
        ("tests/test_resume.py::test_a_training_that_goes_on_ends_as_an_undisturbed_one",),
    ),
)
