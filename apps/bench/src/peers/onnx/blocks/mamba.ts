/**
 * A Mamba model as an ONNX graph for one sequence. The recurrence is a Scan of standard operators over the sequence, or
 * ONNX Runtime's own LinearAttention with a head of one value for each channel; everything else works on the whole
 * sequence. States come in and go out, so that one graph does prefill and decode.
 */
import { blocksOf, type MambaConfig, type ModelConfig, modelParameters, type ParameterSource } from '@mamba/core';
import { GraphBuilder, MICROSOFT, modelFile, type ValueInfo } from '../graph.ts';
import type { Message } from '../protobuf.ts';

export type Recurrence = 'Scan' | 'LinearAttention';

/**
 * Inputs: `ids` int64 [length], `conv.i` [1, dInner, dConv - 1], `ssm.i` as `stateShapes` says. Outputs: `logits` [1,
 * vocab], `next.conv.i`, `next.ssm.i`.
 */
export async function mambaOnnx(
  config: ModelConfig,
  source: ParameterSource,
  recurrence: Recurrence,
): Promise<Message> {
  const { layers, block } = uniform(config);
  const { dInner, dState, dConv } = block;
  const { vocabSize } = config;
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
    const shapes = stateShapes(block, recurrence);
    const states: ValueInfo[] = [
      { name: conv, type: 'float', shape: shapes.conv },
      { name: ssm, type: 'float', shape: shapes.ssm },
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
    const biases = block.convBias ? [plain(own('block.convBias'))] : [];
    const convolved = graph.node('Conv', [extended, kernel, ...biases], { group: dInner });
    const u = graph.node('Transpose', [graph.node('Squeeze', [silu(convolved), graph.integers([0])])], {
      perm: [1, 0],
    });

    const sizes = graph.integers([block.dtRank, dState, dState]);
    const [dt, B, C] = graph.nodes('Split', [graph.node('MatMul', [u, matrix(own('block.xProj'))]), sizes], 3, {
      axis: 1,
    });
    const projected = graph.node('MatMul', [dt!, matrix(own('block.dtProj'))]);
    const delta = graph.node('Softplus', [graph.node('Add', [projected, plain(own('block.dtBias'))])]);
    const y = `y.${layer}`;
    const A = plain(own('block.A'));
    const deltaU = graph.node('Mul', [delta, u]);
    if (recurrence === 'Scan') {
      graph.nodes('Scan', [ssm, delta, deltaU, B!, C!], [`next.${ssm}`, y], {
        num_scan_inputs: 4,
        body: { graph: stepOf(A, layer, dInner, dState) },
      });
    } else {
      // Its state of a head is exp(decay) h + key ⊗ value, its output query · h; one query and one key serve all heads.
      const batched = (value: string): string => graph.node('Unsqueeze', [value, graph.integers([0])]);
      const decay = graph.node('Mul', [graph.node('Unsqueeze', [delta, graph.integers([2])]), A]);
      const packed = graph.node('Reshape', [decay, graph.integers([1, -1, dInner * dState])]);
      const [attended] = graph.nodes(
        'LinearAttention',
        [batched(C!), batched(B!), batched(deltaU), ssm, packed],
        [`attended.${layer}`, `next.${ssm}`],
        { q_num_heads: 1, kv_num_heads: dInner, update_rule: 'gated', scale: { float: 1 } },
        MICROSOFT,
      );
      graph.node('Squeeze', [attended!, graph.integers([0])], {}, y);
    }
    const skipped = graph.node('Add', [y, graph.node('Mul', [u, plain(own('block.D'))])]);
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

/** The states of a model: the number of layers, and the shapes of a layer's states. */
export function statesOf(config: ModelConfig, recurrence: Recurrence) {
  const { layers, block } = uniform(config);
  return { layers, shapes: stateShapes(block, recurrence) };
}

/** The layers of a model of alike Mamba blocks, the only kind that these graphs are made of. */
function uniform(config: ModelConfig): { readonly layers: number; readonly block: MambaConfig } {
  const layers = config.blocks.length;
  const mamba = blocksOf(config, 'mamba');
  if (mamba.length < layers || new Set(mamba.map(({ block }) => JSON.stringify(block))).size > 1)
    throw new TypeError('the ONNX graph is of a model of alike Mamba blocks');
  return { layers, block: mamba[0]!.block };
}

function stateShapes({ dInner, dState, dConv }: MambaConfig, recurrence: Recurrence) {
  const ssm = recurrence === 'Scan' ? [dInner, dState] : [1, dInner, dState, 1];
  return { conv: [1, dInner, dConv - 1], ssm };
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
