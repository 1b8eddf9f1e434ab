// The worker does all computations, and the page only shows results.
import { serveLanguageModels, type WorkerPort } from '@mamba/lm/worker';
import { answerCalls } from './answer.ts';
import { providerOf, reportBackends } from './backends.ts';
import type { Calls } from './protocol.ts';

answerCalls<Calls>({
  probe: reportBackends,
  async serve({ backend, port }) {
    serveLanguageModels(port as WorkerPort, [await providerOf(backend)]);
    return undefined;
  },
});
