"""What a run is: frozen, validated sections, read from and written to TOML and JSON.

A config that validates is one that trains what it says: every field is checked here, alone and
together with the others, so that nothing downstream has to. Field descriptions are the command
line's help text.
"""

from grokinterp.config.custom import OperationTable, read_operation, table_of
from grokinterp.config.model import KINDS, LSTMConfig, MLPConfig, ModelConfig, TransformerConfig, kind_of
from grokinterp.config.operations import (
    CUSTOM_OPERATION,
    GROUP_OPERATIONS,
    MODULAR_OPERATIONS,
    OPERATION_ALIASES,
    OPERATIONS,
    PARITY_OPERATION,
    without_other_operands,
)
from grokinterp.config.run import SCHEMA_VERSION, RunConfig, why_not_fast
from grokinterp.config.section import Section
from grokinterp.config.task import DEFAULT_P, MAX_P, TaskConfig, train_size
from grokinterp.config.training import OptimizerConfig, RegularizerConfig, TrainConfig

__all__ = [
    "CUSTOM_OPERATION",
    "DEFAULT_P",
    "GROUP_OPERATIONS",
    "KINDS",
    "MAX_P",
    "MODULAR_OPERATIONS",
    "OPERATIONS",
    "OPERATION_ALIASES",
    "PARITY_OPERATION",
    "SCHEMA_VERSION",
    "LSTMConfig",
    "MLPConfig",
    "ModelConfig",
    "OperationTable",
    "OptimizerConfig",
    "RegularizerConfig",
    "RunConfig",
    "Section",
    "TaskConfig",
    "TrainConfig",
    "TransformerConfig",
    "kind_of",
    "read_operation",
    "table_of",
    "train_size",
    "why_not_fast",
    "without_other_operands",
]
