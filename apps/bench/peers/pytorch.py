"""PyTorch on the same GPU, for comparison: selective scans written for it, flash attention, a block and a model of Mamba.

Prints one JSON document. Each row: name, shape, dtype, median seconds, p10, p90, samples. Times are CUDA events around one call, after
warm-up; torch.compile'd functions are warmed up until compiled. The scans agree with a float64 loop before they are timed.

    python3 apps/bench/peers/pytorch.py [--quick] > peers.json
"""

import argparse
import json
import math
import sys
import time

import torch
import torch.nn.functional as F


def sequential_scan(u, delta, A, B, C, D, z):
    """One step after another, as a loop of elementwise kernels: u, delta, z [b, l, d]; A [d, n]; B, C [b, l, n]; D [d]."""
    batch, length, dim = u.shape
    h = torch.zeros(batch, dim, A.shape[1], device=u.device, dtype=torch.float32)
    delta = F.softplus(delta.float())
    ys = []
    for t in range(length):
        d = delta[:, t, :, None]
        h = torch.exp(d * A) * h + d * B[:, t, None, :].float() * u[:, t, :, None].float()
        ys.append((h * C[:, t, None, :].float()).sum(-1))
    y = torch.stack(ys, 1) + D * u.float()
    return (y * F.silu(z.float())).to(u.dtype)


def associative_scan(u, delta, A, B, C, D, z):
    """Hillis and Steele's scan over the whole length: log2(l) passes over [b, l, d, n]."""
    delta = F.softplus(delta.float())
    a = torch.exp(delta[..., None] * A)
    b = (delta * u.float())[..., None] * B[:, :, None, :].float()
    step = 1
    while step < u.shape[1]:
        a_left = F.pad(a[:, :-step], (0, 0, 0, 0, step, 0), value=1.0)
        b_left = F.pad(b[:, :-step], (0, 0, 0, 0, step, 0))
        b = a * b_left + b
        a = a * a_left
        step *= 2
    y = (b * C[:, :, None, :].float()).sum(-1) + D * u.float()
    return (y * F.silu(z.float())).to(u.dtype)


def scan_of_chunk(h, u, delta, A, B, C):
    """The associative scan of one chunk from the state h. Returns the state after it, and C times each state."""
    a = torch.exp(delta[..., None] * A)
    b = (delta * u.float())[..., None] * B[:, :, None, :].float()
    step = 1
    while step < a.shape[1]:
        b = a * F.pad(b[:, :-step], (0, 0, 0, 0, step, 0)) + b
        a = a * F.pad(a[:, :-step], (0, 0, 0, 0, step, 0), value=1.0)
        step *= 2
    states = b + a * h[:, None]
    return states[:, -1], (states * C[:, :, None, :].float()).sum(-1)


def chunked_scan(u, delta, A, B, C, D, z, chunk=64, of_chunk=scan_of_chunk):
    """The associative scan within chunks, a loop over chunks: the best of both for memory."""
    delta = F.softplus(delta.float())
    batch, length, dim = u.shape
    h = torch.zeros(batch, dim, A.shape[1], device=u.device, dtype=torch.float32)
    ys = []
    for start in range(0, length, chunk):
        part = slice(start, min(start + chunk, length))
        h, y = of_chunk(h, u[:, part], delta[:, part], A, B[:, part], C[:, part])
        ys.append(y)
    y = torch.cat(ys, 1) + D * u.float()
    return (y * F.silu(z.float())).to(u.dtype)


def scan_inputs(batch, length, dim, state, dtype, device="cuda"):
    g = torch.Generator(device=device).manual_seed(1)
    rand = lambda *shape: torch.randn(*shape, device=device, generator=g)
    return dict(
        u=rand(batch, length, dim).to(dtype),
        delta=(rand(batch, length, dim) - 4).to(dtype),
        A=-torch.arange(1, state + 1, device=device, dtype=torch.float32).repeat(dim, 1),
        B=rand(batch, length, state).to(dtype),
        C=rand(batch, length, state).to(dtype),
        D=torch.ones(dim, device=device),
        z=rand(batch, length, dim).to(dtype),
    )


