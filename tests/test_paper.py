# ruff: noqa: E501  a line of the table is one line
"""What the paper says is done -> the code that does it and the test that shows it.

Schmarje et al. (2020), arXiv 2012.01768, sections 3 and 4.1 to 4.3, in our words; one line each.
Background, results and the choice of data sets by reputation are left out.
"""

import ast
import importlib
import pathlib

import pytest

TESTS = pathlib.Path(__file__).parent
# (section, what is done, "module:name" in foc_tf or a file, "test file:test")
PAPER = [
    ("3", "labelled X_l and unlabelled X_u make up the images", "data.images:ImageSet.roles", "data:roles_partition_the_images"),
    ("3", "k_gt is the number of labels; a normal head has k_gt outputs", "model:SemiSupervisedModel", "model:keras_entry_points_work"),
    ("3", "an overclustering head has k > k_gt outputs", "methods.foc:FOC", "model:wrong_arguments_are_named"),
    ("3", "a head is one linear layer on the backbone", "heads:MultiHead", "model:one_sub_head_is_a_dense_softmax"),
    ("3", "augmented versions of an image should share a cluster", "losses:mutual_information", "losses:extremes_equal_float64_and_have_finite_gradients"),
    ("3", "IIC: pretext with the overclustering head on all data without labels", "methods.iic:IIC.schedule", "iic:before_labels_the_overclustering_head_alone_is_trained"),
    ("3", "IIC: fine-tuning of a normal head on labelled data with cross-entropy", "methods.iic:IIC.compute_losses", "iic:losses_by_hand_from_the_outputs"),
    ("3", "IIC sees Sobel-filtered images", "backbones.sobel:before", "inputs:edges_are_those_of_numpy_and_of_a_step_by_hand"),
    ("3", "pretext: both heads, all data, mutual information alone", "methods.foc:FOC.compute_losses", "model:pretext_uses_no_labels"),
    ("3", "fine-tuning: both heads, all data, mutual information as well", "methods.foc:FOC.compute_losses", "model:losses_by_hand_from_the_outputs"),
    ("3", "labels give the normal head its cross-entropy of x1", "losses:cross_entropy", "losses:cross_entropy_is_zero_for_unlabelled_rows"),
    ("3", "labels give a third input x3 of another class", "data.batches:BatchSampler.batch", "batches:ten_thousand_partners_are_right_with_shuffling_on"),
    ("3", "x3 serves CE^-1 of the overclustering head", "methods.foc:FOC.compute_losses", "inputs:without_the_inverse_cross_entropy_there_is_no_third_view"),
    ("3", "Eq. 1: the weighted sum of a supervised and an unsupervised loss", "methods.foc:FOC", "model:losses_by_hand_from_the_outputs"),
    ("3", "pretrained backbones see colours", "build:init_backbone", "inputs:init_from_takes_the_backbone_and_nothing_else"),
    ("3", "without labels it is unsupervised clustering", "unsupervised:name_outputs", "unsupervised:pretext_alone_is_scored_as_clustering"),
    ("3.1", "Eq. 2: the joint is the mean of outer products, made symmetric", "losses:mutual_information", "losses:information_is_symmetric_bounded_and_blind_to_names_and_order"),
    ("3.1", "Eq. 3: I(z, z') from the joint and its marginals", "losses:mutual_information", "losses:hand_computed_values"),
    ("3.2", "Eq. 4: CE^-1, 1 - q is not made to sum to 1, half for x1 and half for x2", "losses:triplet_inverse_cross_entropy", "losses:hand_computed_values"),
    ("3.2", "right behaviour costs exactly 0", "losses:inverse_cross_entropy", "losses:hand_computed_values"),
    ("3.3", "pretext: x1 and x2 are of one image", "views:without_labels", "model:views_without_labels_show_only_own_images"),
    ("3.3", "with a label x2 is of another image of that class", "data.batches:BatchSampler.batch", "batches:partners_are_uniform_over_the_class"),
    ("3.3", "supervised augmentation in the pretext as an upper bound", "views:stage_views", "model:views_of_a_stage"),
    ("3.4", "at most a share r of a batch is unlabelled, less where there is less", "data.batches:BatchSampler", "batches:rows_partners_cap_and_repetition"),
    ("3.4", "an epoch leaves unlabelled images out; in time all are seen", "data.batches:BatchSampler.anchors", "batches:all_unlabelled_images_are_seen_in_time"),
    ("3.5", "same data and network in both stages: one training with a warm-up", "stages:warm_up_stages", "programs:train_leaves_what_the_contract_names"),
    ("3.5", "lambda_s = 0 without supervised augmentation is the pretext", "methods.foc:FOC.compute_losses", "paper:without_labels_lambda_s_does_not_matter"),
    ("4.1", "STL-10: 5,000 to train, 8,000 to validate, 100,000 unlabelled", "datasets.stl10_semi.stl10_semi_dataset_builder:Builder", "builders:stl10_semi_has_no_test_and_unlabelled_images"),
    ("4.1", "plankton: the reference is the mean over all annotations", "annotations:from_votes", "annotations:equals_the_definition"),
    ("4.1", "certain: all agree; fuzzy: at least one dissents", "annotations:is_certain", "annotations:every_share_that_equals_the_threshold_is_certain"),
    ("4.1", "fuzzy images are unlabelled in training", "data.images:ImageSet.training_labels", "data:roles_partition_the_images"),
    ("4.1", "26 plankton classes are merged to 10", "datasets.fuzzy_plankton.fuzzy_plankton_dataset_builder:Builder", "builders:plankton_keeps_votes_and_the_slice_of_dcics_code"),
    ("4.2", "backbones: IIC's ResNet34 variant or ResNet50v2", "backbones:BACKBONES", "backbones:parameter_counts"),
    ("4.2", "heads: fully connected layers with softmax, five copies each", "heads:MultiHead", "model:heads_have_their_own_weights_and_can_be_mlps"),
    ("4.2", "every image stands three times in a batch", "data.batches:BatchSampler.batch", "batches:rows_partners_cap_and_repetition"),
    ("4.2", "the kinds of head are trained in turn", "stages:blocks", "model:blocks_cover_every_epoch_once_and_alternate"),
    ("4.2", "Sobel or colour images, fed in parallel", "backbones.sobel:before", "inputs:a_backbone_behind_edges"),
    ("4.2", "colour starts from CIFAR-20 or ImageNet weights", "../configs/pretrain_cifar20.flags", "programs:every_config_holds_flags_and_comments_only"),
    ("4.2", "Adam at 1e-4 for 500 epochs; heads alone for 100 at 1e-3 between", "stages:warm_up_stages", "paper:stages_are_the_papers"),
    ("4.2", "k of 70 and 60, lambdas 1, r 0.5", "../configs/stl10.flags", "paper:flagfiles_have_the_papers_numbers"),
    ("4.3", "pretext, normal head: best accuracy over one-to-one permutations", "mapping:hungarian", "mapping:hungarian_is_the_best_permutation"),
    ("4.3", "clusters take classes by the labels of the training data", "mapping:majority", "mapping:majority_is_the_best_many_to_one_mapping"),
    ("4.3", "plankton: clusters take classes by the unlabelled data", "report:Scorer", "mapping:oracle_flatters_where_crossfit_does_not"),
    ("4.3", "macro F1 beside accuracy", "metrics:macro_f1", "metrics:classification_equals_counting_and_sklearn"),
    ("4.3", "the copy and the epoch with the best validation accuracy", "loop:Run", "loop:the_best_epoch_is_one_of_the_last_stage"),
]  # fmt: skip


