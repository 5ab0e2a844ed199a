"""Curate a mixture on the cluster that this job runs on.

    ray job submit --working-dir . -- python -m jobs.curate MIXTURE.yaml --out RUN [--on-bad-shard skip]

The same options as `loopmix curate`; the run folder must be reachable from every node (a shared disk or an fsspec URL).
Submit the same line again after a failure: it goes on where it stopped.
"""

import sys

from pipeline.cli.main import main

if __name__ == "__main__":
    main(["curate", "--ray-address", "auto", *sys.argv[1:]])
