/**
 * A kind of block for tests of state slots that grow. Its state holds every token that it was fed, or those of a
 * window; y is x of `lag` tokens before, and 0 before the first token.
 */
import { type Backend, type BlockCall, type BlockDefinition, defineBlock, type Tensor } from '@mamba/core';
import { checkInteger, checkOptions, type Scope, type StateSlot, scoped, slotShape } from '@mamba/core/driver';

declare module '@mamba/core' {
  interface BlockKinds {
    recall: RecallConfig;
  }
}

export interface RecallConfig {
  readonly lag: number;
  /** Number of tokens that the state keeps. Default: all. */
  readonly window?: number | undefined;
}

const recall: BlockDefinition<RecallConfig> = {
  check(origin, config) {
    checkOptions(origin, config, ['kind', 'lag', 'window']);
    checkInteger(`${origin}.lag`, config.lag, 1);
    if (config.window !== undefined) checkInteger(`${origin}.window`, config.window, config.lag);
  },
  parameters: () => [],
  state: slotsOf,
  compose: (backend, config) => ({
    forward: (call) =>
      scoped((scope) => {
        const [slot] = slotsOf(config, call.x.shape[2]!) as [StateSlot];
        const after = call.positions.map((position) => position + call.length);
        const shape = slotShape(slot, after)!;
        const rows = call.positions.map((_, row) => forwardRow(backend, scope, config, call, row, shape[1]!));
        const y = scope.own(
          backend.concat(
            rows.map((row) => row.y),
            0,
          ),
        );
        const past = backend.concat(
          rows.map((row) => row.past),
          0,
        );
        return { y: scope.release(y), state: { past } };
      }),
  }),
};

export function defineRecall(): void {
  defineBlock('recall', recall);
}

function slotsOf({ window }: RecallConfig, dModel: number): readonly StateSlot[] {
  return [{ name: 'past', shape: ['length', dModel], window }];
}

/** Runs one row. Returns its output, and the tokens that its state holds then, padded to `capacity` tokens. */
function forwardRow(
  backend: Backend,
  scope: Scope,
  { lag, window = Number.POSITIVE_INFINITY }: RecallConfig,
  { x, state, positions, length }: BlockCall,
  row: number,
  capacity: number,
): { readonly y: Tensor; readonly past: Tensor } {
  const width = x.shape[2]!;
  const held = Math.min(positions[row]!, window);
  const cut = (tensor: Tensor, axis: number, start: number, end: number): Tensor =>
    scope.own(backend.slice(tensor, axis, start, end));
  const zeros = (count: number): readonly Tensor[] =>
    count === 0
      ? []
      : [
          scope.own(
            backend.upload({ dtype: 'float32', shape: [1, count, width], data: new Float32Array(count * width) }),
          ),
        ];
  const join = (parts: readonly Tensor[]): Tensor => scope.own(backend.concat(parts, 1));
  const own = cut(x, 0, row, row + 1);
  const before = held === 0 ? [] : [cut(cut(state!.past!, 0, row, row + 1), 1, 0, held)];
  const all = join([...before, own]);
  const missing = Math.min(length, Math.max(0, lag - held));
  const start = Math.max(0, held - lag);
  const found = length > missing ? [cut(all, 1, start, start + length - missing)] : [];
  const kept = Math.min(held + length, window);
  return {
    y: join([...zeros(missing), ...found]),
    past: join([cut(all, 1, held + length - kept, held + length), ...zeros(capacity - kept)]),
  };
}
