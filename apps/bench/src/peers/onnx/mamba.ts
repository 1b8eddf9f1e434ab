/**
 * A Mamba model as an ONNX graph of standard operators: the recurrence is a Scan over the sequence, everything else works on all of
 * it. States come in and go out, so that one graph does prefill and decode. One sequence; batch is left out.
 */
import { type ModelConfig, modelParameters, type ParameterSource } from '@mamba/core';
import { GraphBuilder, modelFile, type ValueInfo } from './graph.ts';
import type { Message } from './protobuf.ts';

/** Inputs: `ids` int64 [length], `conv.i` [1, dInner, dConv - 1], `ssm.i` [dInner, dState]. Outputs: `logits` [1, vocab], `next.conv.i`, `next.ssm.i`. */
export async function mambaOnnx(config: ModelConfig, source: ParameterSource): Promise<Message> {
  const { layers, dInner, dState, dConv, vocabSize } = config;
  const graph = new GraphBuilder();
  const weights = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
  for (const parameter of modelParameters(config)) {
    const { dtype, shape, data } = await source(parameter);
    if (dtype !== 'float32') throw new TypeError(`${parameter.name} is ${dtype}, not float32`);
    weights.set(parameter.name, { shape, data });
  }
  const get = (name: string) => weights.get(name)!;
  const plain = (name: string): string => graph.floats(get(name).shape, get(name).data);
  const matrix = (name: string): string => {
    const { shape, data } = get(name);
    return graph.floats([shape[1]!, shape[0]!], transposed(data, shape[0]!, shape[1]!));
  };
  const embedding = plain('embedding');
  const norm = (x: string, name: string, epsilon: number): string =>
    graph.node('SimplifiedLayerNormalization', [x, plain(name)], { axis: 1, epsilon: { float: epsilon } });
  const silu = (x: string): string => graph.node('Mul', [x, graph.node('Sigmoid', [x])]);
  const inputs: ValueInfo[] = [{ name: 'ids', type: 'int64', shape: ['length'] }];
  const outputs: ValueInfo[] = [{ name: 'logits', type: 'float', shape: [1, vocabSize] }];
  let residual = graph.node('Gather', [embedding, 'ids'], { axis: 0 });
  for (let layer = 0; layer < layers; layer++) {
    const own = (name: string): string => `layers.${layer}.${name}`;
    const [conv, ssm] = [`conv.${layer}`, `ssm.${layer}`];
    const states: ValueInfo[] = [
      { name: conv, type: 'float', shape: [1, dInner, dConv - 1] },
      { name: ssm, type: 'float', shape: [dInner, dState] },
    ];
    inputs.push(...states);
    outputs.push(...states.map((state) => ({ ...state, name: `next.${state.name}` })));

    const normed = norm(residual, own('norm'), config.normEps);
    const [x, z] = graph.nodes(
      'Split',
      [graph.node('MatMul', [normed, matrix(own('block.inProj'))]), graph.integers([dInner, dInner])],
      2,
      { axis: 1 },
    );
    const rows = graph.node('Unsqueeze', [graph.node('Transpose', [x!], { perm: [1, 0] }), graph.integers([0])]);
    const extended = graph.node('Concat', [conv, rows], { axis: 2 });
    graph.node(
      'Slice',
      [extended, graph.integers([1 - dConv]), graph.integers([2 ** 31 - 1]), graph.integers([2])],
      {},
      `next.${conv}`,
    );
    const kernel = graph.floats([dInner, 1, dConv], get(own('block.conv')).data);
    const biases = config.convBias ? [plain(own('block.convBias'))] : [];
    const convolved = graph.node('Conv', [extended, kernel, ...biases], { group: dInner });
    const u = graph.node('Transpose', [graph.node('Squeeze', [silu(convolved), graph.integers([0])])], {
      perm: [1, 0],
    });

    const sizes = graph.integers([config.dtRank, dState, dState]);
    const [dt, B, C] = graph.nodes('Split', [graph.node('MatMul', [u, matrix(own('block.xProj'))]), sizes], 3, {
      axis: 1,
    });
    const projected = graph.node('MatMul', [dt!, matrix(own('block.dtProj'))]);
    const delta = graph.node('Softplus', [graph.node('Add', [projected, plain(own('block.dtBias'))])]);
    const [, y] = graph.nodes(
      'Scan',
      [ssm, delta, graph.node('Mul', [delta, u]), B!, C!],
      [`next.${ssm}`, `y.${layer}`],
      { num_scan_inputs: 4, body: { graph: stepOf(plain(own('block.A')), layer, dInner, dState) } },
    );
    const skipped = graph.node('Add', [y!, graph.node('Mul', [u, plain(own('block.D'))])]);
    const gated = graph.node('Mul', [skipped, silu(z!)]);
    residual = graph.node('Add', [residual, graph.node('MatMul', [gated, matrix(own('block.outProj'))])]);
  }
  const last = graph.node('Slice', [
    residual,
    graph.integers([-1]),
    graph.integers([2 ** 31 - 1]),
    graph.integers([0]),
  ]);
  const head = config.tiedHead ? embedding : plain('head');
  graph.nodes('Gemm', [norm(last, 'finalNorm', config.normEps), head], ['logits'], { transB: 1 });
  return modelFile(graph.build({ name: 'mamba', inputs, outputs }));
}

/** h ← exp(delta A) h + (delta u) B; y = h C. A is the outer graph's. */
function stepOf(A: string, layer: number, dInner: number, dState: number): Message {
  const step = new GraphBuilder(`step${layer}.`);
  const name = (part: string): string => `${part}.step${layer}`;
  const column = (value: string): string => step.node('Unsqueeze', [value, step.integers([1])]);
  const decay = step.node('Exp', [step.node('Mul', [column(name('delta')), A])]);
  const added = step.node('Mul', [column(name('deltaU')), name('B')]);
  step.node('Add', [step.node('Mul', [decay, name('h')]), added], {}, name('next'));
  step.node('MatMul', [name('next'), name('C')], {}, name('y'));
  const value = (part: string, shape: readonly number[]): ValueInfo => ({ name: name(part), type: 'float', shape });
  return step.build({
    name: name('body'),
    inputs: [
      value('h', [dInner, dState]),
      value('delta', [dInner]),
      value('deltaU', [dInner]),
      value('B', [dState]),
      value('C', [dState]),
    ],
    outputs: [value('next', [dInner, dState]), value('y', [dInner])],
  });
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = data[row * columns + column]!;
  }
  return result;
}