class Block(torch.nn.Module):
    def __init__(self, d_model, dtype, scan, device="cuda"):
        super().__init__()
        inner, rank = 2 * d_model, math.ceil(d_model / 16)
        linear = lambda i, o, bias=False: torch.nn.Linear(i, o, bias=bias, device=device, dtype=dtype)
        self.norm = torch.nn.RMSNorm(d_model, eps=1e-5, device=device, dtype=dtype)
        self.in_proj, self.out_proj = linear(d_model, 2 * inner), linear(inner, d_model)
        self.x_proj, self.dt_proj = linear(inner, rank + 32), linear(rank, inner, True)
        self.conv = torch.nn.Conv1d(inner, inner, 4, groups=inner, padding=3, device=device, dtype=dtype)
        self.register_buffer("A", -torch.arange(1, 17, device=device, dtype=torch.float32).repeat(inner, 1))
        self.register_buffer("D", torch.ones(inner, device=device))
        self.rank, self.scan = rank, scan

    def decay(self):
        return self.A

    def forward(self, residual):
        x, z = self.in_proj(self.norm(residual)).chunk(2, -1)
        x = F.silu(self.conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        dt, B, C = self.x_proj(x).split([self.rank, 16, 16], -1)
        return residual + self.out_proj(self.scan(x, self.dt_proj(dt), self.decay(), B, C, self.D, z))

    def step(self, residual, conv_state, state):
        """residual [b, d_model]; conv_state [b, inner, 3]; state [b, inner, 16]; both updated in place."""
        x, z = self.in_proj(self.norm(residual)).chunk(2, -1)
        window = torch.cat([conv_state, x[..., None]], -1)
        conv_state.copy_(window[..., 1:])
        x = F.silu((window * self.conv.weight[:, 0]).sum(-1) + self.conv.bias)
        dt, B, C = self.x_proj(x).split([self.rank, 16, 16], -1)
        delta = F.softplus(self.dt_proj(dt).float())
        state.mul_(torch.exp(delta[..., None] * self.A)).add_((delta * x.float())[..., None] * B[:, None].float())
        y = (state * C[:, None].float()).sum(-1) + self.D * x.float()
        return residual + self.out_proj((y * F.silu(z.float())).to(x.dtype))


class Mamba(torch.nn.Module):
    def __init__(self, layers, d_model, vocab, dtype, scan):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocab, d_model, device="cuda", dtype=dtype)
        self.layers = torch.nn.ModuleList(Block(d_model, dtype, scan) for _ in range(layers))
        self.norm = torch.nn.RMSNorm(d_model, eps=1e-5, device="cuda", dtype=dtype)

    def forward(self, ids):
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x[:, -1]) @ self.embedding.weight.T

    def step(self, ids, states):
        x = self.embedding(ids)
        for layer, (conv_state, state) in zip(self.layers, states):
            x = layer.step(x, conv_state, state)
        return (self.norm(x) @ self.embedding.weight.T).argmax(-1)

    def states(self, batch):
        dtype = self.embedding.weight.dtype
        inner = 2 * self.embedding.weight.shape[1]
        zeros = lambda *shape, dtype: torch.zeros(batch, inner, *shape, device="cuda", dtype=dtype)
        return [(zeros(3, dtype=dtype), zeros(16, dtype=torch.float32)) for _ in self.layers]


