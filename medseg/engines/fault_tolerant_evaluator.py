from collections.abc import Callable
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data import list_data_collate
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents, engine_apply_transform
from monai.utils import CommonKeys

from medseg.data.fault_tolerant import CaseFailure, describe_failure, disk_full_error
from medseg.files import case_source


class FaultTolerantEvaluator(SupervisedEvaluator):
    """MONAI's ``SupervisedEvaluator`` for inference on many cases, of which some may fail.

    An exception in the network, the inferer, the postprocessing (writing included) or a handler of one case is
    noted in `problems`, and the run goes on. A batch whose forward pass fails is tried again case by case. A full
    disk stops the run, and so does Ctrl-C. A failed case is missing from `engine.state.batch` and
    `engine.state.output`, which handlers see; both are empty lists where every case of an iteration failed.

    Its data loader gives lists of cases, not collated (``collate_fn=monai.data.utils.no_collation``), among them
    a `CaseFailure` for each that failed before (:class:`medseg.data.FaultTolerantDataset`). Each case has an `image`
    that knows its file; cases that do not fit into one batch are run one by one.

    When the loader is empty, no case runs, but handlers of `EPOCH_STARTED`, `EPOCH_COMPLETED` and `COMPLETED` do: what
    they write sums up earlier runs.

    Args:
        args: as for `SupervisedEvaluator`.
        kwargs: as for `SupervisedEvaluator`.

    Attributes:
        problems: one entry per failed case, in the order of the run.

    Raises:
        InputError: (while running) nothing more can be written.
        RuntimeError: (while running) the data loader ended early.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.problems: list[CaseFailure] = []
        super().__init__(*args, **kwargs)
        self.add_event_handler(Events.GET_BATCH_COMPLETED, self._set_failed_aside)
        # Ignite would begin again, and take the first cases for the last
        self.add_event_handler(Events.DATALOADER_STOP_ITERATION, self._refuse_early_end)

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]
        """Run all cases once.

        Args:
            global_epoch: as for `SupervisedEvaluator.run`.
        """
        self.problems.clear()
        if self.state.epoch_length == 0:
            for event in (Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.COMPLETED):
                self.fire_event(event)
            return
        super().run(global_epoch)

    def _iteration(self, engine: SupervisedEvaluator, batchdata: list[dict[str, Any]]) -> Any:  # type: ignore[override]
        done = self._attempt(batchdata)
        engine.state.batch = [batch for batch, _ in done]
        engine.state.output = [output for _, output in done]
        return engine.state.output

    def _set_failed_aside(self, _engine: Engine) -> None:
        self.problems += [item for item in self.state.batch if isinstance(item, CaseFailure)]
        self.state.batch = [item for item in self.state.batch if not isinstance(item, CaseFailure)]

    def _refuse_early_end(self, _engine: Engine) -> None:
        raise RuntimeError(f"The data ended after {self.state.iteration} of {self.state.epoch_length} batches.")

    def _attempt(self, cases: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Item and output of each case that went well."""
        if not cases:
            return []
        try:
            self.state.batch = list_data_collate(cases)
            super()._iteration(self, self.state.batch)
            return list(zip(self.state.batch, self.state.output, strict=True))
        except Exception as error:
            if len(cases) == 1:
                self._note(cases[0], error)
                return []
        self._free_memory()
        return [pair for case in cases for pair in self._attempt([case])]

    def _register_postprocessing(self, posttrans: Callable) -> None:
        @self.on(IterationEvents.MODEL_COMPLETED)
        def _postprocess(_engine: Engine) -> None:
            done = []
            for batch, output in zip(self.state.batch, self.state.output, strict=True):
                try:
                    done.append(engine_apply_transform(batch, output, posttrans))
                except Exception as error:
                    self._note(batch, error)
            self.state.batch = [batch for batch, _ in done]
            self.state.output = [output for _, output in done]

    def _fire_event(self, event_name: Any, *event_args: Any, **event_kwargs: Any) -> None:
        """Fire an event; a handler's error there costs the cases of this iteration, which later handlers do not see."""
        try:
            super()._fire_event(event_name, *event_args, **event_kwargs)
        except Exception as error:
            if event_name != Events.ITERATION_COMPLETED:
                raise
            for item in self.state.batch:
                self._note(item, error)

    def _note(self, item: dict[str, Any], error: Exception) -> None:
        stop = disk_full_error(error)
        if stop is not None:
            raise stop from error
        problem = describe_failure(case_source(item[CommonKeys.IMAGE].meta), error)
        self.logger.debug("%s\n%s", problem.problem, problem.details)
        self.problems.append(problem)
        self._free_memory()

    def _free_memory(self) -> None:
        if self.state.device.type == "cuda":
            torch.cuda.empty_cache()
