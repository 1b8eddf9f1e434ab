// The worker does all computations of the training page. The page ends it to free what it holds.
import { MambaError } from '@mamba/core';
import { answerCalls } from '../../worker/answer.ts';
import { reportBackends } from '../../worker/backends.ts';
import { FineTuned } from './fine-tuned.ts';
import { HeadsTrainer } from './heads-trainer.ts';
import type { Calls } from './protocol.ts';

let heads: HeadsTrainer | undefined;
let tuned: FineTuned | undefined;

answerCalls<Calls>({
  probe: reportBackends,
  async createHeads(options) {
    heads = await HeadsTrainer.create(options);
    return heads.info;
  },
  runHeads: (_, emit) => present(heads).run(emit),
  pauseHeads() {
    present(heads).pause();
    return undefined;
  },
  async fineTune(options, emit) {
    tuned = await FineTuned.train(options, emit);
    return tuned.measured;
  },
  write: (options, emit) => present(tuned).write(options, emit),
  save: () => present(tuned).bytes(),
});

function present<T>(value: T | undefined): T {
  if (value === undefined)
    throw new MambaError('invalid-argument', 'the worker holds no such training', { remedy: 'Start it first.' });
  return value;
}
