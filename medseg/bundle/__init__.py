"""What configs and commands share: the start of a run, checks, several processes, export, MONAI Label."""

from medseg.bundle.checks import (
    check_bundle_root,
    check_file,
    check_input,
    check_new_run,
    check_output_dir,
    check_weights,
)
from medseg.bundle.distributed import (
    attach_after_restart,
    default_device,
    init_distributed,
    is_cuda,
    is_not_rank0,
    require_torchrun,
)
from medseg.bundle.initialize import initialize, resolve_dataset_dir, starting_weights, trained_dir
from medseg.bundle.model_facts import ModelFacts
from medseg.bundle.overrides import check_command_line, check_override
from medseg.bundle.tracking import track_run
from medseg.bundle.user_errors import install_user_error_hook

__all__ = [
    "ModelFacts",
    "attach_after_restart",
    "check_bundle_root",
    "check_command_line",
    "check_file",
    "check_input",
    "check_new_run",
    "check_output_dir",
    "check_override",
    "check_weights",
    "default_device",
    "init_distributed",
    "initialize",
    "install_user_error_hook",
    "is_cuda",
    "is_not_rank0",
    "require_torchrun",
    "resolve_dataset_dir",
    "starting_weights",
    "track_run",
    "trained_dir",
]
