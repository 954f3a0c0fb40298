"""The model section: a transformer, an MLP or an LSTM, chosen by `kind`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from grokinterp.config.section import Section

Biases = Literal["none", "mlp", "all"]


class _Network(Section):
    """What all architectures have: an initialisation."""

    init_scale: float = Field(1.0, gt=0, le=1000, description="factor on all initial weights, LayerNorm apart")
    init_seed: int = Field(0, ge=0, lt=2**63, description="seed of the initial weights alone")


class TransformerConfig(_Network):
    """A decoder-only transformer with TransformerLens names and conventions."""

    kind: Literal["transformer"] = Field("transformer", description="architecture")
    n_layers: int = Field(1, ge=1, le=4, description="number of blocks; hidden layers of an mlp or lstm")
    d_model: int = Field(128, ge=1, le=4096, description="width of the residual stream, or of the embedding")
    n_heads: int = Field(4, ge=1, le=64, description="attention heads per block")
    d_head: int | None = Field(None, ge=1, le=4096, description="width of a head; d_model / n_heads if not given")
    d_mlp: int | None = Field(None, ge=1, le=65536, description="neurons per block; 4 d_model if not given")
    activation: Literal["relu", "gelu"] = Field("relu", description="nonlinearity; square: of an mlp alone")
    normalization: Literal["none", "LN", "post-LN"] = Field(
        "none", description="LN: LayerNorm before each sublayer and at the end; post-LN: after each residual sum"
    )
    biases: Biases = Field("none", description="which biases are trained; the others stay zero")
    causal: bool = Field(True, description="causal attention mask")
    attention_rate: float = Field(
        1.0, ge=0, le=1, description="share of softmax attention; the rest is 1 at every position that is seen"
    )
    init: Literal["tl", "nanda"] = Field("tl", description="initialisation scheme; of an mlp or lstm: torch")

    @model_validator(mode="before")
    @classmethod
    def _default_widths(cls, data: Any) -> Any:
        """Fill in d_head and d_mlp, so that a saved config is complete."""
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        width, heads = data.get("d_model", 128), data.get("n_heads", 4)
        if data.get("d_head") is None and isinstance(width, int) and isinstance(heads, int) and heads:
            if width % heads:
                raise ValueError(f"d_model {width} is not a multiple of n_heads {heads}; give d_head")
            data["d_head"] = width // heads
        if data.get("d_mlp") is None and isinstance(width, int):
            data["d_mlp"] = 4 * width
        return data

    @property
    def head_width(self) -> int:
        """d_head, known to be set."""
        return self.d_head or self.d_model // self.n_heads

    @property
    def mlp_width(self) -> int:
        """d_mlp, known to be set."""
        return self.d_mlp or 4 * self.d_model


class MLPConfig(_Network):
    """Hidden layers of one width over one-hot operands side by side, or over their embeddings (shared or separate)."""

    kind: Literal["mlp"] = Field("mlp", description="architecture")
    n_layers: int = Field(2, ge=1, le=8, description="hidden layers")
    d_hidden: int = Field(512, ge=1, le=65536, description="width of a hidden layer of an mlp, or of an lstm's state")
    input: Literal["onehot", "embedding", "separate"] = Field(
        "onehot",
        description="of an mlp: operands side by side as one-hot vectors, as embeddings from one table, or from a "
        "separate table each",
    )
    d_model: int = Field(128, ge=1, le=4096, description="width of the embedding, where there is one")
    activation: Literal["relu", "gelu", "square"] = Field("relu", description="nonlinearity of the hidden layers")
    biases: Literal["none", "all"] = Field("all", description="whether biases are trained; if not they are zero")
    init: Literal["torch"] = Field("torch", description="initialisation scheme")

    @model_validator(mode="after")
    def _embedding_has_a_width(self) -> Self:
        if self.input == "onehot" and self.d_model != MLPConfig.model_fields["d_model"].default:
            raise ValueError(
                "d_model is the width of an embedding; use --model.input embedding or separate, or leave it out"
            )
        return self

    @property
    def is_two_tables(self) -> bool:
        """Whether there is nothing between embedding and unembedding: one layer, one-hot input."""
        return self.n_layers == 1 and self.input == "onehot"


class LSTMConfig(_Network):
    """LSTM layers over the embedded tokens, read at the last position."""

    kind: Literal["lstm"] = Field("lstm", description="architecture")
    n_layers: int = Field(1, ge=1, le=4, description="stacked LSTM layers")
    d_hidden: int = Field(20, ge=1, le=4096, description="width of the hidden state")
    d_model: int = Field(128, ge=1, le=4096, description="width of the embedding")
    biases: Literal["none", "all"] = Field("all", description="whether biases are trained; if not they are zero")
    init: Literal["torch"] = Field("torch", description="initialisation scheme")


KINDS: dict[str, type[TransformerConfig] | type[MLPConfig] | type[LSTMConfig]] = {
    "transformer": TransformerConfig,
    "mlp": MLPConfig,
    "lstm": LSTMConfig,
}
"""The architectures by the name that `model.kind` takes."""


def kind_of(model: Any) -> str:
    """The architecture that a model section asks for; a transformer where it does not say."""
    if isinstance(model, Mapping):
        kind = model.get("kind", "transformer")
        return kind if isinstance(kind, str) else "transformer"
    return str(getattr(model, "kind", "transformer"))


ModelConfig = Annotated[
    Annotated[TransformerConfig, Tag("transformer")]
    | Annotated[MLPConfig, Tag("mlp")]
    | Annotated[LSTMConfig, Tag("lstm")],
    Discriminator(kind_of, custom_error_type="kind", custom_error_message="choose from transformer, mlp, lstm"),
]
"""Any of them."""
