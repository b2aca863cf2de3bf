from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data import list_data_collate
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents, engine_apply_transform
from monai.utils import CommonKeys

from medseg.data.failures import CaseFailure, describe_failure, disk_full_error
from medseg.data.fault_tolerant_dataset import SOURCE_KEY
from medseg.files import case_source


class FaultTolerantEvaluator(SupervisedEvaluator):
    """MONAI's `SupervisedEvaluator` for inference on many cases of which some may fail.

    An exception of one case in the network, the inferer, the postprocessing (writing included) or a handler of
    `ITERATION_COMPLETED` is noted in `failures`, and the run goes on. A batch whose forward pass fails is tried again
    case by case. A full disk stops the run, and so does Ctrl-C. A failed case is missing from `engine.state.batch` and
    `engine.state.output`, which handlers see; both are empty lists where every case of an iteration failed.

    The data loader gives lists of cases that are not collated (`collate_fn=monai.data.utils.no_collation`), among them
    a `CaseFailure` for each that failed before (`medseg.data.FaultTolerantDataset`). Each case has an `image` that
    knows its file. Cases that do not fit into one batch are run one by one.

    With an empty loader no case runs, but handlers of `EPOCH_STARTED`, `EPOCH_COMPLETED` and `COMPLETED` do: they
    write the summaries of earlier runs. The arguments are those of `SupervisedEvaluator`.

    Attributes:
        failures: one entry per failed case, in the order of the run.

    Raises:
        InputError: (while running) nothing more can be written.
        RuntimeError: (while running) the data loader ended early.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.failures: list[CaseFailure] = []
        self._sources: list[Any] = []
        super().__init__(*args, **kwargs)
        self.add_event_handler(Events.GET_BATCH_COMPLETED, self._collect_failures)
        # Ignite would start the data again, and count the first cases twice
        self.add_event_handler(Events.DATALOADER_STOP_ITERATION, self._refuse_early_end)

    def add_event_handler(self, event_name: Any, handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As in Ignite, but an error of a handler of `ITERATION_COMPLETED` costs the cases of that iteration only."""
        if event_name == Events.ITERATION_COMPLETED:
            handler = self._tolerant(handler)
        return super().add_event_handler(event_name, handler, *args, **kwargs)

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]
        """Run all cases once."""
        self.failures.clear()
        if self.state.epoch_length == 0:
            for event in (Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.COMPLETED):
                self.fire_event(event)
            return
        super().run(global_epoch)

    def _iteration(self, engine: SupervisedEvaluator, batchdata: list[dict[str, Any]]) -> Any:  # type: ignore[override]
        done = self._attempt(batchdata)
        engine.state.batch, engine.state.output = [batch for batch, _ in done], [output for _, output in done]
        return engine.state.output

    def _tolerant(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return handler(*args, **kwargs)
            except Exception as error:
                for item in self.state.batch:
                    self._note(item, error)
                self.state.batch, self.state.output = [], []  # later handlers do not see them

        return guarded

    def _collect_failures(self, _engine: Engine) -> None:
        self.failures += [item for item in self.state.batch if isinstance(item, CaseFailure)]
        self.state.batch = [item for item in self.state.batch if not isinstance(item, CaseFailure)]

    def _refuse_early_end(self, _engine: Engine) -> None:
        raise RuntimeError(f"The data ended after {self.state.iteration} of {self.state.epoch_length} batches.")

    def _attempt(self, cases: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Item and output of each case that went well."""
        if not cases:
            return []
        try:
            # sources differ in size, and collating them would copy them
            self._sources = [case.get(SOURCE_KEY) for case in cases]
            self.state.batch = list_data_collate([{k: v for k, v in case.items() if k != SOURCE_KEY} for case in cases])
            super()._iteration(self, self.state.batch)
            return list(zip(self.state.batch, self.state.output, strict=True))
        except Exception as error:
            if len(cases) == 1:
                self._note(cases[0], error)
                return []
        self._free_memory()
        return [pair for case in cases for pair in self._attempt([case])]

    def _register_postprocessing(self, posttrans: Callable[..., Any]) -> None:
        @self.on(IterationEvents.MODEL_COMPLETED)
        def _postprocess(_engine: Engine) -> None:
            done = []
            for batch, output, source in zip(self.state.batch, self.state.output, self._sources, strict=True):
                try:
                    item, result = engine_apply_transform(batch, output, posttrans)
                    done.append((item if source is None else {**item, SOURCE_KEY: source}, result))
                except Exception as error:
                    self._note(batch, error)
            self.state.batch, self.state.output = [batch for batch, _ in done], [output for _, output in done]

    def _note(self, item: dict[str, Any], error: Exception) -> None:
        if stop := disk_full_error(error):
            raise stop from error
        failure = describe_failure(case_source(item[CommonKeys.IMAGE].meta), error)
        self.logger.debug("%s\n%s", failure.problem, failure.details)
        self.failures.append(failure)
        self._free_memory()

    def _free_memory(self) -> None:
        if self.state.device.type == "cuda":
            torch.cuda.empty_cache()
