import { parameterCount } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import { defineSystems, SYSTEMS } from '../systems.ts';
import { TASK_MODELS, taskConfig } from './models.ts';
import { RECIPES } from './recipes.ts';

defineSystems();

describe.each(RECIPES.map((recipe) => [recipe.task, recipe] as const))('models of %s', (_, recipe) => {
  const shape = { ...recipe, vocabSize: 257, tiedHead: true };
  const wanted = parameterCount(taskConfig(TASK_MODELS[0]!, shape));

  it.each(TASK_MODELS.map((model) => [model.system, model] as const))('%s has as many parameters', (name, model) => {
    expect(SYSTEMS.map((system) => system.name)).toContain(name);
    expect(Math.abs(parameterCount(taskConfig(model, shape)) / wanted - 1)).toBeLessThan(0.04);
  });
});

it('puts a feed-forward block behind attention where a recipe says so', () => {
  const attention = TASK_MODELS.find(({ system }) => system === 'attention')!;
  const kinds = (feedForward: boolean) =>
    taskConfig(attention, { layers: 4, dModel: 32, feedForward, vocabSize: 16, tiedHead: false }).blocks.map(
      ({ kind }) => kind,
    );
  expect(kinds(true)).toEqual(['attention', 'mlp', 'attention', 'mlp']);
  expect(kinds(false)).toEqual(['attention', 'attention', 'attention', 'attention']);
});