@pytest.mark.parametrize("line", PAPER, ids=lambda line: f"{line[0]} {line[1]}")
def test_code_and_test_exist(line):
    _, _, code, test = line
    if "/" in code:
        assert (TESTS / code).exists()
    else:
        module, _, names = code.partition(":")
        found = importlib.import_module(f"foc_tf.{module}")
        for name in names.split("."):
            found = getattr(found, name)
    file, _, name = test.partition(":")
    tree = ast.parse((TESTS / f"test_{file}.py").read_text())
    assert f"test_{name}" in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}


def test_without_labels_lambda_s_does_not_matter():
    from tests.test_model import batch, tiny_model

    none, pretext = tiny_model(lambda_s=0.0, dropout=0.0), tiny_model(dropout=0.0)
    pretext.set_weights(none.get_weights())
    from foc_tf.stages import warm_up_stages

    pretext.set_stage(warm_up_stages(1, 0, 0)[0])
    one, two = (model.compute_losses(batch(), training=True) for model in (none, pretext))
    assert set(one) == set(two) == {"normal_mi", "over_mi"}
    for name in one:
        assert float(one[name]) == pytest.approx(float(two[name]), abs=1e-7)


def test_stages_are_the_papers():
    from foc_tf.stages import warm_up_stages

    pretext, heads_only, fine_tune = warm_up_stages()
    assert (pretext.epochs, pretext.learning_rate, pretext.use_labels) == (500, 1e-4, False)
    assert (heads_only.epochs, heads_only.learning_rate) == (100, 1e-3)
    assert not heads_only.train_backbone
    assert (fine_tune.epochs, fine_tune.learning_rate) == (500, 1e-4)


@pytest.mark.parametrize(("name", "k"), [("stl10", 70), ("plankton", 60)])
def test_flagfiles_have_the_papers_numbers(name, k):
    lines = (TESTS.parent / "configs" / f"{name}.flags").read_text().splitlines()
    assert {f"--k={k}", "--unlabeled_ratio=0.5", "--repetitions=3"} <= set(lines)
    assert not any(line.startswith("--lambda") for line in lines)  # their default is 1
