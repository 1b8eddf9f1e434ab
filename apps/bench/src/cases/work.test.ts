import { blocksOf, MAMBA_SIZES, modelConfig, parameterCount } from '@mamba/core';
import { expect, it } from 'vitest';
import { blockWork } from '../blocks/work.ts';
import { modelWork } from './model-work.ts';
import { scanWork } from './work.ts';

const config = modelConfig(MAMBA_SIZES['mamba-130m']);
const layers = config.blocks.length;
const block = blocksOf(config, 'mamba')[0]!.block;
const alone = (tokens: number) => ({ dModel: config.dModel, tokens, batch: 1, bytesPerValue: 4, bytesPerWeight: 4 });

it('reads every parameter of a model once for a token of decode', () => {
  const states = layers * 2 * block.dInner * (block.dState + block.dConv - 1);
  const activations = layers * 2 * config.dModel;
  const norms = (layers + 1) * config.dModel;
  expect(modelWork(config, 1, 1, 4).bytes).toBe(4 * (parameterCount(config) - norms + states + activations));
});

it('takes two operations for each weight of a matrix, and more for the scan', () => {
  const matrices = parameterCount(config) - layers * block.dInner * (2 * block.dState + 1);
  const { operations } = modelWork(config, 1, 1, 4);
  expect(operations / (2 * matrices)).toBeGreaterThan(1);
  expect(operations / (2 * matrices)).toBeLessThan(1.15);
});

it('grows with length in operations, and in bytes only by what comes in and goes out', () => {
  const short = blockWork(block, alone(1));
  const long = blockWork(block, alone(101));
  expect(long.operations).toBe(101 * short.operations);
  expect(long.bytes - short.bytes).toBe(100 * 2 * config.dModel * 4);
});

it('never counts the states over time: no [length, dim, state] is read or written', () => {
  const shape = { batch: 1, length: 1000, dim: 8, state: 16 };
  const perStep = (scanWork(shape, 4).bytes - scanWork({ ...shape, length: 0 }, 4).bytes) / 1000 / 4;
  expect(perStep).toBe(4 * 8 + 2 * 16);
});
