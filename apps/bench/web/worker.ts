/** Runs the suites away from the page, which stays responsive; it listens between samples. */
import { SUITES } from '../src/cases/index.ts';
import { messageOf } from '../src/errors.ts';
import { chooseNamed, findBackends } from '../src/machine/backends.ts';
import { runBench } from '../src/run/run.ts';
import type { Notice, Request } from './messages.ts';

let interruption: AbortController | undefined;

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  if (data.type === 'cancel') interruption?.abort();
  else run(data).catch((error: unknown) => tell({ type: 'failed', message: messageOf(error) }));
});

async function run({ suites, backends, effort, threads }: Request & { type: 'run' }): Promise<void> {
  interruption = new AbortController();
  tell({ type: 'step', label: 'looking for backends' });
  const report = await runBench({
    suites: chooseNamed(SUITES, suites, 'suite'),
    backends: await findBackends(backends, threads),
    effort,
    signal: interruption.signal,
    observer: {
      begin: (_, seconds) => tell({ type: 'begin', seconds }),
      step: (label) => tell({ type: 'step', label }),
      advance: (seconds) => tell({ type: 'advance', seconds }),
      suite: (_, soFar) => tell({ type: 'partial', report: soFar }),
    },
  });
  tell({ type: 'done', report });
}

function tell(notice: Notice): void {
  postMessage(notice);
}
