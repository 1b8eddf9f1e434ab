/**
 * Runs the graph of mamba.ts with ONNX Runtime, native or web. It imports nothing, so that a page can load it as it is.
 */

/** The part of onnxruntime-node and onnxruntime-web that is used. */
export interface OnnxRuntime {
  readonly InferenceSession: { create(model: string | Uint8Array, options: object): Promise<OnnxSession> };
  readonly Tensor: new (type: string, data: Float32Array | BigInt64Array, dims: readonly number[]) => OnnxValue;
}
export interface OnnxSession {
  run(feeds: Readonly<Record<string, OnnxValue>>): Promise<Readonly<Record<string, OnnxValue>>>;
  release(): Promise<void>;
}
interface OnnxValue {
  readonly data: Float32Array;
}

/** Shapes of the tensors that each layer remembers; layer 3 of the graph has `NAME.3` and gives `next.NAME.3`. */
export type StateShapes = Readonly<Record<string, readonly number[]>>;

export interface OnnxModel {
  /** Natural logarithms of all tokens' probabilities after these tokens. */
  logProbs(ids: readonly number[]): Promise<Float64Array>;
  prefill(ids: readonly number[]): Promise<void>;
  /** Greedy decoding from one token on. */
  decode(first: number, count: number): Promise<void>;
}

export function driveOnnx(
  { Tensor }: Pick<OnnxRuntime, 'Tensor'>,
  session: OnnxSession,
  { layers, shapes }: { readonly layers: number; readonly shapes: StateShapes },
): OnnxModel {
  type States = Readonly<Record<string, OnnxValue>>;
  const zeros = (dims: readonly number[]): OnnxValue =>
    new Tensor('float32', new Float32Array(dims.reduce((size, extent) => size * extent, 1)), dims);
  const start: Record<string, OnnxValue> = {};
  for (let layer = 0; layer < layers; layer++) {
    for (const [name, shape] of Object.entries(shapes)) start[`${name}.${layer}`] = zeros(shape);
  }
  const step = async (ids: readonly number[], states: States) => {
    const tokens = new Tensor('int64', BigInt64Array.from(ids, BigInt), [ids.length]);
    const { logits, ...next } = await session.run({ ids: tokens, ...states });
    const renamed = Object.entries(next).map(([name, value]) => [name.replace('next.', ''), value] as const);
    return { logits: logits!.data, states: Object.fromEntries(renamed) };
  };
  return {
    async logProbs(ids) {
      const { logits } = await step(ids, start);
      const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const shift = most + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0));
      return Float64Array.from(logits, (value) => value - shift);
    },
    async prefill(ids) {
      await step(ids, start);
    },
    async decode(first, count) {
      let states: States = start;
      let token = first;
      for (let made = 0; made < count; made++) {
        const result = await step([token], states);
        states = result.states;
        token = 0;
        for (let id = 1; id < result.logits.length; id++) if (result.logits[id]! > result.logits[token]!) token = id;
      }
    },
  };
}
