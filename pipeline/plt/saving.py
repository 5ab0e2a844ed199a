"""The state of a training into its checkpoints and back: by one process at once, by several while training goes on."""

from concurrent.futures import Future
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import CheckpointError
from pipeline.plt.checkpoint import OPTIMISER_NAME, ModelFolder, TrainProgress, checkpoint_of
from pipeline.plt.config import ModelConfig
from pipeline.plt.distributed import Ranks, like
from pipeline.plt.model import PLT
from pipeline.plt.optimiser import MOMENTS, Optimiser, empty_state, pack_state, unpack_state
from pipeline.plt.pieces import INDEX_NAME, index_whole_files, read_index, read_pieces
from pipeline.plt.sharded import load_shards, save_shards
from pipeline.plt.weights import WEIGHTS_NAME, check_tensors, gather, read_tensors


class Saver:
    """Saves the checkpoints of one life of a run, one at a time."""

    def __init__(self, folder: ModelFolder, *, model: PLT, optimiser: Optimiser, ranks: Ranks) -> None:
        self._folder, self._model, self._optimiser, self._ranks = folder, model, optimiser, ranks
        self._last = -1 if folder.resume is None else folder.resume.progress.step  # step of the newest one
        self._pending: Future[Any] | None = None

    def save(self, progress: TrainProgress, *, config: ModelConfig, machine: dict[str, str]) -> None:
        """Begin the checkpoint of `progress`, unless it stands. A collective call; only `wait` says that it is done."""
        if progress.step == self._last:
            return
        self.wait()
        draft = self._folder.draft(progress, config=config, machine=machine)
        self._last = progress.step
        if self._ranks.group is None:
            moments = {name: t.cpu().contiguous() for name, t in pack_state(self._optimiser, model=self._model).items()}
            draft.write(weights=gather(self._model), optimiser_state=moments)
            self._ranks.wait()
            return
        self._ranks.wait()  # until the first process has made the folder
        self._pending = save_shards(self._state(), draft.partial, ranks=self._ranks, commit=draft.commit)

    def wait(self) -> None:
        """Return when the checkpoint that was begun stands, on the disk of all. Raises CheckpointError if it cannot."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        error = pending.exception()
        if error is not None:
            final = checkpoint_of(self._folder.path, step=self._last)
            cause = " ".join(str(error).split())[-300:]
            raise CheckpointError(f"{final}: cannot be written ({cause}); free the space or fix access, then run again")

    def settle(self) -> None:
        """Return when nothing is written any more, well or not: whoever takes the folder up next, in this process too,
        clears half a checkpoint away."""
        if self._pending is not None:
            self._pending.exception()  # no news beside the error that ends the training

    def restore(self, progress: TrainProgress) -> None:
        """Fill model and optimiser from the checkpoint of `progress`, whatever number of processes wrote it."""
        checkpoint = checkpoint_of(self._folder.path, step=progress.step)
        in_pieces = (checkpoint / INDEX_NAME).is_file()
        if self._ranks.group is not None:
            names = (WEIGHTS_NAME, OPTIMISER_NAME)
            index = read_index(checkpoint) if in_pieces else index_whole_files(checkpoint, names)
            empty_state(self._optimiser, model=self._model, step=progress.step)
            load_shards(self._state(), checkpoint, index, ranks=self._ranks)
            return
        if in_pieces:
            tensors = read_pieces(checkpoint, read_index(checkpoint))
        else:
            tensors = read_tensors(checkpoint / WEIGHTS_NAME) | read_tensors(checkpoint / OPTIMISER_NAME)
        moments = {name: tensors.pop(name) for name in list(tensors) if name.partition(".")[0] in MOMENTS}
        check_tensors(tensors, model=self._model, where=str(checkpoint))
        with torch.no_grad():
            for name, tensor in self._model.state_dict().items():
                tensor.copy_(like(tensors[name], tensor))
        unpack_state(moments, optimiser=self._optimiser, model=self._model, step=progress.step)

    def _state(self) -> dict[str, Tensor]:
        """Weights and moments by name, divided as they are; what is loaded into them is in the model."""
        weights = {name: tensor.detach() for name, tensor in self._model.state_dict().items()}
        return weights | pack_state(self._optimiser, model=self._model)
