"""dpsynth datalens-flags --topk 200 --signsgd ...: the options of the DataLens program as overrides of this one.

Prints `python train.py reproduction=datalens ...`, and a line for each flag that is refused, or has no counterpart,
with the reason. Flags and their meaning are those of the program that came with arXiv:2103.11109.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dpsynth.errors import ConfigError
from dpsynth.privacy.mechanisms.votes import REFUSED

DATA = {
    "mnist": "data=mnist",
    "fashion_mnist": "data=fashion_mnist",
    "celeba": "data=celeba data.attribute=gender",
    "celebA-gender-train": "data=celeba data.attribute=gender",
    "celebA-hair-train": "data=celeba data.attribute=hair",
}
SAME = {
    "topk": "model.votes.k",
    "thresh": "model.votes.threshold",
    "sigma": "model.published.sigma",
    "z_dim": "model.student.latent",
    "d_step": "model.teacher.steps",
    "pretrain_teacher": "model.published.first_steps",
    "batch_size": "model.queries",
    "klevel": "model.votes.levels",
    "max_grad": "model.votes.bound",
    "max_eps": "privacy.epsilon",
    "delta": "privacy.delta",
    "checkpoint_dir": "run",
    "data_dir": "data.root",
}
COUNTS = ("batch_teachers", "teachers_batch")
SWITCHES = ("signsgd", "signsgd_nothresh", "klevelsgd", "stochastic", "non_private")
UNSOUND = {
    "sketchsgd": REFUSED["sketchsgd"],
    "signsgd_dept": REFUSED["signsgd_dept"],
    "pca": REFUSED["pca"],
    "random_proj": "its price depends on the data and is released without protection; use model.votes.compress=project",
    "mean_kernel": "its price depends on the data and is released without protection; use model.votes.compress=project",
}
WITHOUT = {
    "g_step": "the student takes model.student.steps steps between releases, which is free",
    "epoch": "the number of releases is model.rounds, fixed beforehand; training never stops because of what it sees",
    "shuffle": "shards are always drawn by a secret key, and disjoint",
    "learning_rate": "model.student.learning_rate and model.teacher.learning_rate are set apart",
    "beta1": "Adam's first beta is 0.5",
    "orders": "accounting is exact and needs no Renyi orders; model.published.accountant shows the published figure",
    "save_vote": "votes without noise are private and are never written",
    "save_epoch": "checkpoints are kept by time: trainer.checkpoint_minutes",
    "train": "train.py trains, generate.py samples",
    "pretrain": "teachers start untrained",
    "load_d": "train.py resume=true goes on with an unfinished run",
    "teacher_dir": "teachers are private; they live in the run's private/checkpoint only",
    "random_label": "a change of the data, not of the method",
    "wgan": "its teachers are trained with a loss that is not offered",
    "train_size": "data.n_train limits the rows",
    "tanh": "the generator's range is set by histogram-matching curves",
    "simple_gan": "a network for 20-dimensional codes only; model.published.discriminator=mlp sees any shape",
}
ONLY_PROJECTED = "only the refused projections read it"
DEAD = {
    **dict.fromkeys(("g_epoch", "generator_dir", "sample_step", "small"), "never read there"),
    **dict.fromkeys(("hid_dim", "ae", "loss", "train_ae", "finetune_ae"), "belongs to a package that was not shipped"),
    **dict.fromkeys(
        ("input_height", "input_width", "output_height", "output_width", "y_dim"), "overwritten by the data set there"
    ),
    **dict.fromkeys(("pca_dim", "pca_sigma", "proj_mat", "increasing_dim"), ONLY_PROJECTED),
    **dict.fromkeys(("step_size", "sigma_thresh"), ONLY_PROJECTED),
    "crop": "hardly read there",
    "checkpoint_name": "the file was written under another name there",
}  # fmt: skip


def datalens_flags(arguments: Sequence[str]) -> None:
    """Print the command and the remarks."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: dpsynth datalens-flags --topk 200 --signsgd ...\n\n{__doc__}")
        return
    overrides, remarks = translated(arguments)
    print("python train.py " + " \\\n    ".join(overrides))
    for remark in remarks:
        print(remark)


def translated(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """(overrides, remarks) for the flags. Raises `ConfigError` for what is not a flag of the DataLens program."""
    flags = _read(arguments)
    overrides, remarks = ["reproduction=datalens"], []
    for name, value in flags.items():
        off = value in ("False", "false", "0") if name in UNSOUND or name in WITHOUT else False
        if name == "dataset":
            if value not in DATA:
                raise ConfigError(f"--dataset {value}: choose one of {', '.join(DATA)}, or data=image_folder by hand")
            overrides.append(DATA[value])
        elif name in SAME:
            overrides.append(f"{SAME[name]}={value}")
        elif name in UNSOUND:
            if not off:
                remarks.append(f"--{name}: refused, {UNSOUND[name]}")
        elif name in WITHOUT:
            if not off:
                remarks.append(f"--{name}: no counterpart, {WITHOUT[name]}")
        elif name in DEAD:
            remarks.append(f"--{name}: dead, {DEAD[name]}")
        elif name not in SWITCHES and name not in COUNTS:
            raise ConfigError(f"--{name}: not a flag of DataLens")
    if any(name in flags for name in COUNTS):
        live, swaps = (int(flags.get(name, "1")) for name in COUNTS)
        overrides.append(f"model.teacher.count={live * swaps}")
        rows = 60_000 // (live * swaps) if flags.get("dataset") in ("mnist", "fashion_mnist") else None
        if rows and int(flags.get("batch_size", "30")) > rows:
            overrides = [each for each in overrides if not each.startswith("model.queries=")]
            overrides.append(f"model.queries={rows}")
            remarks.append(f"--batch_size: cut at the rows of a teacher there, which are {rows}")
        remarks.append("--batch_teachers, --teachers_batch: their product; model.teacher.at_once bounds the memory")
    overrides.extend(_votes({name for name in SWITCHES if flags.get(name, "False") not in ("False", "false", "0")}))
    return overrides, remarks


def _votes(on: set[str]) -> list[str]:
    described = ["privacy.epsilon=inf"] if "non_private" in on else []
    if "klevelsgd" in on:
        return [
            *described, "model.votes.compress=klevel", "model.votes.aggregate=linear", "model.published.accountant=gdp"
        ]  # fmt: skip
    compress = "topk_stochastic" if "stochastic" in on else "topk_sign"
    return [
        *described,
        f"model.votes.compress={compress}",
        f"model.votes.aggregate={'linear' if 'signsgd_nothresh' in on else 'threshold'}",
    ]


def _read(arguments: Sequence[str]) -> dict[str, str]:
    """Flags with their values: --name value, --name=value, --name, --noname."""
    flags: dict[str, str] = {}
    words = list(arguments)
    while words:
        word = words.pop(0)
        match = re.fullmatch(r"--([A-Za-z0-9_]+)(?:=(.*))?", word)
        if not match:
            raise ConfigError(f"{word!r}: expected a flag such as --topk 200")
        name, value = match[1], match[2]
        if value is None and words and not words[0].startswith("--"):
            value = words.pop(0)
        known = {*SAME, *UNSOUND, *WITHOUT, *DEAD, *SWITCHES, *COUNTS, "dataset"}
        if value is None and name.startswith("no") and name not in known and name[2:] in known:
            name, value = name[2:], "False"
        flags[name] = "True" if value is None else value
    return flags
