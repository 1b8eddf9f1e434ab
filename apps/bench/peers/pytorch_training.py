"""Whole steps of training in PyTorch, for comparison: forward, backward, clipping and AdamW, in float32 without TF32
and under bfloat16 autocast.

The model has upstream's kernels where `mamba_ssm` is installed and the device is a GPU. Otherwise it is a plain
composition of PyTorch's operations with the chunked scan of pytorch.py, whose gradients agree with those of a
step-by-step loop before anything is timed. `scan` in the output says which.

Prints one JSON document. Each row: name, shape, dtype, median seconds, p10, p90, samples, tokensPerSecond, and
peakBytes, the most that was allocated on the GPU. Rows whose name ends in `.cudagraph` replay the whole step as one
CUDA graph, so that launches cost nothing.

    python3 apps/bench/peers/pytorch_training.py [--quick] [--device cpu] > training.json
"""

import argparse
import functools
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from pytorch import Block, chunked_scan, scan_of_chunk, seconds_on_gpu, sequential_scan, timed

try:
    import mamba_ssm
except ImportError:
    mamba_ssm = None

MODELS = {
    "mamba-130m": dict(layers=24, d_model=768, vocab=50280, tied=True, shapes=[(1, 2048), (8, 512), (8, 2048)]),
    # Section 4.1.2 of Mamba's paper: the loss is on the last token alone.
    "induction-heads": dict(layers=2, d_model=64, vocab=16, tied=False, last=True, shapes=[(8, 256)]),
}
QUICK = {
    "mamba-130m": MODELS["mamba-130m"] | dict(layers=2, d_model=64, vocab=500, shapes=[(2, 70)]),
    "induction-heads": MODELS["induction-heads"] | dict(shapes=[(2, 32)]),
}
# So small that the model stays what it was, however often a step is repeated.
LEARNING_RATE = 1e-7


def checkpointed_scan(*inputs):
    """The chunked scan, whose chunks are computed again for their gradients: all that they compute would not fit."""
    of_chunk = functools.partial(checkpoint, scan_of_chunk, use_reentrant=False, preserve_rng_state=False)
    return chunked_scan(*inputs, of_chunk=of_chunk)


class TrainedBlock(Block):
    """A block that trains A, as its logarithm, and D."""

    def __init__(self, d_model, scan, device):
        super().__init__(d_model, torch.float32, scan, device)
        A, D = self.A, self.D
        del self.A, self.D
        self.A_log, self.D = torch.nn.Parameter((-A).log()), torch.nn.Parameter(D)

    def decay(self):
        return -torch.exp(self.A_log)


class TrainedMamba(torch.nn.Module):
    def __init__(self, layers, d_model, vocab, tied, scan, device):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocab, d_model, device=device)
        self.layers = torch.nn.Sequential(*(TrainedBlock(d_model, scan, device) for _ in range(layers)))
        self.norm = torch.nn.RMSNorm(d_model, eps=1e-5, device=device)
        self.head = torch.nn.Linear(d_model, vocab, bias=False, device=device)
        torch.nn.init.normal_(self.embedding.weight, std=0.02)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids, last):
        x = self.layers(self.embedding(ids))
        return self.head(self.norm(x[:, -last:]))


def upstream(layers, d_model, vocab, tied, device):
    from mamba_ssm.models.config_mamba import MambaConfig
    from mamba_ssm.models.mixer_seq_simple import MambaLMHeadModel

    config = MambaConfig(d_model=d_model, n_layer=layers, vocab_size=vocab, tie_embeddings=tied)
    model = MambaLMHeadModel(config, device=device, dtype=torch.float32)
    return model, lambda ids, last: model(ids, num_last_tokens=last).logits


def create(spec, device, kernels, scan=checkpointed_scan):
    """A model, and what gives the logits of the last tokens of each sequence."""
    torch.manual_seed(1)
    sizes = {key: spec[key] for key in ("layers", "d_model", "vocab", "tied")}
    if kernels:
        return upstream(**sizes, device=device)
    model = TrainedMamba(**sizes, scan=scan, device=device)
    return model, model


def loss_of(forward, ids, targets):
    logits = forward(ids, targets.shape[1])
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def draw(spec, batch, length, device):
    ids = torch.randint(0, spec["vocab"], (batch, length + 1), device=device)
    return ids[:, :-1], ids[:, -1:] if spec.get("last") else ids[:, 1:]


def agreement():
    """The largest difference of the composition's gradients from a loop's, over each gradient's largest value."""
    spec = QUICK["mamba-130m"]
    gradients = []
    for scan in (sequential_scan, checkpointed_scan):
        model, forward = create(spec, "cpu", False, scan)
        loss_of(forward, *draw(spec, 2, 129, "cpu")).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    return max(((got - expected).abs().max() / expected.abs().max()).item() for expected, got in zip(*gradients))


def training_step(spec, shape, device, kernels, autocast, graph):
    """A function that makes one step."""
    model, forward = create(spec, device, kernels)
    ids, targets = draw(spec, *shape, device)
    # No decay of A, D, biases and norms.
    matrices, others = {}, {}
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim > 1 and not name.endswith("A_log") else others)[name] = parameter
    groups = [
        dict(params=list(matrices.values()), weight_decay=0.1),
        dict(params=list(others.values()), weight_decay=0),
    ]
    fast = dict(fused=True, capturable=graph) if device == "cuda" else {}
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), **fast)

    def step():
        # What autocast keeps for a step would outlive it in a graph.
        with torch.autocast(device, torch.bfloat16, enabled=autocast, cache_enabled=not graph):
            loss = loss_of(forward, ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return captured(step) if graph else step


def captured(step):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def seconds_on_cpu(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small models, as a check of the program")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    on_gpu, kernels = options.device == "cuda", options.device == "cuda" and mamba_ssm is not None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    rows, failures = [], []

    def measure(name, spec, shape, dtype, graph):
        batch, length = shape
        full_name = f"train.{name}.cudagraph" if graph else f"train.{name}"
        row = dict(name=full_name, shape=dict(batch=batch, length=length), dtype=dtype)
        label = f"{full_name} {batch}x{length} {dtype}"
        try:
            if on_gpu:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            step = training_step(spec, shape, options.device, kernels, dtype != "float32", graph)
            row |= timed(step, budget=0 if options.quick else 3, seconds=seconds_on_gpu if on_gpu else seconds_on_cpu)
            row["tokensPerSecond"] = batch * length / row["median"]
            if on_gpu:
                row["peakBytes"] = torch.cuda.max_memory_allocated()
            rows.append(row)
            memory = f", {row['peakBytes'] / 1e9:.2f} GB" if on_gpu else ""
            print(f"{label}: {row['tokensPerSecond']:.0f} tokens/s{memory}", file=sys.stderr)
        except RuntimeError as error:
            failures.append(row | dict(reason=str(error)[:300]))
            print(f"{label} failed: {failures[-1]['reason']}", file=sys.stderr)

    difference = agreement()
    assert difference < 1e-3, difference
    for graph in (False, True) if on_gpu else (False,):
        for name, spec in (QUICK if options.quick else MODELS).items():
            for shape in spec["shapes"]:
                for dtype in ("float32", "bfloat16 autocast"):
                    measure(name, spec, shape, dtype, graph)
    scan = f"mamba_ssm {mamba_ssm.__version__}" if kernels else "a chunked scan of its own operations"
    device = torch.cuda.get_device_name() if on_gpu else "cpu"
    about = dict(torch=torch.__version__, device=device, scan=scan, agreement=difference)
    json.dump(about | dict(rows=rows, failures=failures), sys.stdout)


if __name__ == "__main__":
    main()
