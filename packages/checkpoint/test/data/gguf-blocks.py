"""Writes gguf-blocks.json: blocks, and what ggml's own Python package (pip install gguf numpy) makes of them.

Run in this folder: python3 gguf-blocks.py
"""

import base64
import json
from importlib.metadata import version

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

# Where the halves of scales and minima stand in a block.
HALVES = {
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
WRITTEN = ["BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


def text(array):
    return base64.b64encode(array.tobytes()).decode()


random = np.random.default_rng(17)
read = {}
for name, halves in HALVES.items():
    _, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    blocks = random.integers(0, 256, (3, size), dtype=np.uint8)
    for at in halves:
        blocks[:, at : at + 2] = random.normal(0, 0.1, (3, 1)).astype("<f2").view(np.uint8)
    values = dequantize(blocks.reshape(1, -1), GGMLQuantizationType[name]).astype("<f4")
    read[name] = {"bytes": text(blocks), "float32": text(values)}

values = np.concatenate([random.normal(0, scale, 32) for scale in (1e-3, 0.1, 1, 30)] + [np.zeros(32)]).astype("<f4")
written = {name: text(quantize(values.reshape(1, -1), GGMLQuantizationType[name])) for name in WRITTEN}

with open("gguf-blocks.json", "w") as file:
    json.dump({"made": f"gguf {version('gguf')}, numpy {np.__version__}", "read": read, "values": text(values), "written": written}, file, indent=2)
    file.write("\n")
