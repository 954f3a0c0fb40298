"""The MLP and the LSTM put together from torch's own modules, under our names."""

import itertools

import torch
from torch import nn


class TorchNetwork(nn.Module):
    """Parameters by our name, each with whether it is transposed."""

    def named(self):
        raise NotImplementedError

    def load(self, weights):
        assert self.named().keys() == weights.keys()
        with torch.no_grad():
            for name, (parameter, transposed) in self.named().items():
                parameter.copy_(weights[name].T if transposed else weights[name])
        return self

    def values(self):
        return {name: p.detach().T if transposed else p.detach() for name, (p, transposed) in self.named().items()}

    def gradients(self):
        return {name: p.grad.T if transposed else p.grad for name, (p, transposed) in self.named().items()}


class Square(nn.Module):
    def forward(self, x):
        return x * x


class TorchMLP(TorchNetwork):
    """nn.Sequential of nn.Linear and activations, on nn.Embedding or explicit one-hot vectors, side by side.

    `after` is applied to each hidden layer.
    """

    def __init__(self, config, layout, n_answers, after):
        super().__init__()
        n, k = layout.n_operand_tokens, layout.n_operands
        one_hot = config.input == "onehot"
        self.embed = None if one_hot else nn.Embedding(k * n if config.input == "separate" else n, config.d_model)
        self.firsts = [i * n if config.input == "separate" else 0 for i in range(k)]
        widths = [k * (n if one_hot else config.d_model), *(config.d_hidden for _ in range(config.n_layers))]
        act = {"relu": nn.ReLU, "gelu": nn.GELU, "square": Square}[config.activation]
        pairs = itertools.pairwise(widths)
        hidden = [part for pair in pairs for part in (nn.Linear(*pair), act(), after)]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], n_answers))
        self.n = n

    def forward(self, operands):
        eye = torch.eye(self.n, dtype=self.layers[0].weight.dtype)
        columns = zip(operands.T, self.firsts, strict=True)
        parts = [self.embed(c + first) if self.embed is not None else eye[c] for c, first in columns]
        return self.layers(torch.cat(parts, dim=1))

    def named(self):
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        first = "embed.W_E" if self.embed is None else "blocks.0.mlp.W_in"
        names = [first, *(f"blocks.{i}.mlp.W_in" for i in range(1, len(linear) - 1)), "unembed.W_U"]
        biases = [*(f"blocks.{i}.mlp.b_in" for i in range(len(linear) - 1)), "unembed.b_U"]
        found = {name: (layer.weight, True) for name, layer in zip(names, linear, strict=True)}
        found |= {name: (layer.bias, False) for name, layer in zip(biases, linear, strict=True)}
        return found if self.embed is None else {"embed.W_E": (self.embed.weight, False), **found}


class TorchLSTM(TorchNetwork):
    """torch's own modules, one after the other."""

    def __init__(self, config, layout, n_answers):
        super().__init__()
        self.embed = nn.Embedding(layout.d_vocab, config.d_model)
        self.lstm = nn.LSTM(config.d_model, config.d_hidden, config.n_layers, batch_first=True)
        self.unembed = nn.Linear(config.d_hidden, n_answers)

    def forward(self, tokens):
        self.states, _ = self.lstm(self.embed(tokens))
        return self.unembed(self.states[:, -1])

    def named(self):
        found = {"embed.W_E": (self.embed.weight, False)}
        for layer in range(self.lstm.num_layers):
            for side in ("ih", "hh"):
                found[f"blocks.{layer}.lstm.W_{side}"] = (getattr(self.lstm, f"weight_{side}_l{layer}"), True)
                found[f"blocks.{layer}.lstm.b_{side}"] = (getattr(self.lstm, f"bias_{side}_l{layer}"), False)
        return {**found, "unembed.W_U": (self.unembed.weight, True), "unembed.b_U": (self.unembed.bias, False)}
