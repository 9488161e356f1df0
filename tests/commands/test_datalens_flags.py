"""Old command lines become new ones that compose; what cannot be kept is named with its reason."""

from __future__ import annotations

import shlex

import pytest
from hydra import compose, initialize_config_dir

from dpsynth.commands.config_files import config_folder
from dpsynth.errors import ConfigError
from dpsynth.reproductions.datalens_flags import translated
from dpsynth.runs.options import TrainOptions, typed

PUBLISHED = (
    "--checkpoint_dir out --topk 200 --signsgd --stochastic --max_grad 1e-5 --norandom_proj --shuffle --nopretrain "
    "--d_step 2 --epoch 300 --save_vote --batch_size 30 --dataset mnist --teachers_batch 80 --batch_teachers 50 "
    "--thresh 0.7 --sigma 5000 --z_dim 50 --pretrain_teacher 10 --max_eps 1 --delta 1e-5"
)


def test_the_published_command_composes_to_what_it_says():
    overrides, remarks = translated(shlex.split(PUBLISHED))
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        recipe = typed(TrainOptions, compose("train", overrides)).recipe()
    assert (recipe.teacher.count, recipe.votes.k, recipe.published.sigma, recipe.votes.threshold) == (
        4000,
        200,
        5000,
        0.7,
    )
    assert (recipe.votes.compress, recipe.votes.aggregate, recipe.student.latent) == (
        "topk_stochastic",
        "threshold",
        50,
    )
    assert recipe.queries == 15  # 60,000 rows on 4,000 teachers cut the batch
    assert recipe.published.keep
    assert recipe.published.fresh
    assert not recipe.published.alike
    text = "\n".join(remarks)
    assert "--save_vote: no counterpart" in text
    assert "random_proj" not in text  # it was switched off


@pytest.mark.parametrize("flag", ["--sketchsgd", "--pca", "--signsgd_dept", "--random_proj", "--mean_kernel"])
def test_unsound_variants_are_refused_with_the_reason(flag):
    _, remarks = translated([flag])
    assert any(remark.startswith(f"{flag}: refused, ") and len(remark) > 40 for remark in remarks)


def test_dead_flags_are_named():
    _, remarks = translated(["--g_epoch", "500", "--sample_step=100"])
    assert [remark.split(":")[0] for remark in remarks] == ["--g_epoch", "--sample_step"]
    assert all("dead" in remark for remark in remarks)


@pytest.mark.parametrize("words", [["--frobnicate", "3"], ["topk"], ["--dataset", "slt"]])
def test_what_is_no_flag_is_an_error(words):
    with pytest.raises(ConfigError):
        translated(words)
