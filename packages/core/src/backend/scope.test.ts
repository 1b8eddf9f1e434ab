import { describe, expect, it } from 'vitest';
import { Scope, scoped } from './scope.ts';

class Probe {
  disposals = 0;
  dispose(): void {
    this.disposals++;
  }
}

describe('scope', () => {
  it('disposes what it owns once, and not what was released or dropped before', () => {
    const [owned, released, dropped] = [new Probe(), new Probe(), new Probe()];
    const scope = new Scope();
    for (const probe of [owned, owned, released, dropped]) scope.own(probe);
    scope.drop(dropped);
    expect(dropped.disposals).toBe(1);
    expect(scope.release(released)).toBe(released);
    scope.close();
    scope.close();
    expect([owned, released, dropped].map(({ disposals }) => disposals)).toEqual([1, 0, 1]);
  });

  it('drops only what it owns', () => {
    const probe = new Probe();
    new Scope().drop(probe);
    expect(probe.disposals).toBe(0);
  });

  it('closes on the way out of a throw, which goes on', () => {
    const probe = new Probe();
    const failing = () =>
      scoped((scope) => {
        scope.own(probe);
        throw new Error('inside');
      });
    expect(failing).toThrow('inside');
    expect(probe.disposals).toBe(1);
    expect(scoped((scope) => scope.release(scope.own(new Probe()))).disposals).toBe(0);
  });
});
