// Arguments and bindings of linear.wgsl and linear-matrix.wgsl. Each binds y in its own way, as 5.

struct Args {
  depth: u32, // values of x that meet weights in each output: the inputs
  inputs: u32, // columns of the weights as they are stored
  outputs: u32, // rows of this part of the matrix
  rows: u32,
  xRow: u32,
  xOffset: u32,
  yRow: u32,
  yOffset: u32,
  splits: u32, // parts, at least 1, into which the inputs are cut where there are few tiles
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [rows, xRow]
@group(0) @binding(2) var<storage, read> weight: array<vec4u>; // [outputs, inputs] in FORMAT
@group(0) @binding(3) var<storage, read> scales: array<u32>; // of the blocks of q8 and q4
@group(0) @binding(4) var<storage, read> bias: array<f32>; // [all outputs]

// The gradients of a product are products as well. Whether x is stored as [depth, xRow], and the weights as [depth,
// outputs]: they are read as they lie, and turned on their way into the tiles.
override X_TURNED: bool = false;
override WEIGHT_TURNED: bool = false;
override BIAS: bool = false;
/// Whether the product is added to y, which is the residual then.
override ACCUMULATE: bool = false;
