"""Train the built-in PLT on a finished run, for instance on a cluster's GPU node.

ray job submit --entrypoint-num-gpus 1 --working-dir . -- python -m jobs.train TRAIN.yaml --data RUN --out MODEL
"""

import sys

from pipeline.cli.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
