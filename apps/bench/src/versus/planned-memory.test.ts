import { reference } from '@mamba/reference';
import { expect, it } from 'vitest';
import { createPlanner } from './planned-memory.ts';
import { hostInput, hostParameters, Subject, TrainedSubject } from './subject.ts';
import { defineSystems, SYSTEMS, sizeSystem } from './systems.ts';

defineSystems();

it.each(SYSTEMS.map((system) => [system.name, sizeSystem(system, 8, 40)] as const))(
  'plans the bytes that the reference takes for %s, forward and in training',
  async (_, system) => {
    const parameters = await hostParameters(system, 8);
    const planner = createPlanner();
    const backend = await reference().create();
    const planned = planner.tensor([2, 40, 8]);
    const real = backend.upload(hostInput(2, 40, 8));
    const subjects = [new Subject(planner.backend, system, 8, parameters), new Subject(backend, system, 8, parameters)];
    const forward = [
      planner.peak(() => subjects[0]!.forward(planned)),
      backend.peakBytes(() => subjects[1]!.forward(real)),
    ];
    // The reference has float64. Its kernels may give back a little before the plan does.
    const within = (plan: number, bytes: number) => plan >= bytes / 2 && plan <= 1.01 * (bytes / 2);
    expect(within(forward[0]!, forward[1]!)).toBe(true);
    const trained = [
      new TrainedSubject(planner.backend, system, parameters),
      new TrainedSubject(backend, system, parameters),
    ];
    const train = [
      planner.peak(() => trained[0]!.step(planned, planned)),
      backend.peakBytes(() => trained[1]!.step(real, real)),
    ];
    expect(within(train[0]!, train[1]!)).toBe(true);
    expect(train[0]).toBeGreaterThan(forward[0]!);
    await backend.dispose();
  },
);

it('gives up where a plan takes too many operations, and is of use afterwards', () => {
  const planner = createPlanner();
  const x = planner.tensor([4]);
  const count = (calls: number) => () => {
    for (let call = 0; call < calls; call++) planner.backend.add(x, x).dispose();
  };
  expect(planner.peak(count(1e6))).toBeUndefined();
  expect(planner.peak(count(10))).toBe(planner.backend.memory().bytes + 16);
});
