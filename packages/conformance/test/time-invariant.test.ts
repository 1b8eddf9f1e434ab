/** The block that selection is compared with obeys the laws of every kind. */
import { reference } from '@mamba/reference';
import { defineTimeInvariant } from '@mamba/train';
import { describeConformance } from '../src/vitest.ts';

defineTimeInvariant();
const kinds = [{ config: { kind: 'time-invariant', dModel: 10, dInner: 13, dState: 3, dConv: 3 } }] as const;
describeConformance(reference(), { scope: [], kinds });
