/** The operations that kinds of core need and that a backend may lack. */
import type { Backend, BlockKind, Support } from '@mamba/core';
import { attentionCase } from '../cases/attention.ts';
import type { Case } from '../cases/case.ts';
import { gatedRmsNormCase } from '../cases/gated-rms-norm.ts';
import { ropeCase } from '../cases/rope.ts';
import { ssdScanCase } from '../cases/ssd-scan.ts';
import { writeRowsCase } from '../cases/write-rows.ts';
import type { Check } from '../runner/check.ts';

const NEEDS: { readonly [K in BlockKind]?: readonly Case[] } = {
  attention: [
    attentionCase({ batch: 1, queries: 1, keys: 1, heads: 1, kvHeads: 1, headDim: 2 }),
    ropeCase({ batch: 1, length: 1, heads: 1, headDim: 2 }),
    writeRowsCase({ batch: 1, capacity: 1, length: 1, channels: 1 }),
  ],
  mamba2: [
    ssdScanCase({ batch: 1, length: 1, heads: 1, headDim: 1, state: 1 }),
    gatedRmsNormCase({ rows: 1, channels: 1 }),
  ],
};

/** Whether a backend may lack an operation of a kind. */
export function isOptional(kind: string): boolean {
  return NEEDS[kind as BlockKind] !== undefined;
}

/** Whether a backend has the operations of a kind, or the reason why not. */
export function kindSupport(kind: string, backend: Backend): Support {
  const answers = (NEEDS[kind as BlockKind] ?? []).map((need) => need.supports(backend));
  return answers.find(({ supported }) => !supported) ?? { supported: true };
}

/** The checks, which are skipped on a backend that lacks an operation of the kind. */
export function whereSupported(kind: string, checks: readonly Check[]): readonly Check[] {
  return checks.map((check) => ({
    ...check,
    async run(context) {
      const support = kindSupport(kind, context.backend);
      return support.supported ? check.run(context) : { skipped: support.reason };
    },
  }));
}