def seconds_on_gpu(call):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def timed(call, budget=1.0, warmup=3, seconds=seconds_on_gpu):
    """The median of some calls' times. `seconds` makes one call and times it, until the device is done."""
    for _ in range(warmup):
        seconds(call)
    times, begin = [], time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - begin < budget and len(times) < 200):
        times.append(seconds(call))
    times.sort()
    at = lambda q: times[min(len(times) - 1, int(q * len(times)))]
    return dict(median=at(0.5), p10=at(0.1), p90=at(0.9), samples=len(times))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.backends.cuda.matmul.allow_tf32 = False
    rows, failures = [], []

    def measure(name, shape, dtype, call, **options):
        try:
            rows.append(dict(name=name, shape=shape, dtype=dtype, **timed(call, **options)))
            print(f"{name} {shape} {dtype}: {rows[-1]['median'] * 1e6:.1f} us", file=sys.stderr)
        except (torch.cuda.OutOfMemoryError, RuntimeError) as error:
            failures.append(dict(name=name, shape=shape, dtype=dtype, reason=str(error)[:300]))
            torch.cuda.empty_cache()

    # The scans agree before they are timed.
    expected = sequential_scan(**scan_inputs(2, 129, 64, 16, torch.float32))
    agreement = {}
    for name, scan in dict(associative=associative_scan, chunked=chunked_scan).items():
        got = scan(**scan_inputs(2, 129, 64, 16, torch.float32))
        agreement[name] = ((got - expected).abs().max() / expected.abs().max()).item()
        assert agreement[name] < 1e-4, (name, agreement[name])

    compiled = {name: torch.compile(scan, dynamic=False) for name, scan in dict(associative=associative_scan, chunked=chunked_scan).items()}
    with torch.inference_mode():
        copy = torch.empty(1 << 28, device="cuda")
        target = torch.empty_like(copy)
        measure("copy", dict(bytes=2 * copy.numel() * 4), "float32", lambda: target.copy_(copy))
        del copy, target
        lengths = [512, 2048, 8192] if quick else [2**k for k in range(9, 20)]
        for dtype_name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            for dim in (1024, 1536):
                for length in lengths:
                    inputs = scan_inputs(1, length, dim, 16, dtype)
                    shape = dict(batch=1, length=length, dim=dim, state=16)
                    if length <= 4096:
                        measure("scan.sequential", shape, dtype_name, lambda: sequential_scan(**inputs), budget=0.5, warmup=1)
                    if length <= 65536:
                        measure("scan.associative", shape, dtype_name, lambda: associative_scan(**inputs), budget=0.3)
                        measure("scan.chunked", shape, dtype_name, lambda: chunked_scan(**inputs), budget=0.3, warmup=1)
                    if length in (512, 2048, 8192) and dim == 1024:
                        measure("scan.associative.compiled", shape, dtype_name, lambda: compiled["associative"](**inputs), budget=0.3)
            torch.cuda.empty_cache()
        # Flash attention of the same width: 16 heads of 64, causal.
        for length in lengths:
            q = torch.randn(1, 16, length, 64, device="cuda", dtype=torch.bfloat16)
            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
                measure("attention.flash", dict(batch=1, length=length, dim=1024, heads=16), "bfloat16", lambda: F.scaled_dot_product_attention(q, q, q, is_causal=True), budget=0.5)
        for dtype_name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            block = Block(768, dtype, chunked_scan)
            x = torch.randn(1, 2048, 768, device="cuda", dtype=dtype)
            measure("block", dict(batch=1, length=2048, dModel=768), dtype_name, lambda: block(x), budget=0.5)
            model = Mamba(24, 768, 50280, dtype, chunked_scan)
            ids = torch.randint(0, 50280, (1, 512), device="cuda")
            measure("prefill.mamba-130m", dict(batch=1, length=512), dtype_name, lambda: model(ids), budget=1)
            states, token = model.states(1), torch.zeros(1, device="cuda", dtype=torch.long)
            measure("decode.mamba-130m.eager", dict(batch=1), dtype_name, lambda: model.step(token, states), budget=1)
            # At its best: one CUDA graph a step, so that launches cost nothing.
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                token.copy_(model.step(token, states))
            measure("decode.mamba-130m.cudagraph", dict(batch=1), dtype_name, graph.replay, budget=1)
            del block, model, states, graph
            torch.cuda.empty_cache()
    json.dump(dict(torch=torch.__version__, device=torch.cuda.get_device_name(), agreement=agreement, rows=rows, failures=failures), sys.stdout)


if __name__ == "__main__":
    main()
