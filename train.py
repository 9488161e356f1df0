"""Train a differentially private synthesizer and release a synthetic table.

    python train.py                                            # model=maf data=adult privacy.epsilon=1
    python train.py model=maf data=adult privacy.epsilon=3 privacy.delta=1e-6 seed=1
    python train.py privacy.dry_run=true                       # print the budget table, open no data
    python train.py data=csv data.path=people.csv data.schema=people.yaml data.holdout=0.2
    python train.py run=outputs/mine                           # the folder of the run
    python train.py run=outputs/mine resume=true               # go on after Ctrl-C, to the same result
    python train.py -m privacy.epsilon=0.3,1,3 seed=0,1,2      # a sweep

The options are the YAML files in configs/; train.yaml is their table of contents.  A run leaves

    <run>/release/   model.json  model.safetensors  privacy.json  synthetic.csv    may be shared
    <run>/private/   config.yaml  train_log.csv                                     may not

The steps are in dpsynth/commands/train.py.
"""

from dpsynth.commands.entry import train

if __name__ == "__main__":
    train()
