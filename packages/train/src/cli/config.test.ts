import { describe, expect, it } from 'vitest';
import { checkUnchanged, parseConfig, resolveConfig } from './config.ts';
import { OPTIONS } from './options.ts';

describe('the options of a training', () => {
  it('are completed by the defaults of their task', () => {
    const heads = resolveConfig('induction-heads', {});
    expect(heads).toMatchObject({ steps: 13000, batch: 16, lr: 1e-3, warmup: 200, weightDecay: 0, layers: 2 });
    expect(heads.testLengths).toEqual([64, 256, 1024, 4096]);
    expect(heads).not.toHaveProperty('length');
    expect(resolveConfig('lm', { files: ['a.txt'], steps: 50 })).toMatchObject({
      warmup: 5,
      length: 256,
      heldOut: 0.05,
    });
    expect(resolveConfig('selective-copying', { lengths: [32] })).toMatchObject({ dataTokens: 16, testLengths: [32] });
  });

  it('are refused by their flags', () => {
    const lm = (options: object) => () => resolveConfig('lm', { files: ['a.txt'], ...options });
    expect(lm({ steps: 0 })).toThrow(/^--steps is not valid: got 0, expected an integer of at least 1/);
    expect(lm({ dModel: 'wide' })).toThrow(/^--d-model .*got wide/);
    expect(lm({ lr: Number.POSITIVE_INFINITY })).toThrow(/^--lr .*a number of at least 0/);
    expect(lm({ heldOut: 0.95 })).toThrow(/^--held-out .*from 0 to 0.9/);
    expect(lm({ schedule: 'linear' })).toThrow(/^--schedule .*one of cosine, constant/);
    expect(lm({ carry: 'yes' })).toThrow(/^--carry .*true or false/);
    expect(lm({ out: '' })).toThrow(/^--out /);
    expect(lm({ warmup: 2000 })).toThrow(/^--warmup .*at most 1000/);
    expect(lm({ lengths: [4] })).toThrow(/^--lengths .*no option of lm/);
    expect(lm({ lora: 4 })).toThrow(/^--lora .*expected --init with it/);
    expect(lm({ init: 'x', loraTargets: ['inProj'] })).toThrow(/^--lora-targets .*expected --lora with it/);
    expect(lm({ init: 'x', lora: 4, loraTargets: [''] })).toThrow(/^--lora-targets .*a list of names/);
    expect(() => resolveConfig('lm', {})).toThrow(/^--files .*a list of files/);
    expect(() => resolveConfig('selective-copying', { lengths: [15] })).toThrow(/^--lengths .*from 16/);
    expect(() => resolveConfig('induction-heads', { testLengths: [] })).toThrow(/^--test-lengths .*list of integers/);
    expect(() => resolveConfig('induction-heads', { files: ['a'] })).toThrow(/are generated/);
  });

  it('are read from a file by their names', () => {
    expect(parseConfig('c.json', { task: 'induction-heads', dModel: 8 })).toMatchObject({ dModel: 8, layers: 2 });
    expect(() => parseConfig('c.json', { task: 'lm', files: ['a'], 'd-model': 8 })).toThrow(
      /^c.json: d-model .*no option/,
    );
    expect(() => parseConfig('c.json', { task: 'chat' })).toThrow(/^c.json: task .*got "chat", expected one of lm/);
    expect(() => parseConfig('c.json', [])).toThrow(/an object of options/);
  });

  it('are the same where a training goes on, but for those that its model and data do not depend on', () => {
    const config = resolveConfig('lm', { files: ['a.txt'] });
    const saved = JSON.parse(JSON.stringify(config));
    const changed = (options: object) => resolveConfig('lm', { files: ['a.txt'], ...options });
    expect(() => checkUnchanged(changed({ steps: 2000, lr: 1, keep: 9, resume: true }), saved)).not.toThrow();
    expect(() => checkUnchanged(changed({ layers: 5 }), saved)).toThrow(/^--layers .*got 5, expected 4/);
    expect(() => checkUnchanged(changed({ init: 'x' }), saved)).toThrow(/^--init .*expected none/);
    expect(() => checkUnchanged(changed({ files: ['b.txt'] }), saved)).toThrow(/^the files /);
    expect(() => checkUnchanged(resolveConfig('induction-heads', {}), saved)).toThrow(/^the task /);
    // Saves of earlier releases do not say which blocks they have.
    const { mixer: _, ...earlier } = saved;
    expect(() => checkUnchanged(config, earlier)).not.toThrow();
    expect(() => checkUnchanged(changed({ mixer: 'mamba2' }), earlier)).toThrow(
      /^--mixer .*"mamba2", expected "mamba"/,
    );
  });

  it('have names and help of their own', () => {
    expect(new Set(OPTIONS.map(({ key }) => key)).size).toBe(OPTIONS.length);
    expect(new Set(OPTIONS.map(({ help }) => help)).size).toBe(OPTIONS.length);
  });
});
